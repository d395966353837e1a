//! One keep-alive connection that speaks just enough HTTP/1.1 to ask and to wait for the whole
//! answer. A general client costs about as much per request as the servers measured here, and
//! would be what is measured.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More headers than any server here sends.
const HEADERS: usize = 32;
/// Bytes read at once.
const READ: usize = 16 * 1024;

/// A request as bytes, ready to be sent again and again.
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A `GET`, with a bearer token or without one.
    pub(crate) fn get(path: &str, token: Option<&str>) -> Self {
        Self::new("GET", "localhost", path, token, b"")
    }

    /// A `GET` of the root of a host, without a token.
    pub(crate) fn visit(host: &str) -> Self {
        Self::new("GET", host, "/", None, b"")
    }

    /// A request with a JSON body.
    pub(crate) fn json(method: &str, path: &str, token: Option<&str>, body: &[u8]) -> Self {
        Self::new(method, "localhost", path, token, body)
    }

    fn new(method: &str, host: &str, path: &str, token: Option<&str>, body: &[u8]) -> Self {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
        if let Some(token) = token {
            head += &format!("authorization: Bearer {token}\r\n");
        }
        if !body.is_empty() {
            head +=
                &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        head += "\r\n";
        Self([head.as_bytes(), body].concat())
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
}

/// A connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(READ) })
    }

    /// Sends a request and waits for the end of its answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Answer> {
        self.stream.write_all(&request.0).await?;
        let (status, head, framing) = loop {
            if let Some(head) = parse_head(&self.received)? {
                break head;
            }
            self.receive().await?;
        };
        let mut body = Vec::new();
        let end = match framing {
            Framing::Length(length) => {
                while self.received.len() < head + length {
                    self.receive().await?;
                }
                body.extend_from_slice(&self.received[head..head + length]);
                head + length
            }
            Framing::Chunked => self.read_chunks(head, &mut body).await?,
        };
        self.received.drain(..end);
        Ok(Answer { status, body })
    }

    /// Reads chunks that begin at a place in what was received, and answers where they end.
    async fn read_chunks(&mut self, mut at: usize, body: &mut Vec<u8>) -> Result<usize> {
        loop {
            let size = httparse::parse_chunk_size(&self.received[at..]);
            let Ok(size) = size else { bail!("a chunk without a size") };
            let httparse::Status::Complete((line, size)) = size else {
                self.receive().await?;
                continue;
            };
            let start = at + line;
            let end = start + usize::try_from(size)?;
            // Each chunk, and the last one, ends with an empty line; no server here sends trailers.
            while self.received.len() < end + 2 {
                self.receive().await?;
            }
            body.extend_from_slice(&self.received[start..end]);
            at = end + 2;
            if size == 0 {
                return Ok(at);
            }
        }
    }

    async fn receive(&mut self) -> Result<()> {
        self.received.reserve(READ);
        let count = self.stream.read_buf(&mut self.received).await?;
        if count == 0 {
            bail!("the connection ended within an answer");
        }
        Ok(())
    }
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunked,
}

/// The status, the length and the framing of a head that was received whole.
fn parse_head(received: &[u8]) -> Result<Option<(u16, usize, Framing)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(received)? else { return Ok(None) };
    let status = response.code.context("an answer without a status")?;
    let mut framing = Framing::Length(0);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(std::str::from_utf8(header.value)?.trim().parse()?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Ok(Some((status, length, framing)))
}

/// Asks once, on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, request: &Request) -> Result<Answer> {
    Connection::open(address).await?.ask(request).await
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::net::TcpListener;

    use super::*;

    /// What is read of an answer that arrives in pieces, followed by a second one.
    async fn read(pieces: Vec<&'static str>) -> (u16, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            stream
        });
        let mut connection = Connection::open(address).await.unwrap();
        let request = Request::get("/", None);
        let first = connection.ask(&request).await.unwrap();
        assert_eq!(connection.ask(&request).await.unwrap().status, 204);
        drop(server.await.unwrap());
        (first.status, String::from_utf8(first.body).unwrap())
    }

    #[tokio::test]
    async fn an_answer_with_a_length_is_read_to_its_end() {
        let answer = read(vec!["HTTP/1.1 200 OK\r\ncontent-", "length: 5\r\n\r\nhe", "llo"]).await;
        assert_eq!(answer, (200, "hello".to_owned()));
    }

    #[tokio::test]
    async fn a_chunked_answer_is_read_to_its_end() {
        let head = "HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = read(vec![head, "3\r\nhel\r", "\n2\r\nlo\r\n0\r", "\n\r\n"]).await;
        assert_eq!(answer, (500, "hello".to_owned()));
    }
}
