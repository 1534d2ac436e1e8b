//! A Google Cloud Storage of our own on loopback, as stories need it. It can lose an answer, answer nonsense for a while, and forget its
//! conditions.

use super::Cloud;
use super::objects::{Answer, BUCKET, Objects, Request, TOKEN};
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Names in one answer to a listing: few, so that listings go on.
const PAGE: usize = 3;

/// What goes wrong with one of the next writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Goes well: for a trouble with a later one.
    None,
    /// Answers this status, and does nothing.
    Answer(u16),
    /// Closes the connection, and does nothing.
    LoseRequest,
    /// Does it, and closes the connection.
    LoseAnswer,
    /// Does nothing, and says nothing as long as the other side waits.
    Silence,
}

#[derive(Clone)]
pub(crate) struct Google {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    objects: Objects,
    troubles: VecDeque<Trouble>,
    is_elsewhere: bool,
    is_web_page: bool,
    /// When nobody is answered any more.
    death: Option<Death>,
    requests: usize,
    is_silent: bool,
    /// Of paths that nobody may write to.
    forbidden: BTreeSet<String>,
    /// What paths end with whose writes are answered late, and how late.
    late: Option<(String, Duration)>,
}

/// The asker dies, or the network: after so many requests, of which the last may still be done.
struct Death {
    left: usize,
    is_done: bool,
    /// The first that was not answered was a write.
    over: Option<bool>,
}

/// What becomes of a request.
enum Reply {
    Answer(Answer),
    Close,
    Silence,
}

impl Google {
    /// Starts to listen; its threads end with the process.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let google = Self { address: listener.local_addr().expect("it is bound"), state: Arc::new(Mutex::new(State::new())) };
        let own = google.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        google
    }

    pub(crate) fn cloud(&self) -> Cloud {
        let url = format!("http://{}", self.address);
        let variables = [("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN.to_string()), ("GOOGLE_BASE_URL", url)];
        Cloud { name: "gs", url: "gs://isobar-tests", variables: variables.into() }
    }

    /// Everything that it keeps.
    pub(crate) fn objects(&self) -> Objects {
        self.state().objects.clone()
    }

    /// Puts back what it once kept. Each counts as written anew, or a request that is still on its way would meet what it expects.
    pub(crate) fn put_back(&self, objects: &Objects) {
        self.state().objects.put_back(objects);
    }

    /// Lets the next writes go wrong, one after the other.
    pub(crate) fn troubles(&self, troubles: &[Trouble]) {
        self.state().troubles.extend(troubles);
    }

    /// Takes every write from now on, as some that speak such a protocol do.
    pub(crate) fn forget_conditions(&self) {
        self.state().objects.forgets_conditions = true;
    }

    /// Answers from now on as a web server does that knows nothing of buckets.
    pub(crate) fn be_elsewhere(&self) {
        self.state().is_elsewhere = true;
    }

    /// Answers everything from now on with a page for people, as whoever stands in between does; or as itself again.
    pub(crate) fn be_a_web_page(&self, is_web_page: bool) {
        self.state().is_web_page = is_web_page;
    }

    /// Answers so many more requests and then none, until [`Google::live`]; the first of those may still be done.
    pub(crate) fn die_after(&self, left: usize, is_done: bool) {
        self.state().death = Some(Death { left, is_done, over: None });
    }

    /// Answers again. Returns whether the first request that had not been answered was a write, if there was one.
    pub(crate) fn live(&self) -> Option<bool> {
        self.state().death.take().and_then(|death| death.over)
    }

    /// Lets nobody write over or delete what is below `prefix` of the bucket, as a retention does, or lets them again.
    pub(crate) fn lock(&self, prefix: &str, is_locked: bool) {
        let prefix = format!("{BUCKET}/{prefix}");
        let locked = &mut self.state().objects.locked;
        let _known = if is_locked { locked.insert(prefix) } else { locked.remove(&prefix) };
    }

    /// Returns how many requests came so far.
    pub(crate) fn requests(&self) -> usize {
        self.state().requests
    }

    /// Says whether a request came that is never answered.
    pub(crate) fn is_silent(&self) -> bool {
        self.state().is_silent
    }

    /// Lets nobody write below `prefix` of the bucket, or lets them again.
    pub(crate) fn forbid(&self, prefix: &str, is_forbidden: bool) {
        let prefix = format!("{BUCKET}/{prefix}");
        let forbidden = &mut self.state().forbidden;
        let _known = if is_forbidden { forbidden.insert(prefix) } else { forbidden.remove(&prefix) };
    }

    /// Answers every write to a path with this end so much later.
    pub(crate) fn answer_late(&self, end: &str, by: Duration) {
        self.state().late = Some((end.into(), by));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            let (answer, late) = {
                let mut state = self.state();
                let late = state.late.clone().filter(|(end, _)| request.method == "PUT" && request.path.ends_with(end.as_str()));
                (state.answer(&request), late)
            };
            if let Some((_, by)) = late {
                std::thread::sleep(by);
            }
            let answer = match answer {
                Reply::Answer(answer) => answer,
                Reply::Close => return,
                Reply::Silence => return drop(reader.read_to_end(&mut Vec::new())), // until the other side goes
            };
            if writer.write_all(&answer.text(&request.method)).is_err() {
                return;
            }
        }
    }
}

impl State {
    fn new() -> Self {
        Self {
            objects: Objects::by_pages_of(PAGE),
            troubles: VecDeque::new(),
            is_elsewhere: false,
            is_web_page: false,
            death: None,
            requests: 0,
            is_silent: false,
            forbidden: BTreeSet::new(),
            late: None,
        }
    }

    fn answer(&mut self, request: &Request) -> Reply {
        self.requests += 1;
        if self.is_web_page {
            let headers = vec![("content-type", "text/html; charset=utf-8".into()), ("etag", "\"page\"".into())];
            let body = b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>".into();
            return Reply::Answer(Answer { status: 200, headers, body });
        }
        if self.is_elsewhere {
            return Reply::Answer(Answer { status: 404, headers: vec![], body: b"<html>Not Found</html>".into() });
        }
        if let Some(refusal) = Objects::refusal(request) {
            return Reply::Answer(refusal);
        }
        if let Some(death) = &mut self.death {
            match death.left.checked_sub(1) {
                Some(left) => death.left = left,
                None => {
                    let (is_write, is_last) = (!request.is_read(), death.over.is_none());
                    death.over.get_or_insert(is_write);
                    if is_last && is_write && death.is_done {
                        self.objects.write(request);
                    }
                    return Reply::Close;
                }
            }
        }
        if request.is_read() {
            return Reply::Answer(self.objects.read(request));
        }
        if self.forbidden.iter().any(|prefix| request.path.starts_with(prefix)) {
            return Reply::Answer(Answer::error(403, "AccessDenied"));
        }
        match self.troubles.pop_front().unwrap_or(Trouble::None) {
            Trouble::None => Reply::Answer(self.objects.write(request)),
            Trouble::Answer(status) => Reply::Answer(Answer::error(status, "")),
            Trouble::LoseRequest => Reply::Close,
            Trouble::LoseAnswer => {
                self.objects.write(request);
                Reply::Close
            }
            Trouble::Silence => {
                self.is_silent = true;
                Reply::Silence
            }
        }
    }
}
