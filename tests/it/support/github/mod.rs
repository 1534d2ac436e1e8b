//! A GitHub on loopback: one repository with its pull requests, reviews, comments, statuses, checks, issues, teams and deployments, in
//! the shape of GitHub's own description. It knows tokens and what each may do, writes down every request, and can go wrong as GitHub
//! does: at a request of one's choice, before or after it did what was asked.

#![allow(dead_code)] // compiled into several binaries, each of which uses a part

mod graphql;
mod request;
mod rest;
mod shape;
mod state;

pub(crate) use request::Request;
pub(crate) use state::{BOT, Role, State};

use request::Answer;
use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The token of a workflow. It must not be seen anywhere.
pub(crate) const TOKEN: &str = "canary-github-token";

/// What a workflow with all the permissions of our examples may do.
pub(crate) const WORKFLOW: &[&str] = &[
    "contents: read",
    "pull-requests: write",
    "issues: write",
    "statuses: write",
    "checks: write",
    "deployments: write",
    "actions: read",
];

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Closes the connection, and does nothing.
    LoseRequest,
    /// Does it, and closes the connection.
    LoseAnswer,
    /// Does it, and answers 503.
    FailAfter,
    /// Answers 503, and does nothing.
    Fail,
    /// Too much was asked: with how long to wait, or without.
    Limit(u16, Option<u64>),
    /// Half an answer.
    Truncate,
    /// Waits so long before it answers.
    Late(Duration),
}

/// One request, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) request: Request,
    /// `None` where no answer went back.
    pub(crate) status: Option<u16>,
}

/// A running server. It listens until the process ends.
#[derive(Clone)]
pub(crate) struct GitHub {
    address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
}

struct Inside {
    state: State,
    /// Who each token is, and what it may do.
    tokens: BTreeMap<String, (String, Vec<String>)>,
    /// By how many requests came before.
    troubles: BTreeMap<usize, Trouble>,
    recorded: Vec<Recorded>,
    /// Where it is reached, when that is another address.
    behind: Option<String>,
    /// What answers lack.
    lacks: Option<&'static str>,
    /// How many reads after each change are answered by what was there before it, and how many still are.
    stale: usize,
    stale_left: usize,
    before: State,
}

impl GitHub {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let github = Self { address: listener.local_addr().expect("it is bound"), inside: Arc::new(Mutex::new(Inside::new())) };
        let own = github.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        github
    }

    /// What a workflow finds in `GITHUB_API_URL`, of an Enterprise Server.
    pub(crate) fn api(&self) -> String {
        let behind = self.inside().behind.clone();
        behind.unwrap_or_else(|| self.own_api())
    }

    fn own_api(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    /// From now on it is reached by this address, for everything but GraphQL.
    pub(crate) fn behind(&self, address: &str) {
        self.inside().behind = Some(address.to_string());
    }

    /// And in `GITHUB_GRAPHQL_URL`.
    pub(crate) fn graphql(&self) -> String {
        format!("http://{}/api/graphql", self.address)
    }

    /// Lets people do something.
    pub(crate) fn people<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.inside().state)
    }

    /// Makes a token of this somebody's that may do this much.
    pub(crate) fn token(&self, token: &str, login: &str, allowed: &[&str]) {
        let allowed = allowed.iter().map(ToString::to_string).collect();
        self.inside().tokens.insert(token.into(), (login.into(), allowed));
    }

    /// Lets the request after so many others go wrong.
    pub(crate) fn trouble(&self, after: usize, trouble: Trouble) {
        let mut inside = self.inside();
        let at = inside.recorded.len() + after;
        inside.troubles.insert(at, trouble);
    }

    /// Leaves this out of every answer from now on, which GitHub would not.
    pub(crate) fn lack(&self, field: &'static str) {
        self.inside().lacks = Some(field);
    }

    /// Answers so many reads after each change with what was there before it.
    pub(crate) fn be_stale(&self, reads: usize) {
        self.inside().stale = reads;
    }

    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        self.inside().recorded.clone()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            let base = self.api();
            let (trouble, answer) = self.inside().answer(&request, &base);
            if let Some(Trouble::Late(by)) = trouble {
                std::thread::sleep(by);
            }
            let Some(answer) = answer else { return };
            let mut bytes = answer.bytes();
            if trouble == Some(Trouble::Truncate) {
                bytes.truncate(bytes.len() - answer.body.len() / 2 - 1);
                let _gone = writer.write_all(&bytes);
                return;
            }
            if writer.write_all(&bytes).is_err() {
                return;
            }
        }
    }
}

impl Inside {
    fn new() -> Self {
        let allowed = WORKFLOW.iter().map(ToString::to_string).collect();
        let tokens = [(TOKEN.to_string(), (BOT.to_string(), allowed))].into();
        Self {
            state: State::new(),
            tokens,
            troubles: BTreeMap::new(),
            recorded: vec![],
            behind: None,
            lacks: None,
            stale: 0,
            stale_left: 0,
            before: State::default(),
        }
    }

    fn answer(&mut self, request: &Request, base: &str) -> (Option<Trouble>, Option<Answer>) {
        let trouble = self.troubles.remove(&self.recorded.len());
        let answer = match trouble {
            Some(Trouble::LoseRequest) => None,
            Some(Trouble::Fail) => Some(rest::error("", "", 503, "No server is currently available to service your request.")),
            Some(Trouble::Limit(status, wait)) => {
                let answer = rest::error("", "", status, "You have exceeded a secondary rate limit.");
                Some(match wait {
                    Some(secs) => answer.with("retry-after", secs.to_string()),
                    None => answer,
                })
            }
            Some(Trouble::LoseAnswer) => {
                self.act(request, base);
                None
            }
            Some(Trouble::FailAfter) => {
                self.act(request, base);
                Some(rest::error("", "", 503, "No server is currently available to service your request."))
            }
            Some(Trouble::Truncate | Trouble::Late(_)) | None => {
                let answer = self.act(request, base);
                Some(match self.lacks {
                    Some(field) => answer.without(field),
                    None => answer,
                })
            }
        };
        self.recorded.push(Recorded { request: request.clone(), status: answer.as_ref().map(|answer| answer.status) });
        (trouble, answer)
    }

    fn act(&mut self, request: &Request, base: &str) -> Answer {
        let token = request.headers.get("authorization").and_then(|header| header.split(' ').nth(1)).unwrap_or_default();
        let Some((by, allowed)) = self.tokens.get(token).cloned() else {
            return rest::error("", "", 401, "Bad credentials");
        };
        let is_query = request.path == ["graphql"];
        if !is_query && request.method != "GET" {
            (self.before, self.stale_left) = (self.state.clone(), self.stale);
            return rest::answer(&mut self.state, request, &by, &allowed, base);
        }
        let is_stale = self.stale_left > 0;
        self.stale_left = self.stale_left.saturating_sub(1);
        let state = if is_stale { &mut self.before } else { &mut self.state };
        match is_query {
            true => graphql::answer(state, request, &by, &allowed),
            false => rest::answer(state, request, &by, &allowed, base),
        }
    }
}
