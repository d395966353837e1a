//! A transaction on SQLite. It holds the database's only writer, so its end is certain: by
//! commit, by an error, by being dropped, or by its deadline even when nobody calls again.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::OwnedMutexGuard;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use super::connection::{Guarded, Outcome};
use super::{SqliteSession, announced, lock};
use crate::{Error, Rows, Value};

/// What of a transaction there still is.
enum State {
    Open(Box<Open>),
    Ended(Error),
}

/// The write connection and the right to use it.
struct Open {
    connection: Guarded,
    session: Arc<SqliteSession>,
    _writer: OwnedMutexGuard<()>,
}

impl Open {
    /// Gives the connection back for the next transaction, rolled back if need be.
    fn release(self: Box<Self>) {
        let Self { connection, session, _writer } = *self;
        if !connection.is_idle() {
            let _ = announced(|| connection.run_host("ROLLBACK", &[]));
        }
        if connection.is_idle() {
            *lock(&session.writer) = Some(connection);
        } else {
            // Closed, which rolls back, before the next writer may begin.
            drop(connection);
        }
    }
}

/// An open transaction.
pub(crate) struct SqliteTransaction {
    state: Arc<Mutex<State>>,
    session: Arc<SqliteSession>,
    deadline: Instant,
    watch: AbortHandle,
}

impl SqliteTransaction {
    /// Waits for the writers before this one, and begins.
    pub(crate) async fn begin(
        session: &Arc<SqliteSession>,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let patience = deadline.min(Instant::now() + session.limits.writer_wait);
        let writer = timeout_at(patience.into(), Arc::clone(&session.database.writer).lock_owned())
            .await
            .map_err(|_| Error::Timeout("the writers before this one took too long".into()))?;
        let deadline = deadline.min(Instant::now() + session.limits.transaction_time);
        // Another process that writes is waited for here.
        let connection = announced(|| {
            let idle = lock(&session.writer).take();
            let connection = match idle {
                Some(connection) => connection,
                None => session.open(true)?,
            };
            connection.run_host("BEGIN IMMEDIATE", &[]).map(|()| connection)
        })?;
        let open = Box::new(Open { connection, session: Arc::clone(session), _writer: writer });
        let state = Arc::new(Mutex::new(State::Open(open)));
        let watched = Arc::clone(&state);
        let watch = tokio::spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            end(&watched, Error::Timeout("the transaction ran over its time limit".into()));
        });
        let watch = watch.abort_handle();
        Ok(Self { state, session: Arc::clone(session), deadline, watch })
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(*lock(&self.state), State::Open(_))
    }

    pub(crate) fn query(&self, statement: &str, parameters: &[Value]) -> Result<Rows, Error> {
        self.run(statement, parameters).map(|outcome| outcome.rows)
    }

    pub(crate) fn execute(&self, statement: &str, parameters: &[Value]) -> Result<u64, Error> {
        self.run(statement, parameters).map(|outcome| outcome.changed)
    }

    fn run(&self, statement: &str, parameters: &[Value]) -> Result<Outcome, Error> {
        let run = || match &*lock(&self.state) {
            State::Open(open) => {
                let limit = self.session.limit(self.deadline);
                open.connection.run(statement, parameters, limit, false)
            }
            State::Ended(error) => Err(error.clone()),
        };
        let checked = self.session.check(statement);
        let result = checked.and_then(|_| self.session.announced(statement, run));
        if result.is_err() {
            self.end_after_failure();
        }
        result
    }

    /// Makes the work durable, together with the host's mark.
    pub(crate) fn commit(&self, mark: Option<(&str, &str)>) -> Result<(), Error> {
        self.watch.abort();
        let after = Error::Invalid("the transaction was committed".into());
        let state = std::mem::replace(&mut *lock(&self.state), State::Ended(after));
        let open = match state {
            State::Open(open) => open,
            State::Ended(error) => return Err(error),
        };
        announced(|| {
            let result = match mark {
                Some((statement, id)) => open.connection.run_host(statement, &[id]),
                None => Ok(()),
            };
            let result = result.and_then(|()| open.connection.run_host("COMMIT", &[]));
            open.release();
            result
        })
    }

    /// Rolls back.
    pub(crate) fn abandon(&self) {
        self.watch.abort();
        end(&self.state, Error::Invalid("the transaction was rolled back".into()));
    }

    fn end_after_failure(&self) {
        self.watch.abort();
        let reason = "the transaction was rolled back when a statement of it failed";
        end(&self.state, Error::Conflict(reason.into()));
    }
}

impl Drop for SqliteTransaction {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Rolls back what is still open and remembers why.
fn end(state: &Mutex<State>, reason: Error) {
    let mut state = lock(state);
    if matches!(*state, State::Open(_))
        && let State::Open(open) = std::mem::replace(&mut *state, State::Ended(reason))
    {
        open.release();
    }
}
