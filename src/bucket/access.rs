//! With whose rights a service is asked, and where it is: the standard variables of each cloud, and nothing else of the environment.

use std::collections::BTreeMap;

/// What is read of the environment: names, and whether the value is a secret.
const VARIABLES: [(&str, bool); 31] = [
    ("AWS_ACCESS_KEY_ID", false),
    ("AWS_SECRET_ACCESS_KEY", true),
    ("AWS_SESSION_TOKEN", true),
    ("AWS_REGION", false),
    ("AWS_DEFAULT_REGION", false),
    ("AWS_ENDPOINT_URL", false),
    ("AWS_ENDPOINT_URL_S3", false),
    ("AWS_ENDPOINT_URL_STS", false),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", false),
    ("AWS_ROLE_ARN", false),
    ("AWS_ROLE_SESSION_NAME", false),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", false),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", false),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", false),
    ("AZURE_STORAGE_ACCOUNT", false),
    ("AZURE_STORAGE_KEY", true),
    ("AZURE_STORAGE_ACCOUNT_KEY", true),
    ("AZURE_STORAGE_SAS_TOKEN", true),
    ("AZURE_STORAGE_ENDPOINT", false),
    ("AZURE_CLIENT_ID", false),
    ("AZURE_CLIENT_SECRET", true),
    ("AZURE_TENANT_ID", false),
    ("AZURE_AUTHORITY_HOST", false),
    ("AZURE_FEDERATED_TOKEN_FILE", false),
    ("AZURE_MSI_ENDPOINT", false),
    ("AZURE_OBJECT_ID", false),
    ("AZURE_MSI_RESOURCE_ID", false),
    ("GOOGLE_APPLICATION_CREDENTIALS", false),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", true),
    ("GOOGLE_OAUTH_ACCESS_TOKEN", true),
    ("GOOGLE_BASE_URL", false),
];

/// The variables that are set. Not `Debug`: it holds keys.
#[derive(Clone, Default)]
pub struct Access {
    variables: BTreeMap<&'static str, String>,
}

impl Access {
    /// Takes the variables of ours out of an environment; an empty one counts as not set.
    pub fn of<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let set = |(name, _): &(&'static str, bool)| Some((*name, get(name).filter(|value| !value.is_empty())?.to_string()));
        Self { variables: VARIABLES.iter().filter_map(set).collect() }
    }

    /// Returns the variables that hold a secret, with it: what must never be written anywhere.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let secret = VARIABLES.iter().filter(|(_, is_secret)| *is_secret);
        secret.filter_map(|(name, _)| Some((*name, self.get(name)?)))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Returns the first of `names` that is set.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Returns every variable whose name begins with `prefix`.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'static str, &'a str)> {
        self.variables.iter().filter(move |(name, _)| name.starts_with(prefix)).map(|(name, value)| (*name, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_of_the_environment_is_read() {
        let access = Access::of(|name| match name {
            "AWS_REGION" => Some("eu-west-1"),
            "AWS_PROFILE" | "AWS_CONFIG_FILE" | "HOME" => Some("never"),
            "AWS_SESSION_TOKEN" => Some(""),
            "GOOGLE_OAUTH_ACCESS_TOKEN" => Some("ya29"),
            _ => None,
        });
        let all: Vec<_> = access.below("").collect();
        assert_eq!(all, [("AWS_REGION", "eu-west-1"), ("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29")]);
        assert_eq!(access.secrets().collect::<Vec<_>>(), [("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29")]);
    }
}
