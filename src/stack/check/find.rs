//! Stacks and regions by name, and what to say when there is none.

use super::Plan;
use crate::stack::told::some;
use crate::stack::{RegionId, StackName, did_you_mean};

pub(super) const NO_STACK: &str = "a stack is a directory with a stack.yaml; `isobar list` shows them";

pub(super) const NO_REGION: &str = "regions are listed in isobar.yaml";

impl Plan<'_> {
    /// Returns the index of one stack; nothing for one whose file could not be read.
    pub(super) fn find_stack(&self, name: &StackName) -> Result<Option<usize>, (String, String)> {
        if self.instances.contains_key(name) {
            let what = format!("{name} stands for several stacks, and the outputs of one are wanted");
            return Err((what, format!("name an instance; there is {}", self.named(&self.instances[name]))));
        }
        Ok(self.find_stacks(name)?.first().copied())
    }

    /// Returns the indices of a stack or of every instance of a definition; none for one whose file could not be read.
    pub(super) fn find_stacks(&self, name: &StackName) -> Result<&[usize], (String, String)> {
        if let Some(at) = self.by_name.get(name) {
            return Ok(std::slice::from_ref(at));
        }
        if let Some(all) = self.instances.get(name) {
            return Ok(all);
        }
        let definition = name.as_str().rsplit_once('/').map_or("", |(definition, _)| definition);
        if [name.as_str(), definition].iter().any(|name| self.unread.contains(name)) || self.may_be_unread(name) {
            return Ok(&[]);
        }
        let known = self.by_name.keys().chain(self.instances.keys());
        let near = did_you_mean(name.as_str(), known.map(StackName::as_str));
        Err((format!("unknown stack {:?}", name.as_str()), near.unwrap_or_else(|| NO_STACK.into())))
    }

    /// Says whether `name` may be that of a stack, or of an instance, whose name could not be read.
    fn may_be_unread(&self, name: &StackName) -> bool {
        let definition = name.as_str().rsplit_once('/').map(|(definition, _)| definition);
        self.drafts.iter().map(|draft| &draft.stack).any(|stack| match &stack.instance {
            Some(instance) if stack.unread.name => instance.of.is_unread() || definition == Some(instance.of.as_str()),
            Some(_) => false,
            None => stack.unread.name || stack.unread.instances && definition == Some(stack.name.as_str()),
        })
    }

    /// Returns the index of a region; nothing where its id may be one that could not be read.
    pub(super) fn find_region(&self, id: &RegionId) -> Result<Option<usize>, (String, String)> {
        if self.file.unread.region_ids && !self.by_region.contains_key(id) {
            return Ok(None);
        }
        self.by_region.get(id).copied().map(Some).ok_or_else(|| {
            let near = did_you_mean(id.as_str(), self.by_region.keys().map(RegionId::as_str));
            let hint = near.map_or_else(|| NO_REGION.into(), |near| format!("{near} {NO_REGION}"));
            (format!("unknown region {:?}", id.as_str()), hint)
        })
    }

    pub(super) fn named(&self, stacks: &[usize]) -> String {
        some(stacks, |at| self.drafts[*at].stack.name.as_str())
    }
}
