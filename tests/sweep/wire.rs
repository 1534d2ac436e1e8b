//! The seam of a journal and destinations in a bucket: a server on loopback that numbers each request of a run, and does harm at one of
//! them. A line is how one run speaks to a room. Knows nothing of what the objects mean.

use super::harm::{Fault, Harm, Point};
use super::room::{Room, held};
use crate::support::cloud::objects::{Answer, BUCKET, Request, TOKEN};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Where systems keep the certificates of all authorities. Each process that opens a bucket reads them, which is a fifth of its work; for
/// a server that speaks plain HTTP one will do.
const CERTIFICATES: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
const END: &str = "-----END CERTIFICATE-----\n";

/// Serves every case at once.
#[derive(Clone)]
pub(crate) struct Wire {
    address: SocketAddr,
    lines: Arc<Mutex<BTreeMap<u64, Arc<Line>>>>,
    next: Arc<AtomicU64>,
    /// A file with one certificate, where one was found.
    certificate: Option<PathBuf>,
}

/// A line that is open; it ends with the value.
pub(crate) struct Open {
    wire: Wire,
    id: u64,
    line: Arc<Line>,
}

struct Line {
    room: Room,
    harm: Option<Harm>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    points: Vec<Point>,
    program: Program,
    /// The credentials may do nothing any more, or not write.
    may_not: Option<MayNot>,
    stands: Stands,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MayNot {
    Write,
    ReadOrWrite,
}

/// The process that speaks on a line.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Program {
    #[default]
    Starts,
    Runs(Pid),
    IsOver,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stands {
    #[default]
    NotYet,
    Still,
    NoMore,
}

/// What becomes of a request.
enum Fate {
    Answer(Answer),
    Close,
}

/// Where the point with this number stands.
fn at(number: u64) -> usize {
    usize::try_from(number).unwrap_or_default().wrapping_sub(1)
}

impl Wire {
    /// Starts to listen, and keeps a file in `dir`; its threads end with the process.
    pub(crate) fn start(dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let wire = Self { address, lines: Arc::default(), next: Arc::default(), certificate: certificate(dir) };
        let own = wire.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        wire
    }

    /// Opens a line to a room, on which `harm` befalls whoever speaks.
    pub(crate) fn open(&self, room: &Room, harm: Option<Harm>) -> Open {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let line = Arc::new(Line { room: room.clone(), harm, state: Mutex::default(), changed: Condvar::new() });
        held(&self.lines).insert(id, line.clone());
        Open { wire: self.clone(), id, line }
    }

    /// Answers one request after the other, each on the line that its path begins with.
    fn serve(&self, stream: TcpStream) {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(mut request) = Request::head(&mut reader) {
            let Some((id, path)) = request.path.split_once('/') else { return };
            let line = id.parse().ok().and_then(|id: u64| held(&self.lines).get(&id).cloned());
            let Some(line) = line else { return }; // what a run sent that is over is never done
            request.path = path.to_string();
            let method = request.method.clone();
            match line.answer(request, &mut reader) {
                Fate::Answer(answer) if writer.write_all(&answer.text(&method)).is_ok() => {}
                Fate::Answer(_) | Fate::Close => return,
            }
        }
    }
}

fn certificate(dir: &Path) -> Option<PathBuf> {
    let all = CERTIFICATES.iter().find_map(|path| std::fs::read_to_string(path).ok())?;
    let (first, _) = all.split_once(END)?;
    let path = dir.join("certificate.pem");
    std::fs::write(&path, format!("{first}{END}")).ok()?;
    Some(path)
}

impl Line {
    fn answer(&self, mut request: Request, reader: &mut BufReader<TcpStream>) -> Fate {
        let length = request.length();
        let Some((number, harm)) = self.number(&request) else { return Fate::Close };
        let half = harm == Some(Fault::Torn);
        if !request.take(reader, if half { length / 2 } else { length }) {
            return Fate::Close;
        }
        match harm {
            None | Some(Fault::Eio | Fault::Eintr | Fault::Full | Fault::Instant) => {
                Fate::Answer(self.carry_out(number, &request))
            }
            Some(Fault::Before | Fault::Torn) => self.kill(),
            Some(Fault::Late) => {
                let fate = self.kill();
                let point = held(&self.state).points.get(at(number)).cloned();
                if let Some(point) = point {
                    self.room.expect(request, point);
                }
                fate
            }
            Some(Fault::After) => {
                self.carry_out(number, &request);
                self.kill()
            }
            Some(Fault::Cut) => Fate::Close,
            Some(Fault::Lost) => {
                self.carry_out(number, &request);
                Fate::Close
            }
            Some(Fault::Busy) => Fate::Answer(Answer::error(503, "ServiceUnavailable")),
            Some(Fault::Forbid) => {
                let may_not = if request.is_read() { MayNot::ReadOrWrite } else { MayNot::Write };
                held(&self.state).may_not = Some(may_not);
                Fate::Answer(self.carry_out(number, &request))
            }
            Some(Fault::Stop) => {
                self.stand_still();
                Fate::Answer(self.carry_out(number, &request))
            }
        }
    }

    /// Gives a request its number; nothing when the run that sent it is over.
    fn number(&self, request: &Request) -> Option<(u64, Option<Fault>)> {
        let mut state = held(&self.state);
        if state.program == Program::IsOver {
            return None;
        }
        let number = state.points.len() as u64 + 1;
        let below = |path: &str| path.strip_prefix(BUCKET).unwrap_or(path).trim_start_matches('/').to_string();
        let (call, path) = match request.prefix() {
            Some(prefix) => ("LIST".to_string(), prefix.to_string()),
            None => (request.method.clone(), below(&request.path)),
        };
        state.points.push(Point { number, call, path, detail: request.length().to_string(), is_made: false });
        let is_it = self.harm.filter(|harm| harm.fault != Fault::Instant && harm.at == number);
        Some((number, is_it.map(|harm| harm.fault)))
    }

    fn carry_out(&self, number: u64, request: &Request) -> Answer {
        let may_not = held(&self.state).may_not;
        let refused = match may_not {
            Some(MayNot::ReadOrWrite) => true,
            Some(MayNot::Write) => !request.is_read(),
            None => false,
        };
        if refused {
            return Answer::error(403, "AccessDenied");
        }
        let answer = self.room.answer(request);
        if let Some(point) = held(&self.state).points.get_mut(at(number)) {
            point.is_made = answer.is_good();
        }
        answer
    }

    /// Ends the program with its children: they are one process group. What it sent besides, and was not read yet, is never done.
    fn kill(&self) -> Fate {
        let state = held(&self.state);
        let mut state =
            self.changed.wait_while(state, |state| state.program == Program::Starts).unwrap_or_else(PoisonError::into_inner);
        if let Program::Runs(program) = std::mem::replace(&mut state.program, Program::IsOver) {
            let _gone = kill_process_group(program, Signal::KILL);
        }
        Fate::Close
    }

    fn stand_still(&self) {
        let mut state = held(&self.state);
        state.stands = Stands::Still;
        drop(self.changed.wait_while(state, |state| state.stands == Stands::Still));
    }
}

impl Open {
    /// What the environment of the run must hold.
    pub(crate) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let url = format!("http://{}/{}", self.wire.address, self.id);
        let certificate = self.wire.certificate.iter().map(|path| ("SSL_CERT_FILE", path.into()));
        [("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN.into()), ("GOOGLE_BASE_URL", url.into())].into_iter().chain(certificate).collect()
    }

    /// This is the process that speaks, alone in its group.
    pub(crate) fn is_of(&self, program: Pid) {
        held(&self.line.state).program = Program::Runs(program);
        self.line.changed.notify_all();
    }

    /// It ended, and its number may soon be another's.
    pub(crate) fn is_over(&self) {
        held(&self.line.state).program = Program::IsOver;
        self.go_on();
    }

    pub(crate) fn kill(&self) {
        self.line.kill();
    }

    pub(crate) fn stands_still(&self) -> bool {
        held(&self.line.state).stands == Stands::Still
    }

    pub(crate) fn go_on(&self) {
        held(&self.line.state).stands = Stands::NoMore;
        self.line.changed.notify_all();
    }

    /// All requests so far, in order.
    pub(crate) fn points(&self) -> Vec<Point> {
        held(&self.line.state).points.clone()
    }
}

impl Drop for Open {
    /// What was on its way from an earlier run arrives at the latest now, unless this is the run that sent it.
    fn drop(&mut self) {
        held(&self.wire.lines).remove(&self.id);
        self.is_over();
        if self.line.harm.is_none_or(|harm| harm.fault != Fault::Late) {
            self.line.room.let_in();
        }
    }
}
