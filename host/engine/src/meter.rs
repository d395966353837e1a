//! Times and counts what components call in the host, in the same words for every capability.
//!
//! A capability makes a [`HostFunction`] for each of its functions when it admits a component, and
//! keeps it: finding a metric by its name costs more than some of the calls.

use std::sync::Arc;
use std::time::Instant;

use metrics::{Counter, Histogram};

/// One function of the host as one component calls it.
pub struct HostFunction {
    name: &'static str,
    component: Arc<str>,
    seconds: Histogram,
}

impl HostFunction {
    /// The function `name`, as `package.interface.function`, called by a component.
    pub fn new(name: &'static str, component: &str) -> Self {
        let seconds = metrics::histogram!(
            "windlass_host_call_seconds", "function" => name, "component" => component.to_owned()
        );
        Self { name, component: component.into(), seconds }
    }

    /// Records a call that began at `start`, and hands its result on.
    ///
    /// # Errors
    /// Those of the result.
    pub fn record<T, E: HostError>(&self, start: Instant, result: Result<T, E>) -> Result<T, E> {
        self.ended(start, result.as_ref().err().map(HostError::case));
        result
    }

    /// Records a call that began at `start` and ended with this case of an error, or with none.
    pub fn ended(&self, start: Instant, error: Option<&'static str>) {
        self.seconds.record(start.elapsed());
        if let Some(error) = error {
            metrics::counter!(
                "windlass_host_call_errors_total", "function" => self.name,
                "component" => self.component.to_string(), "error" => error
            )
            .increment(1);
        }
        // What a call did is done, and nobody knows yet. Tests cut the power here; a point is named
        // by the component and the function, such as `reconciler/runtime.workloads.start`.
        fail::fail_point!(&format!("{}/{}", self.component, self.name), |_| std::process::abort());
    }
}

/// Counts calls of a function that only reads what is there: to time it would take longer than
/// the call.
pub fn count_calls(name: &'static str, component: &str) -> Counter {
    metrics::counter!(
        "windlass_host_calls_total", "function" => name, "component" => component.to_owned()
    )
}

/// An error of the host as components see it: the closed core that all packages share.
pub trait HostError {
    /// The name of its case in the WIT.
    fn case(&self) -> &'static str;
}

/// Implements [`HostError`] for the error that the bindings of a package generate. A package whose
/// error lacks a case of the core, or has another, does not compile.
#[macro_export]
macro_rules! host_error {
    ($error:ty) => {
        impl $crate::HostError for $error {
            fn case(&self) -> &'static str {
                match self {
                    Self::Denied(_) => "denied",
                    Self::NotFound(_) => "not-found",
                    Self::Conflict(_) => "conflict",
                    Self::Invalid(_) => "invalid",
                    Self::Unavailable(_) => "unavailable",
                    Self::Quota(_) => "quota",
                    Self::Timeout(_) => "timeout",
                    Self::Other(_) => "other",
                }
            }
        }
    };
}
