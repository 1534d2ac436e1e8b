//! `${{ … }}` in texts: found, and filled in with what the caller looks up.

use super::reference::{self, CLOSE, Reference, To};
use super::{Kind, Mistake, Mistakes, Node, Site};
use serde_json::Value;
use std::sync::Arc;

pub(super) const OPEN: &str = "${{";

/// Replaces each expression in `node` by what `lookup` says. A text that is nothing but one expression takes the value's
/// type; every filled value keeps the site where its expression stands. What can't be looked up is a mistake there.
pub fn fill(node: &Node, lookup: &dyn Fn(&Reference) -> Result<Value, String>, mistakes: &mut Mistakes) -> Node {
    let kind = match &node.kind {
        Kind::Text(text) if text.contains(OPEN) => return fill_text(node, text, lookup, mistakes),
        Kind::List(items) => Kind::List(items.iter().map(|item| fill(item, lookup, mistakes)).collect()),
        Kind::Map(entries) => {
            let entry = |(key, site, value): &(Arc<str>, Site, Node)| (key.clone(), site.clone(), fill(value, lookup, mistakes));
            Kind::Map(entries.iter().map(entry).collect())
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Secret(_) => node.kind.clone(),
    };
    Node { site: node.site.clone(), kind }
}

fn fill_text(node: &Node, text: &str, lookup: &dyn Fn(&Reference) -> Result<Value, String>, mistakes: &mut Mistakes) -> Node {
    let pieces = pieces(text, &node.site, mistakes);
    if let [Piece::Reference(reference)] = pieces.as_slice() {
        return match lookup(reference) {
            Ok(value) => Node::from_value(&value, &reference.site),
            Err(why) => {
                mistakes.push(unfilled(reference, why));
                node.clone()
            }
        };
    }
    let mut filled = String::new();
    for piece in &pieces {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Reference(reference) => match lookup(reference).map(|value| as_part(&reference.to, value)) {
                Ok(Ok(part)) => filled.push_str(&part),
                Ok(Err(what)) => {
                    mistakes.push(Mistake::at(&reference.site, what).hint("write the expression alone, or name a value in it"))
                }
                Err(why) => mistakes.push(unfilled(reference, why)),
            },
        }
    }
    Node { site: node.site.clone(), kind: Kind::Text(filled.into()) }
}

/// Writes `value` as part of a longer text.
fn as_part(to: &To, value: Value) -> Result<String, String> {
    let what = match value {
        Value::String(text) => return Ok(text),
        Value::Bool(flag) => return Ok(flag.to_string()),
        Value::Number(number) => return Ok(number.to_string()),
        Value::Null => "nothing",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    Err(format!("{to} is {what} and can't be part of a longer text"))
}

/// What can't be filled in is most often a value that one of several regions lacks.
fn unfilled(reference: &Reference, why: String) -> Mistake {
    let hint = match &reference.to {
        To::Region(_) => "set it for each region where the stack runs, in isobar.yaml, or name fewer regions in where",
        To::Vars(_) => "set it in a layer that all regions of the stack share, such as vars of the stack, or name fewer in where",
        To::Output { .. } => "run both in the same regions, or name another one as stacks[\"base@prod/eu\"].outputs",
        To::StackName | To::InstanceName | To::Input(_) => "look at what the input is made of",
    };
    Mistake::at(&reference.site, why).hint(hint)
}

/// Returns every reference in `node`, in the order of the file. Expressions that can't be read are left out: they were
/// reported when the definition was read.
pub fn references_in(node: &Node) -> Vec<Reference> {
    check_expressions(node, &mut Mistakes::default())
}

/// Like [`references_in`], and reports each expression that can't be read.
pub(super) fn check_expressions(node: &Node, mistakes: &mut Mistakes) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(node, &mut found, mistakes);
    found
}

fn collect(node: &Node, found: &mut Vec<Reference>, mistakes: &mut Mistakes) {
    match &node.kind {
        Kind::Text(text) if text.contains(OPEN) => {
            found.extend(pieces(text, &node.site, mistakes).into_iter().filter_map(|piece| match piece {
                Piece::Reference(reference) => Some(reference),
                Piece::Text(_) => None,
            }));
        }
        Kind::List(items) => items.iter().for_each(|item| collect(item, found, mistakes)),
        Kind::Map(entries) => {
            for (key, site, value) in entries {
                if key.contains(OPEN) {
                    mistakes.push(Mistake::at(site, "a key can't hold an expression").hint("only values are filled in"));
                }
                collect(value, found, mistakes);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Secret(_) => {}
    }
}

/// A stretch of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Reference(Reference),
}

/// Takes `text` apart. `$${{` stands for a plain `${{`.
fn pieces(text: &str, site: &Site, mistakes: &mut Mistakes) -> Vec<Piece> {
    let (mut pieces, mut plain) = (Vec::new(), String::new());
    let mut at = 0;
    while let Some(open) = text[at..].find(OPEN).map(|found| at + found) {
        if let Some(before) = text[at..open].strip_suffix('$') {
            plain.push_str(before);
            plain.push_str(OPEN);
            at = open + OPEN.len();
            continue;
        }
        plain.push_str(&text[at..open]);
        let place = place_in(site, text, open);
        match reference::read(text, open + OPEN.len()) {
            Ok((to, end)) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Reference(Reference { to, site: place }));
                at = end;
            }
            Err(fault) => {
                let mistake = Mistake::at(&place_in(site, text, fault.at), fault.what);
                mistakes.push(match fault.hint {
                    Some(hint) => mistake.hint(hint),
                    None => mistake,
                });
                let rest = &text[open..];
                at = rest.find(CLOSE).map_or(text.len(), |close| open + close + CLOSE.len());
                plain.push_str(&text[open..at]);
            }
        }
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

/// Returns the place of byte `at` of a text whose first character stands at `site`.
fn place_in(site: &Site, text: &str, at: usize) -> Site {
    let before = &text[..at];
    let breaks = before.bytes().filter(|byte| *byte == b'\n').count();
    let last = before.rsplit('\n').next().unwrap_or(before);
    let columns = last.chars().count();
    Site { path: site.path.clone(), line: site.line + breaks as u32, column: site.column + columns as u32 }
}

/// Goes down `path` from `value`, into maps by key and lists by number; `whole` names the start for the reader.
pub fn walk<'a>(value: &'a Value, path: &[Arc<str>], whole: &str) -> Result<&'a Value, String> {
    let (mut here, mut name) = (value, whole.to_string());
    for step in path {
        let below = match here {
            Value::Object(map) => map.get(&**step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|nth| items.get(nth)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        here = below.ok_or_else(|| format!("{name} has no {step:?}"))?;
        name = format!("{name}.{step}");
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(text: &str) -> Node {
        Node { site: Site::new("a.yaml", 3, 5), kind: Kind::Text(text.into()) }
    }

    fn filled(source: &str) -> Result<Value, String> {
        let lookup = |reference: &Reference| match reference.to.to_string().as_str() {
            "vars.list" => Ok(json!([1, 2])),
            "vars.count" => Ok(json!(3)),
            "region.id" => Ok(json!("prod/eu")),
            other => Err(format!("no {other}")),
        };
        let mut mistakes = Mistakes::default();
        let node = fill(&text(source), &lookup, &mut mistakes);
        match mistakes.iter().next() {
            Some(mistake) => Err(mistake.to_string()),
            None => Ok(node.to_value()),
        }
    }

    #[test]
    fn a_lone_expression_keeps_the_type_of_its_value() {
        assert_eq!(filled("${{ vars.list }}"), Ok(json!([1, 2])));
        assert_eq!(filled("${{vars.count}}"), Ok(json!(3)));
    }

    #[test]
    fn expressions_among_text_are_written_into_it() {
        assert_eq!(filled("live/${{ region.id }}/${{ vars.count }}"), Ok(json!("live/prod/eu/3")));
    }

    #[test]
    fn a_doubled_dollar_is_a_plain_one() {
        assert_eq!(filled("$${{ secrets.X }} ${{ vars.count }} $5"), Ok(json!("${{ secrets.X }} 3 $5")));
    }

    #[test]
    fn a_list_inside_a_longer_text_is_a_mistake_at_its_place() {
        assert_eq!(
            filled("a ${{ vars.list }}"),
            Err("a.yaml:3:7: vars.list is a list and can't be part of a longer text\n  hint: write the expression alone, or name a value in it".into())
        );
    }

    #[test]
    fn every_form_of_reference_is_read_and_printed() {
        for (source, printed) in [
            ("${{ stacks[\"base\"].outputs.id }}", "stacks[\"base\"].outputs.id"),
            ("${{ stacks['dns@prod/global'].outputs[\"ip\"] }}", "stacks[\"dns@prod/global\"].outputs.ip"),
            ("${{ stacks.base.outputs.ids[0] }}", "stacks[\"base\"].outputs.ids.0"),
            ("${{ region.vars.net.cidr }}", "region.vars.net.cidr"),
            ("${{ inputs.vpc_cidr }}", "inputs.vpc_cidr"),
            ("${{ stack.name }}", "stack.name"),
            ("${{ vars }}", "vars"),
        ] {
            let found: Vec<_> = references_in(&text(source)).iter().map(|found| found.to.to_string()).collect();
            assert_eq!(found, [printed], "{source}");
        }
    }

    #[test]
    fn a_bad_expression_is_a_mistake_at_its_character() {
        for (source, told) in [
            ("${{ vars.a || 1 }}", "a.yaml:3:16: unexpected '|' in an expression"),
            ("x ${{ vars.", "a.yaml:3:16: the expression is not closed by }}"),
            ("${{ }}", "a.yaml:3:9: the expression ends too early"),
            ("one\n${{ regin.id }}", "a.yaml:4:9: unknown name \"regin\" in an expression"),
            ("${{ region.nam }}", "a.yaml:3:9: a region has no \"nam\""),
            ("${{ region.id.x }}", "a.yaml:3:9: region.id has nothing below it"),
            ("${{ stacks[\"base\"].id }}", "a.yaml:3:9: of another stack only its outputs are known"),
            ("${{ stacks[\"base }}", "a.yaml:3:16: unexpected '\"' in an expression"),
        ] {
            let mut mistakes = Mistakes::default();
            assert_eq!(check_expressions(&text(source), &mut mistakes), [], "{source}");
            let all: Vec<_> = mistakes.iter().map(|mistake| Mistake { hint: None, ..mistake.clone() }.to_string()).collect();
            assert_eq!(all, [told], "{source}");
        }
    }

    #[test]
    fn a_path_goes_into_maps_by_key_and_into_lists_by_number() {
        let value = json!({ "subnets": [{ "id": "a" }, { "id": "b" }] });
        let path = |text: &str| text.split('.').map(Into::into).collect::<Vec<Arc<str>>>();
        assert_eq!(walk(&value, &path("subnets.1.id"), "vars"), Ok(&json!("b")));
        assert_eq!(walk(&value, &path("subnets.2.id"), "vars"), Err("vars.subnets has no \"2\"".into()));
    }
}
