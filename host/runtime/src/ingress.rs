//! What the world reaches: from a host name to the workload behind it.
//!
//! The table is exchanged as a whole, and a request keeps the target it found. Names that are one
//! label stand for themselves under the platform's base domain.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use windlass_engine::Destination;

use crate::driver::WorkloadId;

/// A host name and the workload behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// A label under the base domain, or a whole host name; in lower case.
    pub host: String,
    /// What answers.
    pub workload: WorkloadId,
}

/// What a host name belongs to.
pub enum Found {
    /// To nobody here.
    Elsewhere,
    /// To the platform's base domain; but nothing is live under it now.
    Nothing,
    /// To this.
    Live(Arc<dyn Destination>),
}

/// The table.
pub struct Ingress {
    base_domain: String,
    table: ArcSwap<HashMap<String, Arc<dyn Destination>>>,
    published: Mutex<BTreeMap<String, WorkloadId>>,
}

impl Ingress {
    /// An empty table for a platform under this domain.
    pub fn new(base_domain: &str) -> Self {
        Self {
            base_domain: base_domain.to_ascii_lowercase(),
            table: ArcSwap::default(),
            published: Mutex::default(),
        }
    }

    /// The platform's base domain.
    pub fn base_domain(&self) -> &str {
        &self.base_domain
    }

    /// What a host, which may have a port, belongs to.
    pub fn find(&self, host: &str) -> Found {
        let name = host_name(host).to_ascii_lowercase();
        match self.table.load().get(&name) {
            Some(destination) => Found::Live(Arc::clone(destination)),
            None if self.is_under_base_domain(&name) => Found::Nothing,
            None => Found::Elsewhere,
        }
    }

    fn is_under_base_domain(&self, name: &str) -> bool {
        let label = name.strip_suffix(&self.base_domain).and_then(|rest| rest.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty())
    }

    /// Makes these routes, and no others, the ones that are served. Routes whose workload is not
    /// there are left out; they are published again when it is.
    pub(crate) fn publish(
        &self,
        routes: Vec<Route>,
        target: impl Fn(WorkloadId) -> Option<Arc<dyn Destination>>,
    ) {
        let mut wanted = BTreeMap::new();
        let mut table = HashMap::new();
        for route in routes {
            if let Some(target) = target(route.workload) {
                let host = self.full(&route.host);
                wanted.insert(host.clone(), route.workload);
                table.insert(host, target);
            }
        }
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        // A workload that was restarted has the same id and another target.
        let same = *published == wanted
            && table.iter().all(|(host, target)| {
                self.table.load().get(host).is_some_and(|known| Arc::ptr_eq(known, target))
            });
        if !same {
            self.table.store(Arc::new(table));
            *published = wanted;
        }
    }

    fn full(&self, host: &str) -> String {
        if host.contains('.') { host.to_owned() } else { format!("{host}.{}", self.base_domain) }
    }
}

/// A host without its port: `a.example:80` and `[::1]:80` alike.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wasmtime_wasi_http::WasiBody;
    use windlass_engine::{DestinationFuture, Failure, RequestContext};

    use super::*;

    struct Silent;

    impl Destination for Silent {
        fn time_limit(&self) -> Duration {
            Duration::ZERO
        }

        fn answer(
            self: Arc<Self>,
            _context: RequestContext,
            _request: http::Request<WasiBody>,
        ) -> DestinationFuture {
            Box::pin(async { Err(Failure::Unanswered) })
        }
    }

    fn route(host: &str, last: char) -> Route {
        let id = format!("00000000-0000-7000-8000-00000000000{last}");
        Route { host: host.to_owned(), workload: WorkloadId::parse(&id).expect("a UUID") }
    }

    #[test]
    fn names_are_found_with_and_without_port_in_any_case() {
        let ingress = Ingress::new("Apps.Example");
        let target: Arc<dyn Destination> = Arc::new(Silent);
        ingress.publish(vec![route("web-shop", '1'), route("shop.test", '2')], |_| {
            Some(Arc::clone(&target))
        });
        for host in ["web-shop.apps.example", "WEB-shop.apps.example:8080", "shop.test:80"] {
            assert!(matches!(ingress.find(host), Found::Live(_)), "{host}");
        }
        for host in ["web-shop", "apps.example", "example", "", ":80", "[::1]:80", "xapps.example"]
        {
            assert!(matches!(ingress.find(host), Found::Elsewhere), "{host}");
        }
        for host in ["other.apps.example", "OTHER.apps.example:80", "a.b.apps.example"] {
            assert!(matches!(ingress.find(host), Found::Nothing), "{host}");
        }
    }

    #[test]
    fn what_is_not_published_any_more_is_gone() {
        let ingress = Ingress::new("localhost");
        let target: Arc<dyn Destination> = Arc::new(Silent);
        ingress.publish(vec![route("a", '1'), route("b", '2')], |_| Some(Arc::clone(&target)));
        ingress.publish(vec![route("b", '2')], |_| Some(Arc::clone(&target)));
        assert!(matches!(ingress.find("a.localhost"), Found::Nothing));
        assert!(matches!(ingress.find("b.localhost"), Found::Live(_)));
        ingress.publish(vec![route("b", '2')], |_| None);
        assert!(matches!(ingress.find("b.localhost"), Found::Nothing));
    }
}
