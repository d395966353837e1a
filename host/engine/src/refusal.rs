//! Why a component is not let in. Every variant names the thing and the fix; the old component
//! goes on serving.

use crate::manifest::ComponentId;

/// Why a component, a manifest or a release was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no component.
    #[error(
        "{component} is no WebAssembly component: {reason}; build it for wasm32-wasip2, or make one of a core module with `wasm-tools component new`"
    )]
    NotAComponent {
        /// The name it was offered under.
        component: ComponentId,
        /// What the parser said.
        reason: String,
    },
    /// The component does not compile.
    #[error("{component} does not compile: {reason}")]
    Compile {
        /// The name it was offered under.
        component: ComponentId,
        /// What the compiler said.
        reason: String,
    },
    /// An interface of ours is imported without its grant.
    #[error(
        "{component} imports {interface} ({functions}), which needs the grant {grant:?}; add it to `grants` of {component} in its manifest, or build {component} without it"
    )]
    Ungranted {
        /// The name it was offered under.
        component: ComponentId,
        /// The interface.
        interface: String,
        /// The functions it imports of it.
        functions: String,
        /// The grant that is missing.
        grant: &'static str,
    },
    /// An interface nobody here offers is imported.
    #[error(
        "{component} imports {interface} ({functions}), which this host does not offer to it: {hint}"
    )]
    UnknownImport {
        /// The name it was offered under.
        component: ComponentId,
        /// The interface.
        interface: String,
        /// The functions it imports of it.
        functions: String,
        /// What to do.
        hint: String,
    },
    /// An interface is imported with other types than we offer.
    #[error(
        "{component} imports an interface that does not fit this host: {reason}; rebuild it against the WIT of this version"
    )]
    Mismatch {
        /// The name it was offered under.
        component: ComponentId,
        /// What was expected and what was found.
        reason: String,
    },
    /// The component answers no HTTP.
    #[error(
        "{component} exports neither wasi:http/handler@0.3 nor wasi:http/incoming-handler@0.2: {reason}"
    )]
    NoHandler {
        /// The name it was offered under.
        component: ComponentId,
        /// What was missing.
        reason: String,
    },
    /// The component is no program.
    #[error(
        "{component} does not export wasi:cli/run@0.2, so it cannot be run as a worker: {reason}"
    )]
    NoProgram {
        /// The name it was offered under.
        component: ComponentId,
        /// What was missing.
        reason: String,
    },
    /// The component needs more than an instance may have.
    #[error(
        "{component} needs {needed} and an instance may have {allowed}; raise `limits` of {component}, or the pool of the host"
    )]
    ExceedsPool {
        /// The name it was offered under.
        component: ComponentId,
        /// What it needs.
        needed: String,
        /// What there is.
        allowed: String,
    },
    /// A capability cannot keep what the manifest grants.
    #[error("{component} cannot be given what its manifest grants: {reason}")]
    Grant {
        /// The name it was offered under.
        component: ComponentId,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// A limit makes no sense.
    #[error("the limit {key} of {component} is {value}, and must be between {least} and {most}")]
    Limit {
        /// The component.
        component: ComponentId,
        /// The key in `limits`.
        key: &'static str,
        /// What it says.
        value: u32,
        /// The least it may be.
        least: u32,
        /// The most it may be.
        most: u32,
    },
    /// The canary request went wrong.
    #[error("{component} failed its canary (GET {path}): {reason}")]
    Canary {
        /// The name it was offered under.
        component: ComponentId,
        /// The path that was asked for.
        path: String,
        /// What happened.
        reason: String,
    },
    /// A route is malformed, or taken.
    #[error("the route {route:?} of {component} cannot be used: {reason}")]
    Route {
        /// The component.
        component: ComponentId,
        /// The route as written.
        route: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing of this name runs.
    #[error("no component {component} is installed; `windlass components list` shows what is")]
    Unknown {
        /// The name.
        component: ComponentId,
    },
    /// A new component came without a manifest.
    #[error("{component} is not installed yet, so its manifest (routes, grants) must come with it")]
    ManifestMissing {
        /// The name.
        component: ComponentId,
    },
    /// There is nothing to go back or forward to.
    #[error("{component} has no {what}")]
    NothingThere {
        /// The component.
        component: ComponentId,
        /// What is missing.
        what: &'static str,
    },
    /// The manifest file is wrong.
    #[error("{file}: {reason}")]
    Manifest {
        /// The file.
        file: String,
        /// What is wrong, naming the key.
        reason: String,
    },
    /// The change could not be recorded, so it was not made.
    #[error("the release could not be recorded, so nothing was changed: {0}")]
    Ledger(String),
    /// wasmtime itself failed.
    #[error("the wasm engine failed: {0}")]
    Engine(String),
}
