//! `spin.toml`, the map of the running system: which route wakes which component, where its
//! file is, and what it was granted.
//!
//! The file is a Spin manifest (version 2). What only Windlass reads sits in `tool.windlass`
//! tables, which Spin leaves alone; in those an unknown key is an error that names it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// The name of a component, as `[component.<id>]` in a manifest: kebab-case ASCII, at most 64
/// characters, so that it is fit for file names, metric labels and database roles.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ComponentId(Arc<str>);

impl ComponentId {
    /// Checks a name.
    ///
    /// # Errors
    /// A sentence that says what a name must look like.
    pub fn new(name: &str) -> Result<Self, String> {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-');
        if fits {
            Ok(Self(name.into()))
        } else {
            Err(format!(
                "{name:?} is no component name: use lower-case letters, digits and hyphens, \
                 beginning with a letter, 64 characters at most"
            ))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ComponentId {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::new(&name)
    }
}

impl From<ComponentId> for String {
    fn from(id: ComponentId) -> Self {
        id.0.as_ref().to_owned()
    }
}

/// Tables a component may touch. The database enforces it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageGrant {
    /// Tables it may select from.
    pub read: Vec<String>,
    /// Tables it may select from, insert into, update and delete from.
    pub write: Vec<String>,
    /// Tables it may select from and insert into, and nothing else: a trail it cannot rewrite.
    pub append: Vec<String>,
}

impl StorageGrant {
    /// Whether nothing was granted.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty() && self.append.is_empty()
    }
}

/// What one component may consume. Each default has its reason in the field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory of one instance, in MiB. Controllers of ours stay under 4.
    pub memory_mib: u32,
    /// Time from the arrival of a request to the end of its answer, in milliseconds.
    pub deadline_ms: u32,
    /// Requests worked on at the same time, which is instances at the same time.
    pub concurrency: u32,
    /// Requests that may wait for an instance; the next one is answered 503 at once.
    pub queue: u32,
    /// Requests one instance serves before it is replaced. 1 gives each request a fresh one.
    pub reuse: u32,
    /// Bytes of one answer, in KiB.
    pub answer_kib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            deadline_ms: 5_000,
            concurrency: 32,
            queue: 256,
            reuse: 128,
            answer_kib: 16_384,
        }
    }
}

impl Limits {
    /// The memory limit in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory_mib as usize * 1_048_576
    }

    /// The deadline of a request.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(u64::from(self.deadline_ms))
    }
}

/// What a manifest says of one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentManifest {
    /// The routes that wake it, in Spin's syntax: `/a/b`, `/a/:name/b`, `/a/...`.
    pub routes: Vec<String>,
    /// The version its author gave it; shown, never compared.
    #[serde(default)]
    pub version: Option<String>,
    /// Names of capabilities it may import, such as `storage`, `identity`.
    #[serde(default)]
    pub grants: Vec<String>,
    /// Tables it may touch, with the grant `storage`.
    #[serde(default)]
    pub storage: StorageGrant,
    /// What it may consume.
    #[serde(default)]
    pub limits: Limits,
    /// The request tried in a scratch store before it serves: a path for `GET`. By default its
    /// first route with every parameter set to `canary`.
    #[serde(default)]
    pub canary: Option<String>,
}

impl ComponentManifest {
    /// What a workload of a tenant has: limits, and no grant.
    pub(crate) fn of_workload(limits: Limits) -> Self {
        Self {
            routes: Vec::new(),
            version: None,
            grants: Vec::new(),
            storage: StorageGrant::default(),
            limits,
            canary: None,
        }
    }

    /// Whether a capability was granted.
    pub fn has_grant(&self, grant: &str) -> bool {
        self.grants.iter().any(|granted| granted == grant)
    }
}

/// The whole map.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The components by name, each with the path of its file as written in the manifest.
    pub components: BTreeMap<ComponentId, (ComponentManifest, String)>,
    /// OpenAPI documents to merge and serve, as paths.
    pub openapi: Vec<String>,
    /// The component that carries out what was promised.
    pub reconciler: Option<ComponentId>,
}

impl Manifest {
    /// Reads a Spin manifest. `file` is its name, for messages.
    ///
    /// # Errors
    /// What is wrong, naming the key.
    pub fn parse(text: &str, file: &str) -> Result<Self, Refusal> {
        let refuse = |reason: String| Refusal::Manifest { file: file.to_owned(), reason };
        let raw: RawManifest = toml::from_str(text).map_err(|error| refuse(error.to_string()))?;
        if raw.spin_manifest_version != 2 {
            return Err(refuse("spin_manifest_version must be 2".to_owned()));
        }
        let mut components = BTreeMap::new();
        for (name, component) in raw.component {
            let id = ComponentId::new(&name).map_err(refuse)?;
            let tool = component.tool.windlass;
            let manifest = ComponentManifest {
                routes: Vec::new(),
                version: tool.version,
                grants: tool.grants,
                storage: tool.storage,
                limits: tool.limits,
                canary: tool.canary,
            };
            components.insert(id, (manifest, component.source));
        }
        for trigger in raw.trigger.http {
            let id = ComponentId::new(&trigger.component).map_err(refuse)?;
            let Some((manifest, _)) = components.get_mut(&id) else {
                return Err(refuse(format!(
                    "the route {:?} wakes {id}, but there is no [component.{id}]",
                    trigger.route
                )));
            };
            manifest.routes.push(trigger.route);
        }
        let application = raw.application.tool.windlass;
        let reconciler = application.reconciler.as_deref().map(ComponentId::new).transpose();
        let reconciler = reconciler.map_err(refuse)?;
        if let Some(id) = reconciler.as_ref().filter(|id| !components.contains_key(id)) {
            return Err(refuse(format!("reconciler is {id}, but there is no [component.{id}]")));
        }
        Ok(Self { components, openapi: application.openapi, reconciler })
    }
}

/// The parts of a Spin manifest that we read. Spin's own keys are Spin's to check.
#[derive(Deserialize)]
struct RawManifest {
    spin_manifest_version: u32,
    #[serde(default)]
    application: RawApplication,
    #[serde(default)]
    trigger: RawTriggers,
    #[serde(default)]
    component: BTreeMap<String, RawComponent>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawApplication {
    tool: RawTool<ApplicationTable>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawTriggers {
    http: Vec<RawHttpTrigger>,
}

#[derive(Deserialize)]
struct RawHttpTrigger {
    route: String,
    component: String,
}

#[derive(Deserialize)]
struct RawComponent {
    source: String,
    #[serde(default)]
    tool: RawTool<ComponentTable>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawTool<T: Default> {
    windlass: T,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ApplicationTable {
    openapi: Vec<String>,
    reconciler: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ComponentTable {
    version: Option<String>,
    grants: Vec<String>,
    storage: StorageGrant,
    limits: Limits,
    canary: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "small"
        [application.tool.windlass]
        openapi = ["api.yaml"]
        [[trigger.http]]
        route = "/a/:id"
        component = "a"
        [component.a]
        source = "a.wasm"
        allowed_outbound_hosts = []
        [component.a.tool.windlass]
        grants = ["storage"]
        storage = { read = ["x"], append = ["y"] }
        limits = { reuse = 1 }
    "#;

    #[test]
    fn a_manifest_gives_routes_grants_and_limits() -> Result<(), Refusal> {
        let manifest = Manifest::parse(SMALL, "spin.toml")?;
        assert_eq!(manifest.openapi, ["api.yaml"]);
        let (component, source) = &manifest.components[&ComponentId("a".into())];
        assert_eq!(source, "a.wasm");
        assert_eq!(component.routes, ["/a/:id"]);
        assert!(component.has_grant("storage") && !component.has_grant("identity"));
        assert_eq!(component.storage.append, ["y"]);
        assert_eq!(component.limits, Limits { reuse: 1, ..Limits::default() });
        Ok(())
    }

    #[track_caller]
    fn check_refused(from: &str, to: &str, names: &str) {
        let text = SMALL.replace(from, to);
        assert_ne!(text, SMALL);
        let refusal = Manifest::parse(&text, "spin.toml").map(drop);
        let message = refusal.map_or_else(|refusal| refusal.to_string(), |()| String::new());
        assert!(message.contains(names), "{message:?} should name {names}");
    }

    #[test]
    fn mistakes_are_named() {
        check_refused("reuse = 1", "reuze = 1", "reuze");
        check_refused("append =", "apend =", "apend");
        check_refused("grants =", "grant =", "grant");
        check_refused("component = \"a\"", "component = \"b\"", "[component.b]");
        check_refused("version = 2", "version = 1", "spin_manifest_version");
        check_refused("openapi =", "openapy =", "openapy");
        check_refused("openapi =", "reconciler = \"b\"\nopenapi =", "reconciler is b");
        check_refused("[component.a", "[component.A_b", "A_b");
    }
}
