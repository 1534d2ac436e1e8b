//! The bytes by which changes are compared: equal bytes mean equal changes.

use super::super::{Detail, Digest, Intent, Preview, Sign};
use super::substitute::{Piece, Values};
use std::sync::Arc;

/// Writes the changes so that equal bytes mean equal changes; a name is written apart from a text that only looks like it.
pub(super) fn canonical(preview: &Preview, values: &Values<'_>, names: &[(Arc<str>, Arc<str>)], out: &mut Vec<u8>) {
    let part = |out: &mut Vec<u8>, mark: u8, text: &str| {
        out.push(mark);
        out.extend_from_slice(&(text.len() as u64).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    let general = |out: &mut Vec<u8>, text: &str| {
        values.split(text, |piece| match piece {
            Piece::Text(text) => part(out, b't', text),
            Piece::Name(name) => part(out, b'n', &names[name].0),
        });
        out.push(b'.');
    };
    let optional = |out: &mut Vec<u8>, text: Option<&str>| match text {
        Some(text) => general(out, text),
        None => out.push(b'-'),
    };

    part(out, b'e', &preview.engine);
    out.push(if preview.intent == Intent::Destroy { b'd' } else { b'c' });
    for change in &preview.changes {
        out.push(b'#');
        general(out, &change.address);
        part(out, b'k', &change.kind);
        part(out, b'a', change.action.sign().encode_utf8(&mut [0; 4]));
        out.extend([change.sensitive, change.bound, change.before.is_some(), change.after.is_some()].map(u8::from));
        for hole in &change.holes {
            out.push(b'h');
            general(out, hole);
        }
        match &change.detail {
            Detail::Hidden(why) => {
                out.push(b'H');
                general(out, why);
                let shown = |digest: &Option<Digest>| {
                    (!change.sensitive).then(|| digest.as_ref().map(|digest| digest.as_str().to_owned()))
                };
                optional(out, shown(&change.before).flatten().as_deref());
                optional(out, shown(&change.after).flatten().as_deref());
            }
            Detail::Text(diff) => {
                for hunk in &diff.hunks {
                    out.push(b'@');
                    let place = [hunk.old_start, hunk.old_len, hunk.new_start, hunk.new_len];
                    place.iter().for_each(|number| out.extend_from_slice(&(*number as u64).to_be_bytes()));
                    for line in &hunk.lines {
                        out.push(match line.sign {
                            Sign::Same => b' ',
                            Sign::Removed => b'-',
                            Sign::Added => b'+',
                        });
                        general(out, &line.text);
                    }
                }
            }
            Detail::Fields(fields) => {
                for field in fields {
                    out.push(b'F');
                    general(out, &field.path);
                    optional(out, field.before.as_deref());
                    optional(out, field.after.as_deref());
                }
            }
        }
    }
}
