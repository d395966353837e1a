//! Somebody on loopback who answers over HTTP what a test tells them to, and remembers what they
//! were asked. Made of threads, so that it goes on while the test waits.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The longest head that is read: more is a mistake of the test.
const HEAD_BYTES: usize = 64 * 1024;

type Script = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// Somebody on loopback.
#[derive(Debug)]
pub struct HttpStub {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl HttpStub {
    /// Starts one that answers each head of a request, which is in lower case but for its first
    /// line. An empty answer is none: the connection is held, and nothing comes.
    ///
    /// # Panics
    /// When the machine has no free port.
    pub fn start(script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let heads = Arc::default();
        let (script, kept): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&heads));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, heads) = (Arc::clone(&script), Arc::clone(&kept));
                thread::spawn(move || answer(stream, &*script, &heads));
            }
        });
        Self { port, heads }
    }

    /// Where it is, without a slash at the end.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A whole answer, after which the connection ends. `headers` are lines that each end with `\r\n`.
pub fn http_answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n");
    format!("{head}{headers}\r\n{body}").into_bytes()
}

fn answer(mut stream: TcpStream, script: &Script, heads: &Mutex<Vec<String>>) {
    let Some(head) = head(&mut stream) else { return };
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let answer = script(&head);
    if answer.is_empty() {
        // Until the other side gives up.
        _ = stream.read(&mut [0; 1]);
        return;
    }
    // Whoever hung up needs no answer.
    _ = stream.write_all(&answer);
}

fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let (line, rest) = head.split_once("\r\n")?;
    Some(format!("{line}\r\n{}", rest.to_ascii_lowercase()))
}
