//! The kit a Windlass controller is written with: a router, typed requests, answers, and the
//! domain's ports over the host's WIT interfaces.
//!
//! A controller is a table of routes and a handler for each:
//!
//! ```ignore
//! pub fn router() -> Router<Error> {
//!     Router::new()
//!         .get("/api/v1/projects", projects::list)
//!         .post("/api/v1/projects", projects::create)
//! }
//!
//! async fn create(call: Call<'_>) -> Result<Response, Error> {
//!     let body: CreateProject = call.request.json()?;
//!     let project = windlass_domain::projects::create(call.context, body.into()).await?;
//!     Ok(Response::json(StatusCode::CREATED, &view(&project)))
//! }
//!
//! windlass_sdk::component!(crate::router, Error);
//! ```
//!
//! Left to others: the rules to the domain, SQL to the store, and what errors and resources look
//! like to each surface, whose error type says so by `From<Refusal>`, `From<domain::Error>` and
//! `Into<Response>`.

pub mod entity_tag;
pub mod error;
pub mod json;
pub mod paging;
pub mod query;
pub mod request;
pub mod response;
pub mod router;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(target_arch = "wasm32")]
mod bindings;
#[cfg(target_arch = "wasm32")]
pub mod component;
#[cfg(target_arch = "wasm32")]
mod ports;

pub use entity_tag::EntityTag;
pub use error::Refusal;
pub use http::{Method, StatusCode};
pub use paging::Paging;
pub use request::Request;
pub use response::{Response, Source};
pub use router::{Call, Ports, Route, Router};

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use spin_sdk;

/// Makes a component of a function that returns a [`Router`], given with the error type of its
/// surface. The table is built once for each instance, and instances are reused. What follows names
/// what the handlers get beside storage, and the component needs the grants of those names:
///
/// - `identity`: passwords, tokens and limits
/// - `operations`: waking the reconciler
/// - `logs`: what workloads wrote
/// - `measurements`: what workloads take of the machine
/// - `secrets`: sealing
/// - `source`: git providers
/// - `connections`: the URLs of databases
///
/// Natively this makes nothing.
#[macro_export]
macro_rules! component {
    ($router:path, $error:ty $(, $grant:ident)*) => {
        #[cfg(target_arch = "wasm32")]
        mod component {
            #![expect(unsafe_code, reason = "the exports of a component are raw symbols")]

            use $crate::component::{Granted, HandlerError, IncomingRequest, OutgoingResponse};

            static ROUTER: ::std::sync::LazyLock<$crate::Router<$error>> =
                ::std::sync::LazyLock::new(|| $router());

            struct Component;
            $crate::spin_sdk::wasip3::http::service::export!(Component);

            impl $crate::spin_sdk::wasip3::exports::http::handler::Guest for Component {
                async fn handle(
                    request: IncomingRequest,
                ) -> Result<OutgoingResponse, HandlerError> {
                    // Only what is named here is linked, and so imported.
                    let granted = Granted::NOTHING $(.$grant(&$crate::component::Host))*;
                    $crate::component::serve(&ROUTER, granted, request).await
                }
            }
        }
    };
}
