//! One live controller: a compiled component, its idle instances, and its limits.
//!
//! A request takes an idle instance (or makes one), and the task of the connection drives the
//! instance itself: no queue and no second task stand between client and component. One request
//! at a time on an instance, so it is never in doubt whose request a host call belongs to. An
//! instance that trapped, or ran out of time, is never used again.
//!
//! What was begun is driven to its end, by a task of its own when the client leaves early: else a
//! component that loops or traps would not be found out by clients that do not wait for it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use tokio::runtime::Handle;
use tracing::Instrument;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::Proxy;

use crate::admission::{Admission, Admitted, Verdict};
use crate::answer::{self, Answer, Blameless, Bounds, Failure};
use crate::engine::{Entry, Loaded};
use crate::manifest::{ComponentId, ComponentManifest};
use crate::releases::Recorded;
use crate::reply::Reply;
use crate::request::RequestContext;
use crate::state::{HANDLE_CAPACITY, HostState};
use crate::statistics::Statistics;

/// Ticks of computing after which an instance is slowed down: 25 x 2 ms. A request that answers
/// in time never notices; one that loops no longer takes a core from its neighbours.
const FREE_TICKS: u32 = 25;
/// Memory that conversions of one host call may take (wasmtime's "host-call fuel").
const HOST_CALL_BYTES: usize = 8 * 1_048_576;

/// A live controller.
pub struct Controller {
    pub(crate) loaded: Loaded,
    idle: Mutex<Vec<Idle>>,
    pub(crate) admission: Admission,
    retired: AtomicBool,
    statistics: Arc<Statistics>,
}

/// An instance between two requests.
pub(crate) struct Running {
    pub(crate) store: Store<HostState>,
    pub(crate) proxy: Proxy,
    served: u32,
    live: Live,
}

struct Idle {
    running: Running,
    since: Instant,
}

impl Controller {
    pub(crate) fn new(loaded: Loaded, statistics: Arc<Statistics>) -> Self {
        let limits = &loaded.manifest.limits;
        let admission = Admission::new(limits.concurrency, limits.queue);
        Self {
            loaded,
            idle: Mutex::default(),
            admission,
            retired: AtomicBool::new(false),
            statistics,
        }
    }

    /// The name of the component.
    pub fn id(&self) -> &ComponentId {
        &self.loaded.id
    }

    /// The digest of the code that runs.
    pub fn digest(&self) -> &str {
        &self.loaded.digest
    }

    /// What it was given.
    pub fn manifest(&self) -> &ComponentManifest {
        &self.loaded.manifest
    }

    /// The component as the ledger records it.
    pub(crate) fn record(&self) -> Recorded {
        Recorded {
            id: self.loaded.id.clone(),
            digest: self.loaded.digest.clone(),
            manifest: self.loaded.manifest.clone(),
            wasm: self.loaded.wasm.clone(),
        }
    }

    /// The same code with other statistics and none of the instances: what was tried in private
    /// becomes what serves.
    pub(crate) fn promoted(&self, statistics: Arc<Statistics>) -> Self {
        Self::new(self.loaded.clone(), statistics)
    }

    /// What it did so far.
    pub fn statistics(&self) -> &Arc<Statistics> {
        &self.statistics
    }

    /// Whether it kept failing and is served one request at a time.
    pub fn is_quarantined(&self) -> bool {
        self.admission.is_quarantined()
    }

    /// Hands a request to an instance and waits for its answer. Dropping the future once the
    /// request has an instance does not stop the work on it.
    ///
    /// # Errors
    /// [`Failure`] when there is no answer: overload, a trap, the deadline. Nothing of the answer
    /// was sent then.
    pub async fn handle(
        self: &Arc<Self>,
        context: RequestContext,
        request: http::Request<WasiBody>,
    ) -> Result<Answer, Failure> {
        let (mut reply, replied) = Reply::new(Arc::clone(&self.statistics));
        let admitted = match self.admission.admit(context.deadline).await {
            Ok(admitted) => admitted,
            Err(failure) => {
                reply.send(Err(failure));
                return replied.await.unwrap_or(Err(Failure::Unanswered));
            }
        };
        // Only there when traces are exported. What the component asks of the host is inside of it.
        let span = tracing::debug_span!(
            target: "windlass::trace", "component",
            windlass.component = %self.id(), windlass.digest = self.digest(),
        );
        let work = Arc::clone(self).drive(admitted, context, request, reply).instrument(span);
        let answer = match select(Driver(Some(Box::pin(work))), replied).await {
            // The usual case: the whole answer is there and the instance is back in its place.
            Either::Left(((), replied)) => replied.await,
            // The answer is streamed, or the component pauses: the driver goes on by itself.
            Either::Right((answer, _driver)) => answer,
        };
        answer.unwrap_or(Err(Failure::Unanswered))
    }

    async fn drive(
        self: Arc<Self>,
        admitted: Admitted,
        context: RequestContext,
        request: http::Request<WasiBody>,
        mut reply: Reply,
    ) {
        let busy = self.statistics.instance_busy();
        let id = Arc::clone(&context.id);
        let verdict = match self.instance(context).await {
            Ok(running) => self.run(running, request, &mut reply).await,
            Err(failure) => self.not_instantiated(failure, &mut reply),
        };
        drop(busy);
        if reply.was_unheard() {
            tracing::info!(
                component = %self.id(), request_id = %id, ?verdict,
                "the client left before it was answered"
            );
        }
        let was_quarantined = self.is_quarantined();
        self.admission.ended(admitted, verdict).await;
        if !was_quarantined && self.is_quarantined() {
            tracing::warn!(
                component = %self.id(), digest = self.digest(),
                "component keeps failing; it is served one request at a time, with pauses, until \
                 it answers one well"
            );
        }
    }

    /// An idle instance, or a new one, that begins the request.
    async fn instance(&self, context: RequestContext) -> Result<Running, Failure> {
        match self.take_idle() {
            Some(mut running) => {
                running.store.data_mut().begin_request(context);
                Ok(running)
            }
            // Rare and large, so it is not kept room for in the future of each request.
            None => Box::pin(self.instantiate(context)).await,
        }
    }

    fn not_instantiated(&self, failure: Failure, reply: &mut Reply) -> Verdict {
        tracing::error!(component = %self.id(), digest = self.digest(), "no instance: {failure}");
        let verdict = match failure {
            Failure::Overloaded => Verdict::Neutral,
            _ => Verdict::Failed,
        };
        reply.send(Err(failure));
        verdict
    }

    async fn run(
        &self,
        mut running: Running,
        request: http::Request<WasiBody>,
        reply: &mut Reply,
    ) -> Verdict {
        let context = running.store.data().request();
        let (deadline, request_id) = (context.deadline, Arc::clone(&context.id));
        let bounds = Bounds {
            bytes: self.loaded.manifest.limits.answer_kib as usize * 1_024,
            answers: &self.loaded.shared.answers,
        };
        let exchange = answer::exchange(&mut running, request, bounds, reply);
        match tokio::time::timeout_at(deadline.into(), exchange).await {
            Ok(Ok(())) => {
                self.put_back(running);
                Verdict::Well
            }
            Ok(Err(reason)) if reason.is::<Blameless>() => {
                tracing::info!(component = %self.id(), request_id = %request_id, "{reason}");
                Verdict::Neutral
            }
            Ok(Err(trap)) => {
                tracing::error!(
                    component = %self.id(), digest = self.digest(), request_id = %request_id,
                    "component failed: {trap:#}"
                );
                Verdict::Failed
            }
            Err(_) if reply.is_excused() => {
                tracing::info!(
                    component = %self.id(), request_id = %request_id,
                    "a streamed answer was cut off at the deadline of its request"
                );
                Verdict::Neutral
            }
            Err(_) => {
                reply.send(Err(Failure::Deadline));
                tracing::warn!(
                    component = %self.id(), digest = self.digest(), request_id = %request_id,
                    "component was stopped at the deadline of its request"
                );
                Verdict::Failed
            }
        }
    }

    fn take_idle(&self) -> Option<Running> {
        self.lock_idle().pop().map(|idle| idle.running)
    }

    fn put_back(&self, mut running: Running) {
        for capability in self.loaded.capabilities.iter() {
            capability.request_ended(running.store.data_mut());
        }
        running.served += 1;
        running.live.set_memory(running.store.data().memory_bytes());
        let worn = running.served >= self.loaded.manifest.limits.reuse
            || self.loaded.shared.memory.is_tight();
        if !worn && !self.retired.load(Relaxed) {
            self.lock_idle().push(Idle { running, since: Instant::now() });
            // Retired between the question and the push: nobody else will empty the place.
            if self.retired.load(Relaxed) {
                self.release_idle(Duration::ZERO);
            }
        }
    }

    async fn instantiate(&self, context: RequestContext) -> Result<Running, Failure> {
        let Entry::Http(pre) = &self.loaded.entry else {
            return Err(Failure::Refused("it answers no requests".to_owned()));
        };
        let mut store = new_store(&self.loaded, context);
        let deadline = store.data().request().deadline;
        let instantiated =
            tokio::time::timeout_at(deadline.into(), pre.instantiate_async(&mut store));
        let Ok(instantiated) = instantiated.await else { return Err(Failure::Deadline) };
        match instantiated {
            Ok(proxy) => {
                let live = Live::new(Arc::clone(&self.statistics), store.data().memory_bytes());
                Ok(Running { store, proxy, served: 0, live })
            }
            Err(error) if error.is::<wasmtime::PoolConcurrencyLimitError>() => {
                Err(Failure::Overloaded)
            }
            Err(_) if store.data().is_starved() => Err(Failure::Overloaded),
            Err(error) => Err(Failure::Trapped(format!("it could not be instantiated: {error:#}"))),
        }
    }

    /// Lets go of instances that were idle for longer than this.
    pub fn release_idle(&self, longer_than: Duration) {
        let gone: Vec<Idle> = {
            let mut idle = self.lock_idle();
            idle.extract_if(.., |entry| entry.since.elapsed() >= longer_than).collect()
        };
        // Instances are freed here, after the lock is.
        drop(gone);
    }

    /// Takes the controller out of service: requests it has are finished, its instances are freed.
    pub fn retire(&self) {
        self.retired.store(true, Relaxed);
        self.release_idle(Duration::ZERO);
    }

    /// Puts a retired controller back into service.
    pub(crate) fn reinstate(&self) {
        self.retired.store(false, Relaxed);
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work on one request. Dropped before its end, it goes on in a task of its own.
struct Driver(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(work) = &mut self.0 {
            ready!(work.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and the work with it.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

/// A store for one instance, with everything that bounds it.
pub(crate) fn new_store(loaded: &Loaded, context: RequestContext) -> Store<HostState> {
    let mut store = Store::new(&loaded.engine, HostState::new(loaded, context));
    store.limiter(|state| state.memory_limiter());
    store.set_hostcall_fuel(HOST_CALL_BYTES);
    store.set_max_component_handles(HANDLE_CAPACITY);
    store.set_epoch_deadline(1);
    let pause = loaded.surroundings.pause();
    store.epoch_deadline_callback(move |mut store| Ok(come_up_for_air(store.data_mut(), pause)));
    store
}

/// Counts an instance as alive, with its memory, until it is dropped on whatever path.
struct Live {
    statistics: Arc<Statistics>,
    memory: usize,
}

impl Live {
    fn new(statistics: Arc<Statistics>, memory: usize) -> Self {
        statistics.instance_made(memory);
        Self { statistics, memory }
    }

    fn set_memory(&mut self, memory: usize) {
        self.statistics.memory_changed(self.memory, memory);
        self.memory = memory;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.statistics.instance_gone(self.memory);
    }
}

/// What an instance does when it has computed for a tick: stop if its time is up, pause if it
/// has computed for long, else let others run.
fn come_up_for_air(state: &mut HostState, pause: Duration) -> UpdateDeadline {
    if state.request().time_left().is_zero() {
        return UpdateDeadline::Interrupt;
    }
    state.ticks = state.ticks.saturating_add(1);
    if state.ticks > FREE_TICKS && !pause.is_zero() {
        UpdateDeadline::YieldCustom(1, Box::pin(tokio::time::sleep(pause)))
    } else {
        UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
    }
}
