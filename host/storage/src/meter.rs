//! Times and counts the calls of one component.

use windlass_engine::HostFunction;

use crate::Error;

/// The calls of one component, by function.
pub(crate) struct Meter {
    pub(crate) query: HostFunction,
    pub(crate) begin: HostFunction,
    pub(crate) transaction_query: HostFunction,
    pub(crate) transaction_execute: HostFunction,
    pub(crate) commit: HostFunction,
}

impl Meter {
    pub(crate) fn new(component: &str) -> Self {
        let function = |name| HostFunction::new(name, component);
        Self {
            query: function("storage.sql.query"),
            begin: function("storage.sql.transaction.begin"),
            transaction_query: function("storage.sql.transaction.query"),
            transaction_execute: function("storage.sql.transaction.execute"),
            commit: function("storage.sql.transaction.commit"),
        }
    }
}

windlass_engine::host_error!(Error);
