//! Approvals that were given as a comment: `/isobar approve DIGEST`, on a line of its own at the beginning. A comment that anybody
//! edited since commands nothing, and what its author may do is asked of GitHub.

use super::needs::Needs;
use super::{GitHub, reading};
use crate::host::HostError;
use crate::review::{About, Decided, Decision, User, Voice};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Characters of a digest. All are to be named: what begins alike can be made.
const DIGEST_CHARS: usize = 64;

#[derive(Deserialize)]
struct Permission {
    permission: String,
}

impl GitHub {
    /// The approvals in the comments on a pull request, oldest first.
    pub(super) async fn approvals_in_comments(&self, number: u64) -> Result<Vec<Decided>, HostError> {
        let doing = format!("reading the comments on #{number}");
        let mut comments = self.comments(reading(&doing, Needs::PullRequestsRead), number).await?;
        comments.sort_by_key(|comment| comment.created_at);
        let (mut decided, mut voices) = (Vec::new(), BTreeMap::new());
        for comment in comments.into_iter().filter(|comment| comment.last_edited_at.is_none()) {
            let (Some(author), Some(digests)) = (comment.author, approved(&comment.body)) else { continue };
            let voice = match voices.get(&author.login) {
                Some(voice) => *voice,
                None if author.kind == "Bot" => Voice::Bot,
                None => self.voice(&author.login).await?,
            };
            voices.insert(author.login.clone(), voice);
            decided.push(Decided {
                by: User(author.login.into()),
                voice,
                decision: Decision::Approve,
                about: About::Named(digests),
                at_ms: u64::try_from(comment.created_at.as_millisecond()).unwrap_or(u64::MAX),
            });
        }
        Ok(decided)
    }

    /// What somebody may do here.
    pub(super) async fn voice(&self, login: &str) -> Result<Voice, HostError> {
        let doing = format!("reading what {login} may do");
        let is_login = login.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        if !is_login {
            return Ok(Voice::Reader);
        }
        let path = self.path(&format!("/collaborators/{login}/permission"));
        let found: Option<Permission> = self.api.find(reading(&doing, Needs::Metadata), &path).await?;
        let may_write = found.is_some_and(|found| matches!(&*found.permission, "write" | "maintain" | "admin"));
        Ok(if may_write { Voice::Writer } else { Voice::Reader })
    }
}

/// The digests that the first line approves; nothing for any other text.
fn approved(body: &str) -> Option<Vec<Arc<str>>> {
    let mut words = body.lines().next()?.strip_prefix("/isobar approve ")?.split_whitespace().peekable();
    words.peek()?;
    let is_digest = |word: &str| word.len() == DIGEST_CHARS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    words.map(|word| is_digest(word).then(|| word.to_ascii_lowercase().into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_of_its_own_at_the_beginning_approves() {
        let (one, other) = ("b2".repeat(32), "0f".repeat(32));
        let digests = |body: &str| approved(body).map(|digests| digests.join(" "));
        assert_eq!(digests(&format!("/isobar approve {one}\nlooks good")), Some(one.clone()));
        let both = format!("/isobar approve {} {other}\r", one.to_uppercase());
        assert_eq!(digests(&both), Some(format!("{one} {other}")));
        for text in [
            String::new(),
            "/isobar approve".into(),
            "/isobar approve all".into(),
            "/isobar approve b24856656e20".into(),
            format!("/isobar approve {one} and more"),
            format!("> /isobar approve {one}"),
            format!(" /isobar approve {one}"),
            format!("hello\n/isobar approve {one}"),
            format!("/isobar approved {one}"),
        ] {
            assert_eq!(digests(&text), None, "{text:?}");
        }
    }
}
