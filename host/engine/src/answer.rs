//! From a request to an answer on one instance.
//!
//! A short answer is collected whole before anything is sent: an instance that traps in the
//! middle of it costs the client a clean 500 instead of half a document, and a client that reads
//! slowly holds no instance. A long answer is streamed.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::channel::oneshot as guest_oneshot;
use futures::future::join;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::sync::{mpsc, oneshot};
use wasmtime::{AsContextMut, Trap};
use wasmtime_wasi_http::handler::{Prepared, Response};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

use crate::controller::Running;
use crate::state::HostState;

/// Bytes of an answer that are collected before it is streamed instead.
const COLLECTED_BYTES: usize = 128 * 1_024;
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
    /// The component ended without any answer.
    #[error("the component ended without an answer")]
    Unanswered,
    /// The answer is larger than the component's limit.
    #[error("the answer is larger than {0} bytes, the limit of the component")]
    TooLarge(usize),
}

/// Where an answer goes, once.
pub(crate) type Reply = oneshot::Sender<Result<Answer, Failure>>;

/// The body of an [`Answer`].
pub enum AnswerBody {
    /// All of it.
    Whole(Full<Bytes>),
    /// The beginning, and where the rest comes from.
    Streamed(StreamedBody),
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(body) => body.ended,
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(_) => http_body::SizeHint::default(),
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
            // The driver went away without a word: a trap or the deadline.
            None => Some(Err(Failure::Unanswered)),
        })
    }
}

/// Runs one request on an instance until the answer and everything behind it is done. The answer
/// goes out through `reply` as soon as it is whole, or too long to wait for.
///
/// # Errors
/// When the instance trapped and must not be used again.
pub(crate) async fn exchange(
    running: &mut Running,
    request: http::Request<WasiBody>,
    limit: usize,
    reply: &mut Option<Reply>,
) -> wasmtime::Result<()> {
    let (sender, receiver) = guest_oneshot::channel();
    let Running { store, proxy, .. } = running;
    let prepared = Prepared::new(store.as_context_mut(), proxy, request, HostState::http, sender)?;
    let outcome = store
        .run_concurrent(async |accessor| {
            let answered = relay(receiver, limit, reply);
            let (ran, relayed) =
                join(prepared.run(accessor, std::future::pending()), answered).await;
            ran.and(relayed)
        })
        .await;
    let outcome = outcome.and_then(|ran| ran);
    if let Err(trap) = &outcome {
        // Who computes until the deadline is interrupted by a trap.
        let failure = match trap.downcast_ref() {
            Some(Trap::Interrupt) => Failure::Deadline,
            _ => Failure::Trapped(format!("{trap:#}")),
        };
        send(reply, Err(failure));
    }
    outcome.map(drop)
}

/// Passes the answer on. `reply` is taken once something was sent.
async fn relay(
    receiver: guest_oneshot::Receiver<wasmtime::Result<Response>>,
    limit: usize,
    reply: &mut Option<Reply>,
) -> wasmtime::Result<()> {
    let response = match receiver.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            send(reply, Err(Failure::Refused(format!("{error:#}"))));
            return Err(error);
        }
        // The instance is trapping; the other half of the join has the reason.
        Err(guest_oneshot::Canceled) => return Ok(()),
    };
    let (head, mut body) = response.into_parts();
    let mut collected = BytesMut::new();
    let mut first: Option<Bytes> = None;
    loop {
        match body.frame().await {
            None => {
                let whole = first.unwrap_or_else(|| collected.freeze());
                let whole = AnswerBody::Whole(Full::new(whole));
                send(reply, Ok(http::Response::from_parts(head, whole)));
                return Ok(());
            }
            Some(Ok(frame)) => {
                // Trailers of a whole answer are dropped: nobody asked for them.
                let Ok(data) = frame.into_data() else { continue };
                collect(&mut first, &mut collected, data);
                let size = first.as_ref().map_or(collected.len(), Bytes::len);
                if size > limit {
                    send(reply, Err(Failure::TooLarge(limit)));
                    wasmtime::bail!("the answer is larger than {limit} bytes");
                }
                if size > COLLECTED_BYTES {
                    let begun = first.unwrap_or_else(|| collected.freeze());
                    return stream(head, begun, body, limit, reply).await;
                }
            }
            Some(Err(error)) => {
                send(reply, Err(Failure::Trapped(format!("its answer broke off: {error}"))));
                wasmtime::bail!("the answer broke off: {error}");
            }
        }
    }
}

/// Keeps a body of one chunk as it is, and copies only when there are more.
fn collect(first: &mut Option<Bytes>, collected: &mut BytesMut, data: Bytes) {
    if collected.is_empty() && first.is_none() {
        *first = Some(data);
        return;
    }
    if let Some(begun) = first.take() {
        collected.extend_from_slice(&begun);
    }
    collected.extend_from_slice(&data);
}

async fn stream(
    head: http::response::Parts,
    begun: Bytes,
    mut body: WasiBody,
    limit: usize,
    reply: &mut Option<Reply>,
) -> wasmtime::Result<()> {
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let mut sent = begun.len();
    _ = sender.send(Chunk::Frame(Frame::data(begun))).await;
    let rest = AnswerBody::Streamed(StreamedBody { chunks, ended: false });
    send(reply, Ok(http::Response::from_parts(head, rest)));
    while let Some(frame) = body.frame().await {
        let chunk = match frame {
            Ok(frame) => {
                sent += frame.data_ref().map_or(0, Bytes::len);
                if sent > limit {
                    _ = sender.send(Chunk::Broken(Failure::TooLarge(limit))).await;
                    wasmtime::bail!("the answer is larger than {limit} bytes");
                }
                Chunk::Frame(frame)
            }
            Err(error) => {
                let failure = Failure::Trapped(format!("its answer broke off: {error}"));
                _ = sender.send(Chunk::Broken(failure)).await;
                wasmtime::bail!("the answer broke off: {error}");
            }
        };
        if sender.send(chunk).await.is_err() {
            wasmtime::bail!("the client went away in the middle of the answer");
        }
    }
    _ = sender.send(Chunk::End).await;
    Ok(())
}

/// Answers, unless that was done.
pub(crate) fn send(reply: &mut Option<Reply>, answer: Result<Answer, Failure>) {
    if let Some(reply) = reply.take() {
        // The client may have gone; then nobody misses the answer.
        _ = reply.send(answer);
    }
}
