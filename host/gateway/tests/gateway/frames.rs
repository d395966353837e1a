//! A client of HTTP/2 that does as little as it wants: frames by hand (RFC 9113).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{Served, within};

/// What an HTTP/2 connection begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACKNOWLEDGED: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A received frame.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Received {
    /// Whether it is the last of its stream.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// One connection. It answers settings and pings, as a client in good health does.
pub(crate) struct Frames(TcpStream);

impl Frames {
    /// Begins a connection on which the server may send this many bytes of each answer.
    pub(crate) async fn connect(served: &Served, window: u32) -> Self {
        let mut frames = Self(served.send(PREFACE).await);
        let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        frames.send(SETTINGS, 0, 0, &settings).await;
        frames
    }

    /// Asks for a page on a stream.
    pub(crate) async fn get(&mut self, stream: u32, path: &str) {
        // Literal fields of HPACK (RFC 7541): `:method: GET` and `:scheme: http` by their index,
        // `:path` and `:authority` by the index of their name.
        let mut head = vec![0x82, 0x86];
        for (name, value) in [(4, path), (1, "windlass")] {
            head.extend([name, u8::try_from(value.len()).expect("it is short")]);
            head.extend(value.bytes());
        }
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &head).await;
    }

    /// Lets the server send more on a stream; on all of them together when the stream is 0.
    pub(crate) async fn open_window(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()).await;
    }

    /// The next frame that is not about the connection's own health; none at its end.
    pub(crate) async fn next(&mut self) -> Option<Received> {
        loop {
            let frame = within(self.read()).await?;
            match (frame.kind, frame.flags & ACKNOWLEDGED) {
                (SETTINGS, 0) => self.send(SETTINGS, ACKNOWLEDGED, 0, &[]).await,
                (PING, 0) => self.send(PING, ACKNOWLEDGED, 0, &frame.payload).await,
                (SETTINGS | PING | WINDOW_UPDATE, _) => {}
                _ => return Some(frame),
            }
        }
    }

    /// The next frame of this kind; panics at the end of the connection.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Received {
        loop {
            let frame = self.next().await.expect("the connection goes on");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    async fn read(&mut self) -> Option<Received> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Received { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, length @ ..] = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
        let mut frame = length.to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // The server may have gone; what it said is still read.
        _ = self.0.write_all(&frame).await;
    }
}
