//! A clock that stands still, ids that are counted, and everything a context needs in one place.

use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Poll, Waker};

use super::{CountedSignal, FakeHosting, FakeIdentity, FakeRuntime, FakeSecrets, MemoryStore};
use crate::context::{Caller, Clock, Context, Ids, Origin};
use crate::ids::UserId;
use crate::projects::{self, NewProject};
use crate::reconcile::{self, Outcome};
use crate::services::{self, NewService, Service, ServiceKind, Source, SourceKind};
use crate::time::Timestamp;
use crate::users::{self, NewUser, User};

/// Runs a future whose ports are in memory and therefore never wait.
///
/// # Panics
/// When the future waits for something outside.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = std::task::Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future over ports in memory must not wait"),
    }
}

/// Time that moves when it is told to.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that stands at this many seconds after the epoch.
    pub const fn at_seconds(seconds: i64) -> Self {
        Self(AtomicI64::new(seconds * 1_000_000))
    }

    /// Moves it forward.
    pub fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microseconds(self.0.load(Ordering::SeqCst))
    }
}

/// Ids that count from 1.
#[derive(Debug, Default)]
pub struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn fresh(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// All ports of one test.
pub struct World {
    /// Time, from 2026-01-01T00:00:00Z.
    pub clock: FixedClock,
    /// Fresh ids.
    pub ids: CountedIds,
    /// Storage.
    pub store: MemoryStore,
    /// Passwords, tokens and limits.
    pub identity: FakeIdentity,
    /// Sealed secrets.
    pub secrets: FakeSecrets,
    /// Git providers.
    pub hosting: FakeHosting,
    /// What was raised.
    pub signal: CountedSignal,
}

impl Default for World {
    fn default() -> Self {
        Self {
            clock: FixedClock::at_seconds(1_767_225_600),
            ids: CountedIds::default(),
            store: MemoryStore::default(),
            identity: FakeIdentity::default(),
            secrets: FakeSecrets::default(),
            hosting: FakeHosting::default(),
            signal: CountedSignal::default(),
        }
    }
}

impl World {
    /// A context for a caller.
    pub fn context(&self, caller: Caller) -> Context<'_> {
        Context {
            caller,
            origin: Origin {
                request_id: "request-1".to_owned(),
                client_address: "192.0.2.1".to_owned(),
                user_agent: "test/1".to_owned(),
            },
            clock: &self.clock,
            ids: &self.ids,
            store: &self.store,
            signal: &self.signal,
            secrets: &self.secrets,
        }
    }

    /// A context for a caller without credentials.
    pub fn anonymous(&self) -> Context<'_> {
        self.context(Caller::Anonymous)
    }

    /// A context for a user.
    pub fn as_user(&self, id: UserId) -> Context<'_> {
        self.context(Caller::User { id, token_id: "token-1".to_owned() })
    }

    /// Opens an account with the password `correct horse`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn register(&self, email: &str) -> User {
        let new_user = NewUser {
            email: email.to_owned(),
            password: "correct horse".to_owned(),
            name: "Ada".to_owned(),
        };
        match block_on(users::register(&self.anonymous(), &self.identity, new_user)) {
            Ok(user) => user,
            Err(error) => panic!("{email} was refused: {error:?}"),
        }
    }

    /// Makes a service `web` of this image (or of none, when it is empty) in a project `Harbour`.
    ///
    /// # Panics
    /// When either is refused.
    pub fn image_service(&self, owner: UserId, image: &str) -> Service {
        let ctx = self.as_user(owner);
        let project = NewProject { name: "Harbour".to_owned(), description: String::new() };
        let project = match block_on(projects::create(&ctx, project)) {
            Ok(project) => project.project.id.to_string(),
            Err(error) => panic!("the project was refused: {error:?}"),
        };
        let source = Source {
            kind: (!image.is_empty()).then_some(SourceKind::Image),
            image: image.to_owned(),
            branch: "main".to_owned(),
            ..Source::default()
        };
        let new_service = NewService {
            name: "web".to_owned(),
            kind: ServiceKind::Web,
            source,
            build: Default::default(),
            resources: Default::default(),
        };
        match block_on(services::create(&ctx, &project, new_service)) {
            Ok(service) => service,
            Err(error) => panic!("the service was refused: {error:?}"),
        }
    }

    /// Has everything carried out that was promised, moving the clock over short waits.
    ///
    /// # Panics
    /// When a step fails.
    pub fn settle(&self, runtime: &FakeRuntime) {
        loop {
            match block_on(reconcile::step(&self.anonymous(), runtime, "host-1")) {
                Ok(Outcome::Again) => {}
                Ok(Outcome::Later(5_000..)) => return,
                Ok(Outcome::Later(_)) => self.clock.advance_seconds(1),
                Err(error) => panic!("a step failed: {error:?}"),
            }
        }
    }
}
