//! From a request to an answer on one instance.
//!
//! An answer is collected whole before anything is sent: an instance that traps in the middle of it
//! costs the client a clean 500 instead of half a document, and a client that reads slowly holds no
//! instance. Only what is too large to hold, or is meant to arrive piece by piece, is streamed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::channel::oneshot as guest_oneshot;
use futures::future::try_join;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc;
use wasmtime::{AsContextMut, Trap};
use wasmtime_wasi_http::handler::{Prepared, Response};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

use crate::budget::Budget;
use crate::collected::Collected;
use crate::controller::Running;
use crate::reply::Reply;
use crate::state::HostState;

/// Bytes of an answer that are collected before it is streamed instead: what a component may answer
/// by default, so that streaming is for those whose manifest asks for more.
const COLLECTED_BYTES: usize = 16 * 1_048_576;
/// Chunks of a streamed answer that may wait for the client.
const CHUNKS_AHEAD: usize = 4;

/// An answer, whole or streamed.
pub type Answer = http::Response<AnswerBody>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Every instance is busy and the queue is full; or the pool is.
    #[error("every instance is busy")]
    Overloaded,
    /// The deadline of the request passed.
    #[error("the component did not answer in time")]
    Deadline,
    /// The component trapped, or broke off in the middle of its answer.
    #[error("the component failed: {0}")]
    Trapped(String),
    /// The component returned an error code instead of an answer.
    #[error("the component answered with an error: {0}")]
    Refused(String),
    /// What runs outside of the host's own engine could not be asked, or broke off.
    #[error("the service cannot be reached: {0}")]
    Unreachable(String),
    /// The component ended without any answer.
    #[error("the component ended without an answer")]
    Unanswered,
    /// The answer is larger than the component's limit.
    #[error("the answer is larger than {0} bytes, the limit of the component")]
    TooLarge(usize),
}

/// Why an answer ended early through no fault of the component. Its instance is not used again,
/// because it may be in the middle of anything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Blameless {
    /// The client does not wait for the rest of a streamed answer.
    #[error("the client went away in the middle of the answer")]
    ClientLeft,
    /// Answers that wait to be read take all the memory there is for them.
    #[error("there is no memory for the answer, because others wait to be read")]
    NoRoom,
}

/// What an answer may take.
pub(crate) struct Bounds<'a> {
    /// Bytes, by the component's manifest.
    pub(crate) bytes: usize,
    /// The memory all answers share.
    pub(crate) answers: &'a Arc<Budget>,
}

/// The body of an [`Answer`].
pub enum AnswerBody {
    /// All of it.
    Whole(Full<Bytes>),
    /// The beginning, and where the rest comes from.
    Streamed(StreamedBody),
    /// Passed on as it arrives from what answers outside of the host.
    Passed(UnsyncBoxBody<Bytes, Failure>),
}

impl Default for AnswerBody {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

/// The rest of a long answer. Ends in an error when the component broke off.
pub struct StreamedBody {
    chunks: mpsc::Receiver<Chunk>,
    ended: bool,
}

enum Chunk {
    Frame(Frame<Bytes>),
    End,
    Broken(Failure),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Streamed(body) => body.poll_chunk(cx),
            Self::Passed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(body) => body.ended,
            Self::Passed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(_) => http_body::SizeHint::default(),
            Self::Passed(body) => body.size_hint(),
        }
    }
}

impl StreamedBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let chunk = std::task::ready!(self.chunks.poll_recv(cx));
        self.ended = !matches!(chunk, Some(Chunk::Frame(_)));
        Poll::Ready(match chunk {
            Some(Chunk::Frame(frame)) => Some(Ok(frame)),
            Some(Chunk::End) => None,
            Some(Chunk::Broken(failure)) => Some(Err(failure)),
            // The driver went away without a word: a trap, the deadline, or no room for one.
            None => Some(Err(Failure::Unanswered)),
        })
    }
}

/// Runs one request on an instance until the answer and everything behind it is done. The answer
/// goes out through `reply` as soon as it is whole, or is streamed.
///
/// # Errors
/// When the instance must not be used again: [`Blameless`], or else the component failed.
pub(crate) async fn exchange(
    running: &mut Running,
    request: http::Request<WasiBody>,
    bounds: Bounds<'_>,
    reply: &mut Reply,
) -> wasmtime::Result<()> {
    let (sender, receiver) = guest_oneshot::channel();
    let (relaying, relayed) = guest_oneshot::channel::<()>();
    let Running { store, proxy, .. } = running;
    let prepared = Prepared::new(store.as_context_mut(), proxy, request, HostState::http, sender)?;
    let work = async {
        let ran = store.run_concurrent(async |accessor| {
            let ran = prepared.run(accessor, std::future::pending()).await;
            // What the component goes on writing now is part of its work.
            _ = relayed.await;
            ran
        });
        ran.await.flatten()
    };
    // Beside the work and not in it: a component of the older generation that waits for its answer
    // to be read holds up everything inside.
    let answered = async {
        let answered = relay(receiver, bounds, reply).await;
        drop(relaying);
        answered
    };
    // Ends as soon as either fails: nobody waits for an instance that will not be kept. In this
    // order the work, too, ends when the answer does, and not a turn of the task later.
    let outcome = try_join(answered, work).await.map(|((), answered)| answered);
    if let Err(trap) = &outcome {
        // Who computes until the deadline is interrupted by a trap.
        let failure = match trap.downcast_ref() {
            Some(Trap::Interrupt) => Failure::Deadline,
            _ => Failure::Trapped(format!("{trap:#}")),
        };
        reply.send(Err(failure));
    }
    outcome.map(drop)
}

/// Passes the answer on.
async fn relay(
    receiver: guest_oneshot::Receiver<wasmtime::Result<Response>>,
    bounds: Bounds<'_>,
    reply: &mut Reply,
) -> wasmtime::Result<()> {
    let response = match receiver.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            reply.send(Err(Failure::Refused(format!("{error:#}"))));
            return Err(error);
        }
        // The instance is trapping; the other half of the join has the reason.
        Err(guest_oneshot::Canceled) => return Ok(()),
    };
    let (head, mut body) = response.into_parts();
    let mut collected = Collected::new(bounds.answers);
    if is_unbuffered(&head.headers) {
        return stream(head, collected.into_bytes(), body, bounds.bytes, reply).await;
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(&error, reply))?;
        // Trailers of a whole answer are dropped: nobody asked for them.
        let Ok(chunk) = frame.into_data() else { continue };
        let fits = collected.push(chunk);
        if collected.len() > bounds.bytes {
            reply.send(Err(Failure::TooLarge(bounds.bytes)));
            wasmtime::bail!("the answer is larger than {} bytes", bounds.bytes);
        }
        if !fits {
            reply.send(Err(Failure::Overloaded));
            return Err(Blameless::NoRoom.into());
        }
        if collected.len() > COLLECTED_BYTES {
            return stream(head, collected.into_bytes(), body, bounds.bytes, reply).await;
        }
    }
    let whole = AnswerBody::Whole(Full::new(collected.into_bytes()));
    reply.send(Ok(http::Response::from_parts(head, whole)));
    Ok(())
}

fn broken_off(error: &impl std::fmt::Display, reply: &mut Reply) -> wasmtime::Error {
    reply.send(Err(Failure::Trapped(format!("its answer broke off: {error}"))));
    wasmtime::format_err!("the answer broke off: {error}")
}

/// Whether an answer is meant to arrive piece by piece, as it is made: events are, and what says that
/// it is not to be held back, in the words that proxies know. Neither has an end of its own.
pub fn is_unbuffered(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    media_type.is_some_and(|media_type| media_type.starts_with(b"text/event-stream"))
        || headers.get("x-accel-buffering").is_some_and(|value| value == "no")
}

/// Sends what there is, and the rest as it comes. The client sets the pace, and the instance waits.
async fn stream(
    head: http::response::Parts,
    begun: Bytes,
    mut body: WasiBody,
    limit: usize,
    reply: &mut Reply,
) -> wasmtime::Result<()> {
    let without_end = is_unbuffered(&head.headers);
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let mut sent = begun.len();
    if !begun.is_empty() {
        _ = sender.send(Chunk::Frame(Frame::data(begun))).await;
    }
    let rest = AnswerBody::Streamed(StreamedBody { chunks, ended: false });
    reply.send(Ok(http::Response::from_parts(head, rest)));
    loop {
        reply.excuse(without_end);
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = sender.closed() => return Err(Blameless::ClientLeft.into()),
        };
        reply.excuse(true);
        let Some(frame) = frame else { break };
        let chunk = match frame {
            Ok(frame) => {
                sent += frame.data_ref().map_or(0, Bytes::len);
                if sent > limit {
                    _ = sender.try_send(Chunk::Broken(Failure::TooLarge(limit)));
                    wasmtime::bail!("the answer is larger than {limit} bytes");
                }
                Chunk::Frame(frame)
            }
            Err(error) => {
                let failure = Failure::Trapped(format!("its answer broke off: {error}"));
                _ = sender.try_send(Chunk::Broken(failure));
                wasmtime::bail!("the answer broke off: {error}");
            }
        };
        if sender.send(chunk).await.is_err() {
            return Err(Blameless::ClientLeft.into());
        }
    }
    _ = sender.send(Chunk::End).await;
    Ok(())
}
