//! Times and counts the calls of one component.

use std::time::Instant;

use metrics::Histogram;

use crate::Error;

/// The calls of one component, by function.
pub(crate) struct Meter {
    component: String,
    query: Histogram,
    begin: Histogram,
    transaction_query: Histogram,
    transaction_execute: Histogram,
    commit: Histogram,
}

/// A function of the interface.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    Query,
    Begin,
    TransactionQuery,
    TransactionExecute,
    Commit,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Query => "storage.query",
            Self::Begin => "storage.transaction.begin",
            Self::TransactionQuery => "storage.transaction.query",
            Self::TransactionExecute => "storage.transaction.execute",
            Self::Commit => "storage.transaction.commit",
        }
    }
}

impl Meter {
    pub(crate) fn new(component: &str) -> Self {
        let histogram = |call: Call| {
            metrics::histogram!(
                "windlass_host_call_seconds",
                "function" => call.name(), "component" => component.to_owned()
            )
        };
        Self {
            component: component.to_owned(),
            query: histogram(Call::Query),
            begin: histogram(Call::Begin),
            transaction_query: histogram(Call::TransactionQuery),
            transaction_execute: histogram(Call::TransactionExecute),
            commit: histogram(Call::Commit),
        }
    }

    /// Records one call that began at `start`, and hands its result on.
    pub(crate) fn record<T>(
        &self,
        call: Call,
        start: Instant,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        let histogram = match call {
            Call::Query => &self.query,
            Call::Begin => &self.begin,
            Call::TransactionQuery => &self.transaction_query,
            Call::TransactionExecute => &self.transaction_execute,
            Call::Commit => &self.commit,
        };
        histogram.record(start.elapsed());
        if let Err(error) = &result {
            metrics::counter!(
                "windlass_host_call_errors_total", "function" => call.name(),
                "component" => self.component.clone(), "error" => kind(error)
            )
            .increment(1);
        }
        result
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Denied(_) => "denied",
        Error::NotFound(_) => "not-found",
        Error::Conflict(_) => "conflict",
        Error::Invalid(_) => "invalid",
        Error::Unavailable(_) => "unavailable",
        Error::Quota(_) => "quota",
        Error::Timeout(_) => "timeout",
        Error::Other(_) => "other",
    }
}
