//! Names that templates read in every rendering, and that some targets have no value for: known without rendering anything.

use crate::command::say::some;
use crate::stack::{Mistake, Resolved, Site, StackName, Target, To, Uses, did_you_mean};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is missing, by place and name, and how many targets of each definition were looked at.
#[derive(Default)]
pub(super) struct Lacking<'f> {
    missing: BTreeMap<(Site, Arc<str>), Missing<'f>>,
    looked_at: BTreeMap<&'f StackName, usize>,
}

struct Missing<'f> {
    of: &'f StackName,
    targets: Vec<Arc<str>>,
    near: Option<String>,
    /// More is looked for in it, so that `default(…)` would come too late.
    is_entered: bool,
}

impl<'f> Lacking<'f> {
    /// Looks for what a target's sources read for certain; not for what `may_change` once another mistake is mended.
    pub(super) fn look(&mut self, target: &'f Target, resolved: &Resolved, uses: &Uses, may_change: &dyn Fn(&To) -> bool) {
        let of = target.stack.definition();
        *self.looked_at.entry(of).or_default() += 1;
        for (name, sites) in &uses.certain {
            let Some((missing, known)) = resolved.lacks(name).filter(|_| !reference(name).is_some_and(|to| may_change(&to)))
            else {
                continue;
            };
            let step = missing.rsplit('.').next().unwrap_or(missing);
            for site in sites {
                let missing = self.missing.entry((site.clone(), missing.into())).or_insert_with(|| Missing {
                    of,
                    targets: Vec::new(),
                    near: did_you_mean(step, known.iter().copied()),
                    is_entered: missing.len() < name.len(),
                });
                missing.targets.push(target.id.to_string().into());
            }
        }
    }

    pub(super) fn into_mistakes(self) -> impl Iterator<Item = Mistake> {
        let Self { missing, looked_at } = self;
        missing.into_iter().map(move |((site, name), missing)| {
            let is_everywhere = looked_at.get(missing.of) == Some(&missing.targets.len());
            let what = match is_everywhere {
                true => format!("undefined {name}"),
                false => format!("undefined {name} in {}", some(&missing.targets)),
            };
            let hint = missing.near.unwrap_or_else(|| {
                let place = match name.split('.').take(2).collect::<Vec<_>>()[..] {
                    ["inputs", ..] => "declare it under inputs",
                    ["region", "vars"] => "set it under vars of its regions in isobar.yaml",
                    ["region", "labels"] => "add the label to its regions in isobar.yaml",
                    ["region", "cloud"] => "add cloud to its regions in isobar.yaml",
                    _ => "set it under vars",
                };
                match missing.is_entered {
                    true => format!("{place}; or ask first: {{% if {name} is defined %}}"),
                    false => format!("{place}; or say what is printed without it: {{{{ {name}|default(…) }}}}"),
                }
            });
            Mistake::at(&site, what).hint(hint)
        })
    }
}

fn reference(name: &str) -> Option<To> {
    let mut steps = name.split('.');
    let root = steps.next()?;
    let path = steps.map(Arc::from).collect();
    match root {
        "vars" => Some(To::Vars(path)),
        "inputs" => Some(To::Input(path)),
        "region" => Some(To::Region(path)),
        _ => None,
    }
}
