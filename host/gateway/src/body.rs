//! Receiving a request body, before any component is involved: a slow client holds a connection,
//! never a controller.

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime_wasi_http::WasiBody;

use crate::problem::Problem;
use crate::{BODY_UNIT, Gateway};

/// A received body, and its part of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) bytes: Bytes,
    _share: Option<SemaphorePermit<'a>>,
}

impl Gateway {
    /// Receives the whole body, within the limits on size, time and memory.
    pub(crate) async fn receive(&self, body: Incoming) -> Result<Received<'_>, Problem> {
        if body.is_end_stream() {
            return Ok(Received { bytes: Bytes::new(), _share: None });
        }
        let collecting = collect(body, self.limits.body_bytes, &self.bodies);
        let received = tokio::time::timeout(self.limits.receive_time, collecting).await;
        received.unwrap_or(Err(Problem::BodyTooSlow))
    }
}

/// Collects a body of up to `limit` bytes, with memory from `bodies`.
async fn collect<B>(mut body: B, limit: usize, bodies: &Semaphore) -> Result<Received<'_>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large = || Problem::BodyTooLarge { limit };
    let announced = body.size_hint().upper();
    let most = announced.map_or(limit, |size| usize::try_from(size).unwrap_or(usize::MAX));
    if most > limit {
        return Err(too_large());
    }
    let mut collected = Collected { bytes: Vec::new(), share: None, most, bodies };
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Problem::BodyBroken)?.into_data() else { continue };
        if data.len() > limit - collected.bytes.len() {
            return Err(too_large());
        }
        collected.add(&data)?;
    }
    Ok(Received { bytes: collected.bytes.into(), _share: collected.share })
}

/// What has arrived of a body. It is copied together: a frame can keep a whole buffer of the
/// connection for the sake of one byte. Memory is taken as the bytes come, and not for what was
/// announced: who announces much and sends little takes nothing from others.
struct Collected<'a> {
    bytes: Vec<u8>,
    share: Option<SemaphorePermit<'a>>,
    /// How large the body can become.
    most: usize,
    bodies: &'a Semaphore,
}

impl Collected<'_> {
    fn add(&mut self, data: &[u8]) -> Result<(), Problem> {
        let needed = self.bytes.len() + data.len();
        if needed > self.bytes.capacity() {
            // Doubled, so that a body in crumbs is not moved for each of them.
            let doubled = self.bytes.capacity().max(BODY_UNIT / 2) * 2;
            self.grow(doubled.min(self.most).max(needed))?;
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Accounts for so many bytes, and then makes room for them.
    fn grow(&mut self, capacity: usize) -> Result<(), Problem> {
        let held = self.share.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = capacity.div_ceil(BODY_UNIT).saturating_sub(held);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        // Nobody waits for memory while holding some.
        let more = self.bodies.try_acquire_many(more).map_err(|_| Problem::TooManyBodies)?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        Ok(())
    }
}

/// A body for a component.
pub(crate) fn whole(bytes: Bytes) -> WasiBody {
    if bytes.is_empty() {
        Empty::new().map_err(|never| match never {}).boxed_unsync()
    } else {
        Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    const LIMIT: usize = 1_048_576;

    /// A body whose size is not announced, in frames that keep the whole of a buffer.
    fn crumbs(
        buffer: &Bytes,
        count: usize,
        size: usize,
    ) -> impl Body<Data = Bytes, Error = Infallible> + Unpin + use<> {
        let crumb = buffer.slice(..size);
        StreamBody::new(stream::iter(0..count).map(move |_| Ok(Frame::data(crumb.clone()))))
    }

    fn buffer() -> Bytes {
        Bytes::from(vec![7; BODY_UNIT])
    }

    /// A body of which one byte comes, and then nothing.
    fn stalled() -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"x")))]);
        StreamBody::new(first.chain(stream::pending()))
    }

    fn units(bytes: usize) -> Semaphore {
        Semaphore::new(bytes / BODY_UNIT)
    }

    #[tokio::test]
    async fn a_body_in_crumbs_keeps_no_more_than_its_bytes() {
        let (bodies, buffer) = (units(LIMIT), buffer());
        let received = collect(crumbs(&buffer, 100_000, 1), LIMIT, &bodies).await;
        let received = received.expect("it fits");
        assert_eq!(received.bytes.len(), 100_000);
        assert!(buffer.is_unique(), "a frame is kept");
        let accounted = LIMIT - bodies.available_permits() * BODY_UNIT;
        assert!((100_000..=200_000).contains(&accounted), "{accounted}");
    }

    #[tokio::test]
    async fn a_body_takes_memory_as_it_arrives() {
        let bodies = units(LIMIT);
        let mut dribbles: Vec<_> =
            (0..100).map(|_| Box::pin(collect(stalled(), LIMIT, &bodies))).collect();
        for dribble in &mut dribbles {
            assert!(futures::poll!(dribble).is_pending());
        }
        assert_eq!(bodies.available_permits(), LIMIT / BODY_UNIT - 100);
        let other = collect(crumbs(&buffer(), 1, 100), LIMIT, &bodies).await;
        assert_eq!(other.expect("there is memory left").bytes.len(), 100);
        drop(dribbles);
        assert_eq!(bodies.available_permits(), LIMIT / BODY_UNIT);
    }

    #[tokio::test]
    async fn what_is_too_large_or_more_than_there_is_memory_for_is_refused() {
        let (bodies, affordable) = (units(2 * LIMIT), units(LIMIT / 2));
        let large = collect(crumbs(&buffer(), 1_001, 1_000), 1_000_000, &bodies).await;
        assert!(matches!(large, Err(Problem::BodyTooLarge { limit: 1_000_000 })), "{large:?}");
        let announced = collect(Full::new(Bytes::from(vec![7; 11])), 10, &bodies).await;
        assert!(matches!(announced, Err(Problem::BodyTooLarge { limit: 10 })), "{announced:?}");
        let unaffordable = collect(crumbs(&buffer(), 1_000, 1_000), LIMIT, &affordable).await;
        assert!(matches!(unaffordable, Err(Problem::TooManyBodies)), "{unaffordable:?}");
        assert_eq!(affordable.available_permits(), LIMIT / 2 / BODY_UNIT, "it was given back");
    }
}
