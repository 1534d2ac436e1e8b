//! Who is in a team of an organisation: asked with a token of its own, as that of a workflow sees no teams.

use super::needs::{Needs, ORG_TOKEN};
use super::{GitHub, is_name, reading};
use crate::host::HostError;
use crate::review::User;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Member {
    login: Arc<str>,
}

impl GitHub {
    /// Those of the teams below it too.
    pub(super) async fn members(&self, name: &str) -> Result<Vec<User>, HostError> {
        let (organisation, team) = name.split_once('/').unwrap_or((&self.owner, name));
        let doing = format!("reading who is in {organisation}/{team}");
        if !is_name(organisation) || !is_name(team) {
            let hint = "a team goes by the name at the end of its address, such as platform-team";
            return Err(HostError { what: format!("{doing}: {name:?} is the name of no team"), hint: Some(hint.into()) });
        }
        let Some(api) = &self.organisation else {
            let what = format!("{doing}: that needs an org-token, as the token of a workflow sees no teams");
            return Err(HostError { what, hint: Some(ORG_TOKEN.into()) });
        };
        let path = format!("/orgs/{organisation}/teams/{}/members?per_page=100", team.to_lowercase());
        let members: Vec<Member> = api.list(reading(&doing, Needs::MembersRead), &path, serde_json::from_value).await?;
        Ok(members.into_iter().map(|member| User(member.login)).collect())
    }
}
