//! Deployments of a commit: one in each environment, with the word on how it went. Looked for first, so that a lost answer, or a run that is
//! run again, makes no second one.

use super::checks::shortened;
use super::needs::Needs;
use super::{GitHub, telling};
use crate::host::{Boxed, Deployed, DeployedState, Deployments, HostError, Posted};
use crate::review::CommitSha;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// By this we find ours among all.
const TASK: &str = "isobar";
/// Between two things that are made: GitHub lets a token make 80 in a minute.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Deserialize)]
struct Deployment {
    id: u64,
    environment: String,
    /// GitHub's own filter is by the name of a ref as well.
    sha: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Status {
    state: String,
    description: Option<String>,
    log_url: Option<String>,
}

impl GitHub {
    pub(super) async fn tell_deployed(&self, told: &Deployments) -> Result<Posted, HostError> {
        let there = self.deployments(&told.commit).await?;
        for place in &told.places {
            let known = there.iter().find(|deployment| deployment.environment == place.environment);
            let id = match known {
                Some(deployment) => deployment.id,
                None => self.deploy(&told.commit, place).await?,
            };
            let said = said(told, place);
            let newest = if known.is_some() { self.newest_status(id).await? } else { None };
            if newest.is_none_or(|newest| !newest.says(&said)) {
                self.say_deployed(id, place, &said).await?;
            }
        }
        Ok(Posted::Done)
    }

    /// Ours of a commit, newest first.
    async fn deployments(&self, commit: &CommitSha) -> Result<Vec<Deployment>, HostError> {
        let doing = format!("reading the deployments of {}", commit.short());
        let path = self.path(&format!("/deployments?sha={commit}&task={TASK}&per_page=100"));
        let ask = telling(&doing, Needs::DeploymentsWrite);
        let mut all: Vec<Deployment> = self.api.list(ask, &path, serde_json::from_value).await?;
        all.retain(|deployment| *deployment.sha == *commit.0);
        Ok(all)
    }

    async fn deploy(&self, commit: &CommitSha, place: &Deployed) -> Result<u64, HostError> {
        let doing = format!("telling of the deployment to {}", place.environment);
        let look = || -> Boxed<'_, Result<Option<Deployment>, HostError>> {
            Box::pin(async move {
                let there = self.deployments(commit).await?;
                Ok(there.into_iter().find(|deployment| deployment.environment == place.environment))
            })
        };
        let body = json!({
            "ref": commit.0,
            "task": TASK,
            "environment": place.environment,
            "auto_merge": false,
            "required_contexts": [],
        });
        let path = self.path("/deployments");
        let made: Deployment = self.api.create(telling(&doing, Needs::DeploymentsWrite), &path, &body, look).await?;
        self.api.pause(PAUSE).await;
        Ok(made.id)
    }

    async fn newest_status(&self, id: u64) -> Result<Option<Status>, HostError> {
        let doing = format!("reading how deployment {id} stands");
        let path = self.path(&format!("/deployments/{id}/statuses?per_page=1"));
        let first: Option<Vec<Status>> = self.api.find(telling(&doing, Needs::DeploymentsWrite), &path).await?;
        Ok(first.and_then(|first| first.into_iter().next()))
    }

    async fn say_deployed(&self, id: u64, place: &Deployed, said: &Status) -> Result<(), HostError> {
        let doing = format!("telling how the deployment to {} went", place.environment);
        let look = || -> Boxed<'_, Result<Option<Status>, HostError>> {
            Box::pin(async move { Ok(self.newest_status(id).await?.filter(|newest| newest.says(said))) })
        };
        let mut body = json!({ "state": said.state, "description": said.description });
        if let Some(address) = &said.log_url {
            body["log_url"] = json!(address);
        }
        let path = self.path(&format!("/deployments/{id}/statuses"));
        let _made: Status = self.api.create(telling(&doing, Needs::DeploymentsWrite), &path, &body, look).await?;
        self.api.pause(PAUSE).await;
        Ok(())
    }
}

impl Status {
    /// It says the same, whichever run did.
    fn says(&self, other: &Self) -> bool {
        (&self.state, &self.description) == (&other.state, &other.description)
    }
}

fn said(told: &Deployments, place: &Deployed) -> Status {
    let state = match place.state {
        DeployedState::GoesOn => "in_progress",
        DeployedState::Success => "success",
        DeployedState::Failure => "failure",
    };
    Status { state: state.into(), description: Some(shortened(&place.sentence)), log_url: told.address.clone() }
}
