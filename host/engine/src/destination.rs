//! Where requests of the world go that are no business of the platform's APIs: to what tenants
//! deployed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi_http::WasiBody;

use crate::answer::{Answer, Failure};
use crate::controller::Controller;
use crate::request::RequestContext;

/// An answer of a destination, later.
pub type DestinationFuture = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

/// Something that answers requests of the world.
pub trait Destination: Send + Sync {
    /// How long it may take to answer.
    fn time_limit(&self) -> Duration;

    /// Answers one request, whose body may still be arriving.
    fn answer(
        self: Arc<Self>,
        context: RequestContext,
        request: http::Request<WasiBody>,
    ) -> DestinationFuture;
}

impl Destination for Controller {
    fn time_limit(&self) -> Duration {
        self.manifest().limits.deadline()
    }

    fn answer(
        self: Arc<Self>,
        context: RequestContext,
        request: http::Request<WasiBody>,
    ) -> DestinationFuture {
        Box::pin(async move { self.handle(context, request).await })
    }
}
