//! What `git` is told to reach a repository: a closed environment, and credentials that stand in no argument. Pure.

use base64::Engine as _;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// What git and ssh need of our environment; nothing else is handed on.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_GLOBAL",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Of the repository's own configuration: how hosts are reached, and who we are there.
const SETTINGS: &[&str] = &["http.", "credential.", "url.", "core.sshcommand", "ssh."];

/// Whatever a person's configuration says.
const ALWAYS: &[(&str, &str)] = &[
    ("protocol.version", "2"),
    ("core.hooksPath", "/dev/null"),
    ("gc.autoDetach", "false"),
    ("maintenance.autoDetach", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("transfer.fsckObjects", "true"),
    ("advice.pushUpdateRejected", "true"),
];

/// No user's name is as long as that.
const TOKEN_MIN: usize = 20;

/// The environment of every call.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    /// The repository, without a password.
    pub(super) address: String,
    kept: BTreeMap<String, String>,
    settings: Vec<(String, String)>,
    /// What must be shown nowhere.
    secrets: Vec<String>,
}

impl Reach {
    /// Gathers it of the process's environment and of the repository's settings; `GITHUB_TOKEN` is for its own server and for no other,
    /// and steps back when the checkout brings credentials of its own.
    pub(super) fn new(address: &str, variables: &BTreeMap<String, String>, settings: &[(String, String)]) -> Self {
        let set = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let kept = KEPT.iter().filter_map(|name| Some(((*name).to_string(), set(name)?.clone()))).collect();
        let is_ours = |name: &str| SETTINGS.iter().any(|prefix| name.to_lowercase().starts_with(prefix));
        let own: Vec<(String, String)> = settings.iter().filter(|(name, _)| is_ours(name)).cloned().collect();

        let mut reach = Self { address: address.into(), kept, settings: own, secrets: Vec::new() };
        reach.take_user_out();
        let server = set("GITHUB_SERVER_URL").map_or("https://github.com", |url| url.trim_end_matches('/'));
        let has_header = reach.settings.iter().any(|(name, _)| name.to_lowercase().ends_with(".extraheader"));
        if let Some(token) = set("GITHUB_TOKEN")
            && address.starts_with(&format!("{server}/"))
            && !has_header
        {
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
            reach.settings.push((format!("http.{server}/.extraheader"), format!("AUTHORIZATION: basic {basic}")));
            reach.secrets.extend([token.clone(), basic]);
        }
        let headers = reach.settings.iter().filter(|(name, _)| name.to_lowercase().ends_with(".extraheader"));
        let words: Vec<String> = headers.filter_map(|(_, value)| value.split_whitespace().last().map(str::to_string)).collect();
        reach.secrets.extend(words);
        reach
    }

    /// Others can read arguments: what stands before the host is told in the environment. A token may stand there by itself.
    fn take_user_out(&mut self) {
        let Some((scheme @ ("https" | "http"), rest)) = self.address.split_once("://") else { return };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let Some((user, host)) = authority.rsplit_once('@') else { return };
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let is_token = ["", "x-oauth-basic"].contains(&password) && name.len() >= TOKEN_MIN;
        let secrets = [Some(password), is_token.then_some(name)];
        self.secrets.extend(secrets.into_iter().flatten().flat_map(|secret| [secret.to_string(), decoded(secret)]));
        self.settings.push((format!("url.{scheme}://{authority}/.insteadOf"), format!("{scheme}://{host}/")));
        self.address = format!("{scheme}://{host}/{path}");
    }

    pub(super) fn environment(&self, cache: &Path) -> BTreeMap<OsString, OsString> {
        let mut env: BTreeMap<OsString, OsString> =
            self.kept.iter().map(|(name, value)| (name.clone().into(), value.clone().into())).collect();
        let mut put = |name: &str, value: OsString| env.insert(name.into(), value);
        put("GIT_DIR", cache.into());
        put("LC_ALL", "C".into());
        put("GIT_TERMINAL_PROMPT", "0".into());
        put("GIT_ALLOW_PROTOCOL", "https:http:ssh:file".into());
        let always = ALWAYS.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string()));
        let mut count = 0;
        // Large blobs stay at the server until they are asked for. Said here and not as an argument, or git would write into the
        // cache that it lacks some, in a form that our libgit2 does not open.
        let lacks = [("promisor", "true"), ("partialclonefilter", "blob:limit=1m")];
        let lacks = lacks.map(|(name, value)| (format!("remote.{}.{name}", self.address), value.to_string()));
        for (name, value) in self.settings.iter().cloned().chain(always).chain(lacks) {
            put(&format!("GIT_CONFIG_KEY_{count}"), name.into());
            put(&format!("GIT_CONFIG_VALUE_{count}"), value.into());
            count += 1;
        }
        put("GIT_CONFIG_COUNT", count.to_string().into());
        let has_ssh = ["GIT_SSH", "GIT_SSH_COMMAND"].iter().any(|name| self.kept.contains_key(*name))
            || self.settings.iter().any(|(name, _)| name.to_lowercase() == "core.sshcommand");
        if !has_ssh {
            put("GIT_SSH_COMMAND", "ssh -o BatchMode=yes".into()); // nobody is there to be asked
        }
        env
    }

    pub(super) fn mask(&self, text: &str) -> String {
        self.secrets.iter().filter(|secret| !secret.is_empty()).fold(text.to_string(), |text, secret| text.replace(secret, "***"))
    }
}

/// As git says it: `%2F` is `/`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "ghs_secret";

    fn environment(address: &str, more: &[(&str, &str)], settings: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_string(), (*b).to_string())).collect::<Vec<_>>();
        let given = [pairs(&[("PATH", "/bin"), ("AWS_SECRET", "x"), ("GIT_EXEC_PATH", "/evil")]), pairs(more)].concat();
        let reach = Reach::new(address, &given.into_iter().collect(), &pairs(settings));
        let text = |text: OsString| text.into_string().expect("it is text");
        reach.environment(Path::new("/cache")).into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    fn headers(env: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
        let key = |(name, key): (&String, &String)| name.strip_prefix("GIT_CONFIG_KEY_").map(|at| (at.to_string(), key.clone()));
        let keys: Vec<(String, String)> = env.iter().filter_map(key).filter(|(_, key)| key.ends_with("extraheader")).collect();
        let value = |(at, _): &(String, String)| {
            let (name, _) = env.get_key_value(&format!("GIT_CONFIG_KEY_{at}")).expect("it was found");
            (env[name].as_str(), env[&format!("GIT_CONFIG_VALUE_{at}")].as_str())
        };
        keys.iter().map(value).collect()
    }

    #[test]
    fn nothing_but_what_git_needs_is_handed_on() {
        let env =
            environment("https://github.com/a/b", &[("HOME", "/home/ann")], &[("remote.origin.url", "x"), ("alias.x", "!id")]);
        assert_eq!(
            (env.get("HOME").map(String::as_str), env.get("AWS_SECRET"), env.get("GIT_EXEC_PATH")),
            (Some("/home/ann"), None, None)
        );
        assert!(!env.values().any(|value| value == "alias.x" || value == "remote.origin.url"), "{env:?}");
        assert_eq!(env["GIT_TERMINAL_PROMPT"], "0");
    }

    #[test]
    fn the_token_goes_to_its_own_server_and_to_no_other() {
        let token = [("GITHUB_TOKEN", TOKEN)];
        let header = ("http.https://github.com/.extraheader", "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46Z2hzX3NlY3JldA==");
        assert_eq!(headers(&environment("https://github.com/a/b", &token, &[])), [header]);
        for other in ["https://github.com.evil.test/a/b", "https://evil.test/github.com/", "git@github.com:a/b.git"] {
            assert!(headers(&environment(other, &token, &[])).is_empty(), "{other}");
        }
        let own = [("GITHUB_TOKEN", TOKEN), ("GITHUB_SERVER_URL", "https://git.acme.test/")];
        assert_eq!(headers(&environment("https://git.acme.test/a/b", &own, &[])).len(), 1);
        assert!(headers(&environment("https://github.com/a/b", &own, &[])).is_empty());
    }

    #[test]
    fn credentials_that_the_checkout_kept_are_used_and_not_doubled() {
        let kept = [("http.https://github.com/.extraheader", "AUTHORIZATION: basic a2VwdA==")];
        assert_eq!(headers(&environment("https://github.com/a/b", &[("GITHUB_TOKEN", TOKEN)], &kept)), kept);
    }

    #[test]
    fn a_password_in_the_address_of_origin_is_no_argument() {
        let reach = Reach::new("https://ann:hunter2@acme.test/a.git", &BTreeMap::new(), &[]);
        assert_eq!(reach.address, "https://acme.test/a.git");
        let instead = ("url.https://ann:hunter2@acme.test/.insteadOf".to_string(), "https://acme.test/".to_string());
        assert_eq!((reach.settings.as_slice(), reach.mask("hunter2").as_str()), ([instead].as_slice(), "***"));
        assert_eq!(Reach::new("ssh://git@acme.test/a", &BTreeMap::new(), &[]).address, "ssh://git@acme.test/a");
    }

    #[test]
    fn a_token_that_stands_there_alone_is_one_as_well() {
        let token = "ghp_0123456789abcdefghij";
        for user in [token.to_string(), format!("{token}:"), format!("{token}:x-oauth-basic"), format!("ann:{token}")] {
            let reach = Reach::new(&format!("https://{user}@acme.test/a.git"), &BTreeMap::new(), &[]);
            assert_eq!(reach.address, "https://acme.test/a.git");
            assert_eq!(reach.mask(&format!("Password for 'https://{token}@acme.test'")), "Password for 'https://***@acme.test'");
        }
        let reach = Reach::new("https://ann:a%2Fb%%zz@acme.test/a.git", &BTreeMap::new(), &[]);
        assert_eq!((reach.mask("a%2Fb%%zz"), reach.mask("a/b%%zz")), ("***".into(), "***".into()));
        let named = Reach::new("https://acme@dev.azure.test/acme/a", &BTreeMap::new(), &[]);
        assert_eq!((named.address.as_str(), named.mask("acme").as_str()), ("https://dev.azure.test/acme/a", "acme"));
    }

    #[test]
    fn what_git_says_is_told_without_secrets() {
        let variables = BTreeMap::from([("GITHUB_TOKEN".to_string(), TOKEN.to_string())]);
        let reach = Reach::new("https://github.com/a", &variables, &[]);
        assert_eq!(reach.mask("fatal: ghs_secret eC1hY2Nlc3MtdG9rZW46Z2hzX3NlY3JldA=="), "fatal: *** ***");
    }
}
