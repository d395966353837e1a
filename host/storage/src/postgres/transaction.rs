//! A transaction on PostgreSQL, which ends as surely as one on SQLite: by commit, by an error,
//! by being dropped or by its deadline.

use std::sync::Arc;
use std::time::Instant;

use sqlx::{Postgres, Transaction};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use super::{PostgresSession, values};
use crate::{Error, Rows, Value};

/// What of a transaction there still is. While a statement runs, what it would come to if nobody
/// waited for its end stands here.
enum State {
    Open(Transaction<'static, Postgres>),
    Ended(Error),
}

/// An open transaction.
pub(crate) struct PostgresTransaction {
    state: Arc<Mutex<State>>,
    session: Arc<PostgresSession>,
    deadline: Instant,
    watch: AbortHandle,
}

impl PostgresTransaction {
    pub(crate) async fn begin(
        session: &Arc<PostgresSession>,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let patience = deadline.min(Instant::now() + session.limits.writer_wait);
        let transaction = match timeout_at(patience.into(), session.writing.begin()).await {
            Ok(begun) => begun.map_err(|error| values::translate(&error))?,
            Err(_) => return Err(Error::Timeout("no connection became free in time".into())),
        };
        let deadline = deadline.min(Instant::now() + session.limits.transaction_time);
        let state = Arc::new(Mutex::new(State::Open(transaction)));
        let watched = Arc::clone(&state);
        let watch = tokio::spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            let reason = Error::Timeout("the transaction ran over its time limit".into());
            // Dropped, it is rolled back.
            let _ = std::mem::replace(&mut *watched.lock().await, State::Ended(reason));
        });
        let watch = watch.abort_handle();
        Ok(Self { state, session: Arc::clone(session), deadline, watch })
    }

    pub(crate) fn is_open(&self) -> bool {
        // One that is busy is open.
        self.state.try_lock().map_or(true, |state| matches!(*state, State::Open(_)))
    }

    pub(crate) async fn run(
        &self,
        statement: &str,
        parameters: Vec<Value>,
    ) -> Result<(Rows, u64), Error> {
        let mut state = self.state.lock().await;
        let failed = "the transaction was rolled back when a statement of it failed";
        let after = State::Ended(Error::Conflict(failed.into()));
        let mut transaction = match std::mem::replace(&mut *state, after) {
            State::Open(transaction) => transaction,
            State::Ended(error) => {
                *state = State::Ended(error.clone());
                return Err(error);
            }
        };
        self.session.check(statement).await?;
        let limits = self.session.limits;
        let deadline = self.deadline.min(Instant::now() + limits.statement_time);
        let answer = values::run(&mut transaction, statement, parameters, deadline, limits).await?;
        *state = State::Open(transaction);
        Ok(answer)
    }

    /// Makes the work durable, together with the host's mark.
    pub(crate) async fn commit(&self, mark: Option<(&str, &str)>) -> Result<(), Error> {
        self.watch.abort();
        let mut state = self.state.lock().await;
        let after = State::Ended(Error::Invalid("the transaction was committed".into()));
        let mut transaction = match std::mem::replace(&mut *state, after) {
            State::Open(transaction) => transaction,
            State::Ended(error) => return Err(error),
        };
        if let Some((statement, id)) = mark {
            let parameters = vec![Value::Text(id.to_owned())];
            let limits = self.session.limits;
            values::run(&mut transaction, statement, parameters, self.deadline, limits).await?;
        }
        match timeout_at(self.deadline.into(), transaction.commit()).await {
            Ok(committed) => committed.map_err(|error| values::translate(&error)),
            Err(_) => Err(Error::Timeout("the commit ran over the time limit".into())),
        }
    }

    /// Rolls back.
    pub(crate) fn abandon(&self) {
        self.watch.abort();
        if let Ok(mut state) = self.state.try_lock() {
            let reason = Error::Invalid("the transaction was rolled back".into());
            if matches!(*state, State::Open(_)) {
                *state = State::Ended(reason);
            }
        }
    }
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        self.abandon();
    }
}
