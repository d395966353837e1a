//! `windlass:storage` for components: whose session a call belongs to, and how many transactions
//! an instance may hold.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tracing::Instrument;
use wasmtime::component::{Accessor, HasSelf, Linker, Resource};
use windlass_engine::{
    Admission, Capability, ComponentId, ComponentManifest, HostState, InterfaceGrant,
};

use crate::bindings::windlass::storage::{sql, sql_sync, types};
use crate::{Database, Error, Rows, Session, Transaction, Value};

/// The grant in a manifest.
const GRANT: &str = "storage";

/// Storage, as the engine links it.
pub struct StorageCapability {
    database: Arc<Database>,
}

impl StorageCapability {
    /// Over an open, migrated database.
    pub fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

impl Capability for StorageCapability {
    fn interfaces(&self) -> &'static [InterfaceGrant] {
        &[
            InterfaceGrant { interface: "windlass:storage/types@0.1.0", grant: None },
            InterfaceGrant { interface: "windlass:storage/sql@0.1.0", grant: Some(GRANT) },
            InterfaceGrant { interface: "windlass:storage/sql-sync@0.1.0", grant: Some(GRANT) },
        ]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        types::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        sql::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        sql_sync::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        Box::pin(async move {
            if !manifest.has_grant(GRANT) {
                return if manifest.storage.is_empty() {
                    Ok(None)
                } else {
                    Err(format!("{id} lists tables, but {GRANT:?} is not among its grants"))
                };
            }
            let session = self.database.admit(id, &manifest.storage).await;
            let session = session.map_err(|error| error.to_string())?;
            Ok(Some(Arc::new(session) as Admission))
        })
    }

    fn request_ended(&self, state: &mut HostState) {
        for transaction in open_transactions(state) {
            transaction.0.abandon();
        }
    }
}

/// A component's handle on a transaction.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct OpenTransaction(Arc<Transaction>);

fn open_transactions(state: &mut HostState) -> impl Iterator<Item = &OpenTransaction> {
    state.table.iter_mut().filter_map(|entry| entry.downcast_ref::<OpenTransaction>())
}

/// The session of the calling component.
fn session(state: &HostState) -> Result<Session, Error> {
    let session = state.capability::<Session>().cloned();
    session.ok_or_else(|| Error::Denied("storage is not among the component's grants".into()))
}

/// What `begin` needs to know of its caller.
fn prepare_begin(
    state: &mut HostState,
) -> Result<(Session, std::time::Instant, Option<Arc<str>>), Error> {
    if open_transactions(state).any(|transaction| transaction.0.is_open()) {
        return Err(Error::Quota("a component may hold one open transaction at a time".into()));
    }
    let request = state.request();
    Ok((session(state)?, request.call_deadline(), request.commit_mark.clone()))
}

/// A handle that is not in the table is a mistake of the component's runtime: it traps.
fn transaction(
    state: &HostState,
    handle: &Resource<OpenTransaction>,
) -> wasmtime::Result<Arc<Transaction>> {
    Ok(Arc::clone(&state.table.get(handle)?.0))
}

/// One call in a trace. Only there when traces are exported.
fn span(function: &'static str) -> tracing::Span {
    tracing::debug_span!(
        target: "windlass::trace", "storage", otel.name = function, otel.kind = "client",
    )
}

impl types::Host for HostState {}

impl sql::Host for HostState {}

impl sql::HostTransaction for HostState {
    fn drop(&mut self, handle: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl sql::HostWithStore<HostState> for HasSelf<HostState> {
    async fn query(
        accessor: &Accessor<HostState, Self>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let caller = accessor.with(|mut access| {
            let state = access.get();
            session(state).map(|session| (session, state.request().call_deadline()))
        });
        Ok(match caller {
            Ok((session, deadline)) => {
                let query = session.query(&statement, parameters, deadline);
                query.instrument(span("storage.query")).await
            }
            Err(error) => Err(error),
        })
    }
}

impl sql::HostTransactionWithStore<HostState> for HasSelf<HostState> {
    async fn begin(
        accessor: &Accessor<HostState, Self>,
    ) -> wasmtime::Result<Result<Resource<OpenTransaction>, Error>> {
        let caller = accessor.with(|mut access| prepare_begin(access.get()));
        let (session, deadline, mark) = match caller {
            Ok(caller) => caller,
            Err(error) => return Ok(Err(error)),
        };
        let begin = session.begin(deadline, mark).instrument(span("storage.transaction.begin"));
        let begun = match begin.await {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error)),
        };
        // Two may have waited at once; the first one to come here has the only place.
        accessor.with(|mut access| {
            let state = access.get();
            if let Err(error) = prepare_begin(state) {
                return Ok(Err(error));
            }
            Ok(Ok(state.table.push(OpenTransaction(Arc::new(begun)))?))
        })
    }

    async fn query(
        accessor: &Accessor<HostState, Self>,
        handle: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let transaction = accessor.with(|mut access| transaction(access.get(), &handle))?;
        let query = transaction.query(&statement, parameters);
        Ok(query.instrument(span("storage.transaction.query")).await)
    }

    async fn execute(
        accessor: &Accessor<HostState, Self>,
        handle: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let transaction = accessor.with(|mut access| transaction(access.get(), &handle))?;
        let execute = transaction.execute(&statement, parameters);
        Ok(execute.instrument(span("storage.transaction.execute")).await)
    }

    async fn commit(
        accessor: &Accessor<HostState, Self>,
        handle: Resource<OpenTransaction>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let transaction = accessor.with(|mut access| access.get().table.delete(handle))?;
        Ok(transaction.0.commit().instrument(span("storage.transaction.commit")).await)
    }
}

impl sql_sync::Host for HostState {
    async fn query(
        &mut self,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let deadline = self.request().call_deadline();
        Ok(match session(self) {
            Ok(session) => {
                let query = session.query(&statement, parameters, deadline);
                query.instrument(span("storage.query")).await
            }
            Err(error) => Err(error),
        })
    }
}

impl sql_sync::HostTransaction for HostState {
    async fn begin(&mut self) -> wasmtime::Result<Result<Resource<OpenTransaction>, Error>> {
        let (session, deadline, mark) = match prepare_begin(self) {
            Ok(caller) => caller,
            Err(error) => return Ok(Err(error)),
        };
        let begin = session.begin(deadline, mark).instrument(span("storage.transaction.begin"));
        Ok(match begin.await {
            Ok(begun) => Ok(self.table.push(OpenTransaction(Arc::new(begun)))?),
            Err(error) => Err(error),
        })
    }

    async fn query(
        &mut self,
        handle: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let transaction = transaction(self, &handle)?;
        let query = transaction.query(&statement, parameters);
        Ok(query.instrument(span("storage.transaction.query")).await)
    }

    async fn execute(
        &mut self,
        handle: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let transaction = transaction(self, &handle)?;
        let execute = transaction.execute(&statement, parameters);
        Ok(execute.instrument(span("storage.transaction.execute")).await)
    }

    async fn commit(
        &mut self,
        handle: Resource<OpenTransaction>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let transaction = self.table.delete(handle)?;
        Ok(transaction.0.commit().instrument(span("storage.transaction.commit")).await)
    }

    async fn drop(&mut self, handle: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}
