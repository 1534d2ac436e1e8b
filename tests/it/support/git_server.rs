//! A git host on loopback: `git http-backend` behind a server of a few lines, with a token to ask for and a way to refuse pushes.
//! It stops with the value.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// What the one token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    Read,
}

/// A server for every repository below one directory.
pub(crate) struct GitServer {
    url: String,
    port: u16,
    requests: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Site {
    root: PathBuf,
    /// The whole header that must come, in lower case names.
    authorization: String,
    access: Access,
}

impl GitServer {
    /// Serves what lies below `root` to who brings `authorization`; `None` where there is no git, unless `ISOBAR_REQUIRE` names it.
    pub(crate) fn start(root: &Path, authorization: &str, access: Access) -> Option<Self> {
        let dir =
            Command::new("git").arg("--exec-path").output().map(|said| String::from_utf8_lossy(&said.stdout).trim().to_string());
        if !dir.is_ok_and(|dir| Path::new(&dir).join("git-http-backend").exists()) {
            let required = std::env::var("ISOBAR_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|tool| tool == "git"), "git is required, and its http-backend is not there");
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (requests, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let site = Arc::new(Site { root: root.to_path_buf(), authorization: authorization.into(), access });
        let (count, over) = (requests.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let site = site.clone();
                std::thread::spawn(move || drop(answer(&site, stream))); // who went away is not answered
            }
        });
        Some(Self { url: format!("http://127.0.0.1:{port}"), port, requests, stop, thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port))); // wakes it
        self.thread.take().map(JoinHandle::join);
    }
}

fn answer(site: &Site, mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_string(), words.next().unwrap_or_default().to_string());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_string())),
            None => break,
        }
    }
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());

    let mut body = Vec::new();
    if header("transfer-encoding") == "chunked" {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).unwrap_or(0);
            reader.by_ref().take(size).read_to_end(&mut body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                break;
            }
        }
    } else {
        reader.by_ref().take(header("content-length").parse().unwrap_or(0)).read_to_end(&mut body)?;
    }

    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    if header("authorization") != site.authorization {
        return stream.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    if site.access == Access::Read && format!("{path}?{query}").contains("git-receive-pack") {
        let said = "Write access to repository not granted.";
        let head = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
            said.len()
        );
        return stream.write_all(head.as_bytes());
    }
    let said = backend(site, &method, path, query, &header, &body)?;
    let end = said.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(said.len());
    let head = String::from_utf8_lossy(&said[..end]);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let rest: String = head.lines().filter(|line| !line.starts_with("Status: ")).map(|line| format!("{line}\r\n")).collect();
    let body = said.get(end + 4..).unwrap_or_default();
    write!(stream, "HTTP/1.1 {status}\r\n{rest}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

/// Runs git's own CGI program.
fn backend<'a>(
    site: &Site,
    method: &str,
    path: &str,
    query: &str,
    header: &dyn Fn(&str) -> &'a str,
    body: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &site.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REMOTE_USER", "bot")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().expect("it is piped");
    let body = body.to_vec();
    let feed = std::thread::spawn(move || drop(input.write_all(&body)));
    let output = child.wait_with_output()?;
    feed.join().expect("feeding panics nowhere");
    Ok(output.stdout)
}
