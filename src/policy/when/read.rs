//! The `when` of a rule, read. What can never hold would switch the rule off: that is a mistake.

use super::{ACTS, Act, When};
use crate::policy::glob::Globs;
use crate::policy::known::Known;
use crate::stack::{Fields, Kind, Mistake, Mistakes, Node, Site, did_you_mean};
use std::sync::Arc;

impl When {
    /// Reads the `when` of a rule; an absent one matches everything.
    pub(in crate::policy) fn read(node: Option<&Node>, known: &Known<'_>, mistakes: &mut Mistakes) -> Self {
        let Some(node) = node else { return Self::default() };
        let mut fields = Fields::of(node, "\"when\"", mistakes);
        let environments = names(&mut fields, "environment", &node.site, |name, at, to| known.check_environment(name, at, to));
        let clouds = names(&mut fields, "cloud", &node.site, |name, at, to| known.check_cloud(name, at, to));
        let regions = globs(&mut fields, "region", &node.site, |text, at, to| known.check_region(text, at, to));
        let stacks = globs(&mut fields, "stack", &node.site, |text, at, to| known.check_stack(text, at, to));
        let labels = fields.get("labels").map(|labels| read_labels(labels, fields.mistakes())).unwrap_or_default();
        let actions = read_actions(&mut fields, &node.site);
        let kinds = globs(&mut fields, "kinds", &node.site, |_, _, _| ());
        let addresses = globs(&mut fields, "addresses", &node.site, |_, _, _| ());
        let targets_min = fields.count("targets_min", 1);
        fields.finish();
        Self { environments, regions, clouds, stacks, labels, actions, kinds, addresses, targets_min }
    }
}

/// Reads one text or a list of them. An empty list would match nothing and so switch the rule off; that is a mistake.
pub(in crate::policy) fn texts<'a>(fields: &mut Fields<'a>, key: &'static str, site: &Site) -> Option<Vec<(&'a str, &'a Node)>> {
    let told = fields.mistakes().len();
    let texts = fields.texts(key)?;
    if texts.is_empty() && fields.mistakes().len() == told {
        fields.mistakes().push(Mistake::at(site, format!("{key:?} names nothing")).hint("name one, or remove the key"));
    }
    Some(texts)
}

type Check<'k> = &'k dyn Fn(&str, &Node, &mut Mistakes);

fn names(
    fields: &mut Fields<'_>,
    key: &'static str,
    site: &Site,
    check: impl Fn(&str, &Node, &mut Mistakes),
) -> Option<Vec<Arc<str>>> {
    let texts = checked(fields, key, site, &check)?;
    Some(texts.into_iter().map(|(text, _)| text.into()).collect())
}

fn globs(fields: &mut Fields<'_>, key: &'static str, site: &Site, check: impl Fn(&str, &Node, &mut Mistakes)) -> Option<Globs> {
    let texts = checked(fields, key, site, &check)?;
    Some(Globs::read(&texts, fields.mistakes()))
}

fn checked<'a>(fields: &mut Fields<'a>, key: &'static str, site: &Site, check: Check<'_>) -> Option<Vec<(&'a str, &'a Node)>> {
    let texts = texts(fields, key, site)?;
    for (text, node) in &texts {
        check(text, node, fields.mistakes());
    }
    Some(texts)
}

fn read_actions(fields: &mut Fields<'_>, site: &Site) -> Option<Vec<Act>> {
    let texts = texts(fields, "actions", site)?;
    let mut acts = Vec::new();
    for (text, node) in texts {
        match ACTS.iter().find(|(name, _)| *name == text) {
            Some((_, act)) => acts.push(*act),
            None => {
                let names = ACTS.map(|(name, _)| name);
                let hint = did_you_mean(text, names).unwrap_or_else(|| format!("actions are {}", names.join(", ")));
                fields.mistakes().push(Mistake::at(&node.site, format!("unknown action {text:?}")).hint(hint));
            }
        }
    }
    Some(acts)
}

fn read_labels(node: &Node, mistakes: &mut Mistakes) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
    let entries = match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => entries,
        _ => {
            let what = format!("\"labels\" must be a map of labels and values, and this is {}", node.kind_name());
            mistakes.push(Mistake::at(&node.site, what).hint("write labels: { tier: one }"));
            return Vec::new();
        }
    };
    entries.iter().map(|(key, _, value)| (key.clone(), label_values(key, value, mistakes))).collect()
}

fn label_values(key: &str, node: &Node, mistakes: &mut Mistakes) -> Vec<Arc<str>> {
    let items = match &node.kind {
        Kind::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    if items.is_empty() {
        mistakes.push(Mistake::at(&node.site, format!("label {key:?} names no value")).hint("name one, or remove the label"));
    }
    let mut values = Vec::new();
    for item in items {
        match item.as_str() {
            Some(text) => values.push(text.into()),
            None => {
                let what = format!("label {key:?} must be a text or a list of texts, and this is {}", item.kind_name());
                mistakes.push(Mistake::at(&item.site, what).hint("put the value in quotes"));
            }
        }
    }
    values
}
