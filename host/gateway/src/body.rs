//! Receiving a request body, before any component is involved: a slow client holds a connection,
//! never a controller.

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::SemaphorePermit;
use wasmtime_wasi_http::WasiBody;

use crate::problem::Problem;
use crate::{BODY_UNIT, Gateway};

/// A received body, and its part of the memory for bodies.
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
        let limit = self.limits.body_bytes;
        let too_large = || Problem::BodyTooLarge { limit };
        let announced = body.size_hint().upper();
        let size = announced.map_or(limit, |size| usize::try_from(size).unwrap_or(usize::MAX));
        if size > limit {
            return Err(too_large());
        }
        let units = u32::try_from(size.div_ceil(BODY_UNIT)).unwrap_or(u32::MAX);
        let share = self.bodies.try_acquire_many(units).map_err(|_| Problem::TooManyBodies)?;
        let collecting = Limited::new(body, limit).collect();
        match tokio::time::timeout(self.limits.receive_time, collecting).await {
            Ok(Ok(collected)) => Ok(Received { bytes: collected.to_bytes(), _share: Some(share) }),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Problem::BodyBroken),
            Err(_) => Err(Problem::BodyTooSlow),
        }
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
