//! Git repositories of a test, and a server that serves them over HTTP as others do: by
//! `git http-backend`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tempfile::TempDir;

/// A repository with a branch `main`.
#[derive(Debug)]
pub struct GitRepository {
    directory: PathBuf,
}

impl GitRepository {
    /// Commits files, each with its content, and answers the commit.
    ///
    /// # Panics
    /// When git does not do it.
    pub fn commit(&self, files: &[(&str, &[u8])]) -> String {
        for (path, content) in files {
            let path = self.directory.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).expect("a directory of the test can be made");
            }
            fs::write(path, content).expect("a file of the test can be written");
        }
        self.git(&["add", "--all"], b"");
        self.commit_index()
    }

    /// Commits what is in the index, and answers the commit.
    pub fn commit_index(&self) -> String {
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "change"], b"");
        self.git(&["rev-parse", "HEAD"], b"")
    }

    /// Makes a branch of what is committed.
    pub fn branch(&self, name: &str) {
        self.git(&["branch", name], b"");
    }

    /// Runs git in the repository with an input, and answers what it writes.
    ///
    /// # Panics
    /// When it fails.
    pub fn git(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = command()
            .current_dir(&self.directory)
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git is installed");
        child.stdin.take().expect("it was piped").write_all(input).expect("git reads its input");
        let output = child.wait_with_output().expect("git ends");
        assert!(output.status.success(), "git {arguments:?} failed");
        String::from_utf8(output.stdout).expect("git writes text").trim().to_owned()
    }
}

/// How a server treats who asks.
#[derive(Clone, Debug, Default)]
pub struct GitManners {
    /// Only requests with this `Authorization` are served.
    pub authorization: Option<String>,
    /// Nobody is answered, and nobody is sent away.
    pub silent: bool,
    /// Whoever asks is sent here instead, with the same path.
    pub moved_to: Option<String>,
}

/// Serves repositories on loopback until it is dropped.
#[derive(Debug)]
pub struct GitServer {
    root: TempDir,
    address: SocketAddr,
    manners: Arc<Mutex<GitManners>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl GitServer {
    /// Starts one without repositories.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let root = tempfile::tempdir().expect("a temporary directory");
        let server = Self { root, address, manners: Arc::default(), asked: Arc::default() };
        let (path, manners) = (server.root.path().to_owned(), Arc::clone(&server.manners));
        let asked = Arc::clone(&server.asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (path, manners) = (path.clone(), Arc::clone(&manners));
                let asked = Arc::clone(&asked);
                thread::spawn(move || {
                    // Whoever hangs up in the middle is not missed.
                    _ = answer(stream, &path, &manners, &asked);
                });
            }
        });
        server
    }

    /// Makes a repository.
    ///
    /// # Panics
    /// When git does not do it.
    pub fn repository(&self, name: &str) -> GitRepository {
        let directory = self.root.path().join(name);
        let path = directory.to_str().expect("a temporary directory has a plain name");
        let made = command().args(["init", "--quiet", "--initial-branch=main", path]).status();
        assert!(made.expect("git is installed").success());
        GitRepository { directory }
    }

    /// A repository that was made before.
    pub fn existing(&self, name: &str) -> GitRepository {
        GitRepository { directory: self.root.path().join(name) }
    }

    /// The address of a repository.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// From now on it treats everybody so.
    pub fn behave(&self, manners: GitManners) {
        *self.manners.lock().unwrap_or_else(PoisonError::into_inner) = manners;
    }

    /// The path and the `Authorization` of every request so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Git without anything of the surrounding machine's configuration.
fn command() -> Command {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
}

#[derive(Default)]
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

fn answer(
    mut stream: TcpStream,
    root: &Path,
    manners: &Mutex<GitManners>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let request = read(&stream)?;
    let authorization = request.header("authorization").to_owned();
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(format!("{} {authorization}", request.path).trim().to_owned());
    let manners = manners.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if manners.silent {
        // Until whoever asked gives up.
        return stream.read_to_end(&mut Vec::new()).map(drop);
    }
    if let Some(elsewhere) = manners.moved_to {
        let Request { path, query, .. } = request;
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {elsewhere}{path}?{query}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
    }
    if manners.authorization.is_some_and(|expected| expected != authorization) {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\
                       Connection: close\r\n\r\n";
        return stream.write_all(refusal.as_bytes());
    }
    let output = backend(root, &request)?;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(output.len());
    let (head, body) = output.split_at(end);
    let head = String::from_utf8_lossy(head);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\n")?;
    for line in head.lines().filter(|line| !line.starts_with("Status: ")) {
        write!(stream, "{line}\r\n")?;
    }
    let body = body.get(4..).unwrap_or_default();
    write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request =
        Request { method, path: path.to_owned(), query: query.to_owned(), ..Request::default() };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let length = request.header("content-length").parse().unwrap_or_default();
    reader.take(length).read_to_end(&mut request.body)?;
    Ok(request)
}

/// What `git http-backend` says to a request, by the common gateway interface.
fn backend(root: &Path, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut child = command()
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
    let body = request.body.clone();
    // Beside reading, so that neither waits for the other.
    let writing = thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output()?;
    _ = writing.join();
    Ok(output.stdout)
}
