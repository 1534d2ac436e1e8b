//! Digests: the same on every machine and at every parallelism. Each is over a domain name and length-prefixed parts, so
//! that no two different inputs run together.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;

/// A SHA-256 digest in lower-case hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(Arc<str>);

/// `ISOBAR_KEY`: keys the digests of sensitive values, so that nobody can guess a value from its digest.
#[derive(Clone)]
pub struct Key(Arc<[u8]>);

impl Digest {
    /// Returns the digest of `parts` in `domain`.
    pub fn of(domain: &str, parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in std::iter::once(&domain).chain(parts) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Self::hex(&hasher.finalize())
    }

    /// Returns the digest of raw bytes, as `sha256sum` prints it.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::hex(&Sha256::digest(bytes))
    }

    fn hex(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            hex.push(DIGITS[usize::from(byte >> 4)] as char);
            hex.push(DIGITS[usize::from(byte & 15)] as char);
        }
        Self(hex.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first twelve characters, which people copy.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl Key {
    pub fn new(secret: &[u8]) -> Self {
        Self(secret.into())
    }

    /// Returns the keyed digest of `parts` in `domain`; `domain` names the target, so that equal secrets of two targets differ.
    pub fn digest(&self, domain: &str, parts: &[&str]) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in std::iter::once(&domain).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Digest::hex(&mac.finalize().into_bytes())
    }

    /// Returns the key of one purpose, as `openssl` makes it of the secret and the purpose's name: what one purpose shows tells
    /// nothing about another.
    pub fn for_purpose(&self, purpose: &str) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        Self(mac.finalize().into_bytes().as_slice().into())
    }

    /// Returns the HMAC-SHA256 of raw bytes.
    pub fn seal(&self, bytes: &[u8]) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(bytes);
        Digest::hex(&mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Digest::of("d", &["ab", "c"]), Digest::of("d", &["a", "bc"]));
        assert_ne!(Digest::of("d", &["", "a"]), Digest::of("d", &["a", ""]));
    }

    #[test]
    fn bytes_hash_as_sha256sum_does() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of_bytes(b"").as_str(), empty);
    }

    #[test]
    fn another_key_or_another_target_gives_another_digest() {
        let (one, two) = (Key::new(b"one"), Key::new(b"two"));
        assert_ne!(one.digest("a@prod/x", &["v"]), two.digest("a@prod/x", &["v"]));
        assert_ne!(one.digest("a@prod/x", &["v"]), one.digest("b@prod/x", &["v"]));
    }

    #[test]
    fn one_input_has_one_digest_on_every_machine() {
        // printf '\0\0\0\0\0\0\0\1d\0\0\0\0\0\0\0\1a' | sha256sum
        assert_eq!(Digest::of("d", &["a"]), Digest::of_bytes(b"\0\0\0\0\0\0\0\x01d\0\0\0\0\0\0\0\x01a"));
        assert_ne!(Digest::of("d", &["a"]), Digest::of("e", &["a"]));
    }

    #[test]
    fn a_keyed_digest_is_not_the_plain_one() {
        let key = Key::new(b"Jefe");
        assert_eq!(key.digest("d", &["v"]), Key::new(b"Jefe").digest("d", &["v"]));
        assert_ne!(key.digest("d", &["v"]), Digest::of("d", &["v"]));
    }

    #[test]
    fn a_seal_is_what_openssl_makes_and_a_purpose_has_a_key_of_its_own() {
        // printf 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe
        let seal = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let key = Key::new(b"Jefe");
        assert_eq!(key.seal(b"what do ya want for nothing?").as_str(), seal);
        assert_ne!(key.for_purpose("one").seal(b"x"), key.for_purpose("two").seal(b"x"));
    }

    #[test]
    fn people_copy_twelve_characters() {
        assert_eq!(Digest::of_bytes(b"").short(), "e3b0c44298fc");
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", Key::new(b"hunter2")), "Key(…)");
    }
}
