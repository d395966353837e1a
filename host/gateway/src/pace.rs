//! Answers that wait for their readers, for so long and no longer.
//!
//! Over HTTP/1.1 a client that does not read fills its socket, and the time limit on writing ends
//! it. Over HTTP/2 each answer has a window of its own which the client opens, and a client that
//! leaves it shut while it answers pings looks well. So the stream of an answer is watched: it is
//! reset when no part of its body could be sent for too long.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;

use crate::patience::{Patience, Work};

/// What is given to HTTP/1.1 at one time. It takes what it is given and writes it later, and the
/// answer must not look read before it is.
const BUFFERED_BYTES: usize = 64 * 1_024;
/// What is given to HTTP/2 at one time: a frame as most clients allow it.
const PIECE_BYTES: usize = 16 * 1_024;
/// The end of a body goes alone. The protocol takes a piece as soon as the client opens its
/// window for one byte of it, and nobody watches what is taken; so the last piece is small.
const LAST_PIECE_BYTES: usize = 1_024;

tokio::task_local! {
    /// The patience with the stream this task works on.
    static STREAM: Arc<Patience>;
}

/// Runs the streams of HTTP/2 connections, each for as long as its client reads.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    /// How long a client may read nothing of an answer.
    pub(crate) stall_time: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let patience = Arc::new(Patience::new(self.stall_time, self.stall_time));
        // Until there is a piece of the answer to read.
        patience.begin();
        tokio::spawn(STREAM.scope(Arc::clone(&patience), async move {
            tokio::select! {
                biased;
                () = stream => {}
                () = patience.ended() => tracing::debug!("an answer that nobody reads is given up"),
            }
        }));
    }
}

/// Makes the body of an answer a [`Paced`] one.
pub(crate) async fn paced<B, E>(
    answering: impl Future<Output = Result<Response<B>, E>>,
    work: Work,
) -> Result<Response<Paced<B>>, E> {
    let answer = answering.await?;
    let stream = STREAM.try_with(Arc::clone).ok();
    Ok(answer.map(|body| Paced { body, rest: Bytes::new(), stream, given: false, _work: work }))
}

/// The body of an answer, in pieces, so that it is seen whether they are taken.
pub(crate) struct Paced<B> {
    body: B,
    /// What is left of the frame that is being given away.
    rest: Bytes,
    /// There on HTTP/2.
    stream: Option<Arc<Patience>>,
    /// Whether a piece is out that may not have been taken yet.
    given: bool,
    /// The connection is in use as long as the answer is.
    _work: Work,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        // Who asks for the next piece has got rid of the one before.
        if std::mem::take(&mut this.given)
            && let Some(stream) = &this.stream
        {
            stream.begin();
        }
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        this.given = true;
        let piece = match &this.stream {
            None => this.rest.split_to(this.rest.len().min(BUFFERED_BYTES)),
            Some(stream) => {
                stream.end();
                next_piece(&mut this.rest)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// The next piece for HTTP/2.
fn next_piece(rest: &mut Bytes) -> Bytes {
    match rest.len().checked_sub(LAST_PIECE_BYTES) {
        Some(before_last @ 1..) => rest.split_to(before_last.min(PIECE_BYTES)),
        // Copied, so that a last piece that lies about does not keep the whole with it.
        _ => Bytes::copy_from_slice(&std::mem::take(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(length: usize, expected: &[usize]) {
        let mut rest = Bytes::from(vec![7; length]);
        let pieces = std::iter::from_fn(|| (!rest.is_empty()).then(|| next_piece(&mut rest).len()));
        assert_eq!(pieces.collect::<Vec<_>>(), expected, "{length} bytes");
    }

    #[test]
    fn a_body_is_given_in_pieces_and_the_last_is_small() {
        check(0, &[]);
        check(1, &[1]);
        check(LAST_PIECE_BYTES, &[LAST_PIECE_BYTES]);
        check(LAST_PIECE_BYTES + 1, &[1, LAST_PIECE_BYTES]);
        check(PIECE_BYTES, &[PIECE_BYTES - LAST_PIECE_BYTES, LAST_PIECE_BYTES]);
        check(2 * PIECE_BYTES, &[PIECE_BYTES, PIECE_BYTES - LAST_PIECE_BYTES, LAST_PIECE_BYTES]);
    }
}
