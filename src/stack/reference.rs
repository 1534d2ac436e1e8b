//! What an expression names: the grammar between `${{` and `}}`. What a reference stands for is the caller's to look up.

use super::Site;
use std::fmt;
use std::sync::Arc;

/// One `${{ … }}` in a definition: what it names, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub to: To,
    pub site: Site,
}

/// What an expression names. A path may go on below the name, into maps by key and into lists by number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum To {
    /// `region.id`, `region.labels.tier`, `region.vars.cidr`: the path below `region`, never empty.
    Region(Vec<Arc<str>>),
    /// `stack.name`.
    StackName,
    /// `instance.name`.
    InstanceName,
    /// `vars.owner`: the path below `vars`; empty for all of them.
    Vars(Vec<Arc<str>>),
    /// `inputs.cidr`: the path below `inputs`, never empty.
    Input(Vec<Arc<str>>),
    /// `stacks["base"].outputs.id` or `stacks["dns@prod/global"].outputs.ip`: the path below `outputs` is never empty.
    Output { stack: Arc<str>, region: Option<Arc<str>>, path: Vec<Arc<str>> },
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self {
            To::Region(path) => {
                f.write_str("region")?;
                path
            }
            To::StackName => return f.write_str("stack.name"),
            To::InstanceName => return f.write_str("instance.name"),
            To::Vars(path) => {
                f.write_str("vars")?;
                path
            }
            To::Input(path) => {
                f.write_str("inputs")?;
                path
            }
            To::Output { stack, region: None, path } => {
                write!(f, "stacks[{stack:?}].outputs")?;
                path
            }
            To::Output { stack, region: Some(region), path } => {
                write!(f, "stacks[\"{stack}@{region}\"].outputs")?;
                path
            }
        };
        path.iter().try_for_each(|step| write!(f, ".{step}"))
    }
}

pub(super) const CLOSE: &str = "}}";

/// Why an expression can't be read, and at which byte of the text.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

const FORM: &str = "an expression is a path such as region.vars.cidr, vars.owner, inputs.id or stacks[\"base\"].outputs.id";

/// Reads the expression whose `${{` ends at byte `at`; returns it and where its `}}` ends.
pub(super) fn read(text: &str, at: usize) -> Result<(To, usize), Fault> {
    let mut scan = Scan { text, at };
    let to = scan.expression()?;
    Ok((to, scan.at))
}

/// A reading of one expression, from behind its `${{` to behind its `}}`.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn expression(&mut self) -> Result<To, Fault> {
        self.blanks();
        let start = self.at;
        let root = self.name().ok_or_else(|| self.unexpected())?;
        let path = self.path()?;
        self.blanks();
        if !self.take(CLOSE) {
            return Err(self.unexpected());
        }
        reference(root, path).map_err(|(what, hint)| Fault { at: start, what, hint })
    }

    /// Reads the steps behind the first name: `.name`, `["name"]` or `[0]`.
    fn path(&mut self) -> Result<Vec<Arc<str>>, Fault> {
        let mut path = Vec::new();
        loop {
            if self.take(".") {
                path.push(self.name().ok_or_else(|| self.unexpected())?.into());
            } else if self.take("[") {
                path.push(self.quoted().or_else(|| self.number()).ok_or_else(|| self.unexpected())?.into());
                if !self.take("]") {
                    return Err(self.unexpected());
                }
            } else {
                return Ok(path);
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.rest().starts_with(token);
        if taken {
            self.at += token.len();
        }
        taken
    }

    fn while_char(&mut self, allowed: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        self.at += self.rest().find(|c| !allowed(c)).unwrap_or(self.rest().len());
        &self.text[start..self.at]
    }

    fn blanks(&mut self) {
        self.while_char(char::is_whitespace);
    }

    fn name(&mut self) -> Option<&'a str> {
        let begins = self.rest().starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        begins.then(|| self.while_char(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'))
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let quote = self.rest().chars().next().filter(|c| *c == '"' || *c == '\'')?;
        let start = self.at + 1;
        let len = self.text[start..].find(quote)?;
        self.at = start + len + 1;
        Some(&self.text[start..start + len])
    }

    fn number(&mut self) -> Option<&'a str> {
        Some(self.while_char(|c| c.is_ascii_digit())).filter(|digits| !digits.is_empty())
    }

    fn unexpected(&self) -> Fault {
        let what = match self.rest().chars().next() {
            Some(_) if self.rest().starts_with(CLOSE) => "the expression ends too early".into(),
            Some(c) => format!("unexpected {c:?} in an expression"),
            None => "the expression is not closed by }}".into(),
        };
        Fault { at: self.at, what, hint: Some(FORM.into()) }
    }
}

const REGION_KEYS: [&str; 6] = ["id", "environment", "name", "cloud", "labels", "vars"];
const ROOTS: [&str; 6] = ["region", "stack", "instance", "vars", "inputs", "stacks"];

/// Makes sense of a path, or says what is wrong with it and what to do next.
fn reference(root: &str, path: Vec<Arc<str>>) -> Result<To, (String, Option<String>)> {
    let fault = |what: String, hint: Option<String>| Err((what, hint));
    match (root, path.as_slice()) {
        ("region", [key]) if REGION_KEYS.contains(&&**key) => Ok(To::Region(path)),
        ("region", [key, ..]) if &**key == "vars" => Ok(To::Region(path)),
        ("region", [key, _]) if &**key == "labels" => Ok(To::Region(path)),
        ("region", [key, ..]) if REGION_KEYS.contains(&&**key) => fault(format!("region.{key} has nothing below it"), None),
        ("region", [key, ..]) => {
            let near = super::did_you_mean(key, REGION_KEYS);
            fault(format!("a region has no {key:?}"), near.or(Some(format!("a region has {}", REGION_KEYS.join(", ")))))
        }
        ("region", []) => fault("region alone is no value".into(), Some(format!("a region has {}", REGION_KEYS.join(", ")))),
        ("stack", [key]) if &**key == "name" => Ok(To::StackName),
        ("stack", _) => fault(
            "of its own stack an expression knows stack.name only".into(),
            Some("another stack's outputs are stacks[\"name\"].outputs".into()),
        ),
        ("instance", [key]) if &**key == "name" => Ok(To::InstanceName),
        ("instance", _) => fault(
            "of its instance an expression knows instance.name only".into(),
            Some("what an instance sets is in vars".into()),
        ),
        ("vars", _) => Ok(To::Vars(path)),
        ("inputs", [_, ..]) => Ok(To::Input(path)),
        ("inputs", []) => fault("inputs alone is no value".into(), Some("name one, such as inputs.id".into())),
        ("stacks", [name, outputs, rest @ ..]) if &**outputs == "outputs" && !rest.is_empty() => {
            let (stack, region) = match name.split_once('@') {
                Some((stack, region)) => (stack.into(), Some(region.into())),
                None => (name.clone(), None),
            };
            Ok(To::Output { stack, region, path: rest.to_vec() })
        }
        ("stacks", _) => {
            fault("of another stack only its outputs are known".into(), Some("write stacks[\"base\"].outputs.id".into()))
        }
        (other, _) => {
            let near = super::did_you_mean(other, ROOTS);
            fault(format!("unknown name {other:?} in an expression"), near.or(Some(FORM.into())))
        }
    }
}
