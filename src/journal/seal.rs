//! How a text of the journal is closed: its last member is its hash, and before that stands its seal when `ISOBAR_KEY` is set.
//! Knows one line of JSON; not what it says.
//!
//! ```text
//! {…,"seal":"<HMAC-SHA256 of {…}>","hash":"<SHA-256 of {…,"seal":"…"}>"}
//! ```
//!
//! Anyone can check a hash, and whoever can write can make one. A seal can be made and checked only with the key. As each entry
//! holds the hash of the one before, the seal of one entry stands for all entries before it.

use crate::change::{Digest, Key};
use std::fmt;

/// Makes and checks the seals of one kind of text.
#[derive(Clone)]
pub struct Sealer {
    key: Key,
    id: Digest,
}

/// A text that is what its hash says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closed<'a> {
    /// What the seal covers, without its last brace.
    body: &'a str,
    pub(super) seal: Option<&'a str>,
    pub(super) hash: Digest,
}

/// A journal that cannot be gone on with for want of the right key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsealed {
    pub what: &'static str,
    pub hint: &'static str,
}

impl Sealer {
    /// Seals entries and checkpoints.
    pub fn of_journal(key: &Key) -> Self {
        Self::of(key, "isobar journal seal v1")
    }

    /// Seals previews that were shown.
    pub fn of_previews(key: &Key) -> Self {
        Self::of(key, "isobar preview seal v1")
    }

    /// Seals what one process asks another to write for it.
    pub fn of_requests(key: &Key) -> Self {
        Self::of(key, "isobar request seal v1")
    }

    fn of(key: &Key, purpose: &str) -> Self {
        let key = key.for_purpose(purpose);
        Self { id: key.seal(b"isobar key id"), key }
    }

    /// Names the key, and tells nothing else of it.
    pub fn id(&self) -> &Digest {
        &self.id
    }

    pub(super) fn has_sealed(&self, closed: &Closed<'_>) -> bool {
        closed.seal == Some(self.key.seal(&[closed.body.as_bytes(), b"}"].concat()).as_str())
    }

    pub(super) fn seal(&self, body: &str) -> Digest {
        self.key.seal(body.as_bytes())
    }
}

impl PartialEq for Sealer {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Sealer {}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.id.short())
    }
}

/// Closes a JSON object by its hash, and by a seal when there is a key.
///
/// In place: a checkpoint of 10,000 targets has several megabytes.
pub fn close(body: impl Into<String>, sealer: Option<&Sealer>) -> String {
    let mut text = body.into();
    let seal = sealer.map(|sealer| sealer.seal(&text));
    if text.ends_with('}') {
        text.pop();
    }
    if let Some(seal) = seal {
        text += &format!(r#","seal":"{seal}""#);
    }
    text.push('}');
    let hash = Digest::of_bytes(text.as_bytes());
    text.pop();
    text + &format!(r#","hash":"{hash}"}}"#)
}

/// Says whether `text` is what its hash says.
pub fn is_closed(text: &str) -> bool {
    closed(text).is_some()
}

/// Says whether `text` was closed with a key, whichever.
pub fn is_sealed(text: &str) -> bool {
    closed(text).is_some_and(|closed| closed.seal.is_some())
}

/// Says whether `text` was closed with this key.
pub fn is_sealed_by(text: &str, sealer: &Sealer) -> bool {
    closed(text).is_some_and(|closed| sealer.has_sealed(&closed))
}

/// Opens a text that is what its hash says.
pub(super) fn closed(text: &str) -> Option<Closed<'_>> {
    let (sealed, hash) = last_member(text.strip_suffix('}')?, HASH)?;
    let own = Digest::of_bytes([sealed, "}"].concat().as_bytes());
    let (body, seal) = last_member(sealed, SEAL).map_or((sealed, None), |(body, seal)| (body, Some(seal)));
    (own.as_str() == hash).then_some(Closed { body, seal, hash: own })
}

const SEAL: &str = r#","seal":""#;
const HASH: &str = r#","hash":""#;
/// Characters of a digest.
const HEX: usize = 64;

/// Splits the last member off an object without its last brace, when it has this name and holds a digest.
fn last_member<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (body, member) = text.split_at_checked(text.len().checked_sub(name.len() + HEX + 1)?)?;
    let value = member.strip_prefix(name)?.strip_suffix('"')?;
    Some((body, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(key: &str) -> Sealer {
        Sealer::of_journal(&Key::new(key.as_bytes()))
    }

    #[test]
    fn a_text_ends_with_its_seal_and_its_hash() {
        let body = r#"{"a":1}"#;
        let seal = sealer("k").seal(body);
        let sealed = format!(r#"{{"a":1,"seal":"{seal}"}}"#);
        let hash = Digest::of_bytes(sealed.as_bytes());
        let text = close(body, Some(&sealer("k")));
        assert_eq!(text, format!(r#"{{"a":1,"seal":"{seal}","hash":"{hash}"}}"#));
        assert_eq!(close(body, None), format!(r#"{{"a":1,"hash":"{}"}}"#, Digest::of_bytes(body.as_bytes())));
        assert!(is_sealed_by(&text, &sealer("k")) && !is_sealed_by(&text, &sealer("other")));
    }

    #[test]
    fn what_was_changed_is_closed_no_more_and_a_hash_made_anew_is_no_seal() {
        let text = close(r#"{"a":1}"#, Some(&sealer("k")));
        assert_eq!(closed(&text.replace("\"a\":1", "\"a\":2")), None);
        let seal = closed(&text).and_then(|closed| closed.seal).unwrap_or_default().to_string();
        let forged = close(format!(r#"{{"a":2,"seal":"{seal}"}}"#), None);
        assert!(closed(&forged).is_some() && !is_sealed_by(&forged, &sealer("k")));
        assert!(!is_sealed_by(&close(r#"{"a":1}"#, None), &sealer("k")));
    }

    #[test]
    fn a_preview_cannot_stand_in_for_an_entry() {
        let text = close(r#"{"a":1}"#, Some(&Sealer::of_previews(&Key::new(b"k"))));
        assert!(!is_sealed_by(&text, &sealer("k")));
    }

    #[test]
    fn a_key_is_not_shown_by_what_names_it() {
        assert!(!format!("{:?}", sealer("hunter2")).contains("hunter2"));
        assert_ne!(sealer("one").id(), sealer("two").id());
    }

    #[test]
    fn nothing_short_or_foreign_is_closed() {
        for text in ["", "}", "{}", r#"{"hash":"x"}"#, "ä}"] {
            assert_eq!(closed(text), None, "{text}");
        }
    }
}
