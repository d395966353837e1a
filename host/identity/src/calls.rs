//! What a component may ask of identity, and how its calls are counted.

use std::sync::Arc;
use std::time::Instant;

use metrics::Counter;
use windlass_engine::{HostFunction, HostState, count_calls};

use crate::bindings::windlass::identity::types::Error;
use crate::{Identity, IdentityError};

/// What each component has: the counts of its calls, and identity itself if it was granted.
pub(crate) struct Admitted {
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) functions: Functions,
}

/// The functions of the package.
pub(crate) struct Functions {
    pub(crate) current: Counter,
    pub(crate) request_id: Counter,
    pub(crate) client_address: Counter,
    pub(crate) hash: HostFunction,
    pub(crate) verify: HostFunction,
    pub(crate) issue: HostFunction,
    pub(crate) revoke: HostFunction,
    pub(crate) revoke_subject: HostFunction,
    pub(crate) admit: HostFunction,
}

impl Functions {
    pub(crate) fn of(component: &str) -> Self {
        let function = |name| HostFunction::new(name, component);
        Self {
            current: count_calls("identity.caller.current", component),
            request_id: count_calls("identity.caller.request_id", component),
            client_address: count_calls("identity.caller.client_address", component),
            hash: function("identity.passwords.hash"),
            verify: function("identity.passwords.verify"),
            issue: function("identity.tokens.issue"),
            revoke: function("identity.tokens.revoke"),
            revoke_subject: function("identity.tokens.revoke_subject"),
            admit: function("identity.throttle.admit"),
        }
    }
}

/// Which function is called.
pub(crate) type Which = fn(&Functions) -> &HostFunction;

/// One call of a component: with whose rights, until when, and since when.
pub(crate) struct Call {
    pub(crate) identity: Arc<Identity>,
    pub(crate) deadline: Instant,
    admitted: Arc<Admitted>,
    which: Which,
    start: Instant,
}

impl Call {
    pub(crate) fn begin(state: &HostState, which: Which) -> Result<Self, Error> {
        let start = Instant::now();
        let denied = || Error::Denied("identity is not among the component's grants".to_owned());
        let admitted = state.capability::<Arc<Admitted>>().ok_or_else(denied)?;
        let Some(identity) = &admitted.identity else {
            return which(&admitted.functions).record(start, Err(denied()));
        };
        Ok(Self {
            identity: Arc::clone(identity),
            deadline: state.request().call_deadline(),
            admitted: Arc::clone(admitted),
            which,
            start,
        })
    }

    pub(crate) fn end<T>(self, result: Result<T, IdentityError>) -> Result<T, Error> {
        let result = result.map_err(|error| match error {
            IdentityError::Invalid(text) => Error::Invalid(text),
            IdentityError::Unavailable(text) => Error::Unavailable(text),
            IdentityError::Quota(text) => Error::Quota(text),
            IdentityError::Timeout(text) => Error::Timeout(text),
        });
        (self.which)(&self.admitted.functions).record(self.start, result)
    }
}

windlass_engine::host_error!(Error);
