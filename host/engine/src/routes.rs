//! The routing table: which component a path wakes. It is immutable; a change makes a new one and
//! exchanges the whole table at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::ComponentId;
use crate::refusal::Refusal;
use crate::slot::Slot;

/// The routing table.
#[derive(Default)]
pub struct RoutingTable {
    paths: matchit::Router<Arc<Slot>>,
    slots: BTreeMap<ComponentId, Arc<Slot>>,
}

impl RoutingTable {
    /// Builds a table of everything that is installed.
    pub(crate) fn new(slots: BTreeMap<ComponentId, Arc<Slot>>) -> Result<Self, Refusal> {
        let mut paths = matchit::Router::new();
        for slot in slots.values() {
            for route in &slot.stable().manifest().routes {
                add_route(&mut paths, slot, route)?;
            }
        }
        Ok(Self { paths, slots })
    }

    /// The same table with one more component, if its routes are free.
    pub(crate) fn with(&self, id: ComponentId, slot: Arc<Slot>) -> Result<Self, Refusal> {
        let mut slots = self.slots.clone();
        slots.insert(id, slot);
        Self::new(slots)
    }

    /// The place a path leads to.
    pub fn slot(&self, path: &str) -> Option<&Arc<Slot>> {
        self.paths.at(path).ok().map(|found| found.value)
    }

    /// Everything that is installed, by name.
    pub fn slots(&self) -> &BTreeMap<ComponentId, Arc<Slot>> {
        &self.slots
    }
}

fn add_route(
    paths: &mut matchit::Router<Arc<Slot>>,
    slot: &Arc<Slot>,
    route: &str,
) -> Result<(), Refusal> {
    let refuse = |reason: String| Refusal::Route {
        component: slot.id().clone(),
        route: route.to_owned(),
        reason,
    };
    for pattern in patterns(route).map_err(refuse)? {
        paths
            .insert(pattern, Arc::clone(slot))
            .map_err(|error| refuse(format!("another route is in its way ({error})")))?;
    }
    Ok(())
}

/// Translates a route of Spin (`/a/:name`, `/a/...`) for the matcher. The names of parameters are
/// the component's business, so they are made uniform: two components may name one differently.
fn patterns(route: &str) -> Result<Vec<String>, String> {
    let Some(rest) = route.strip_prefix('/') else {
        return Err("a route begins with a slash".to_owned());
    };
    if rest.contains(['{', '}', '?', '#', '*']) || !rest.is_ascii() {
        return Err("write parameters as `:name` and everything below as `...`".to_owned());
    }
    let mut pattern = String::new();
    let segments: Vec<_> = rest.split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        if *segment == "..." {
            if !last {
                return Err("`...` stands at the end of a route".to_owned());
            }
            let base = if pattern.is_empty() { "/".to_owned() } else { pattern.clone() };
            return Ok(vec![base, format!("{pattern}/{{*rest}}")]);
        }
        pattern.push('/');
        match segment.strip_prefix(':') {
            Some("") => return Err("a parameter needs a name after the colon".to_owned()),
            Some(_) => pattern.push_str(&format!("{{p{index}}}")),
            None => pattern.push_str(segment),
        }
    }
    Ok(vec![pattern])
}

/// The path a canary asks for when the manifest names none: the first route, with each parameter
/// set to `canary`.
pub(crate) fn canary_path(route: &str) -> String {
    let segments = route.split('/').map(|segment| {
        if segment.starts_with(':') || segment == "..." { "canary" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(route: &str, expected: Result<&[&str], ()>) {
        let found = patterns(route);
        match expected {
            Ok(expected) => assert_eq!(found.as_deref(), Ok(&owned(expected)[..]), "{route}"),
            Err(()) => assert!(found.is_err(), "{route} gave {found:?}"),
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn routes_of_spin_become_patterns() {
        check("/", Ok(&["/"]));
        check("/a/b", Ok(&["/a/b"]));
        check("/a/:id", Ok(&["/a/{p1}"]));
        check("/a/:id/b", Ok(&["/a/{p1}/b"]));
        check("/a/...", Ok(&["/a", "/a/{*rest}"]));
        check("/...", Ok(&["/", "/{*rest}"]));
        check("a", Err(()));
        check("/a/.../b", Err(()));
        check("/a/:", Err(()));
        check("/a/{id}", Err(()));
        check("/a/*", Err(()));
    }

    #[test]
    fn parameters_with_different_names_share_a_prefix() {
        let mut router = matchit::Router::new();
        for route in ["/a/:id", "/a/:project/b", "/a"] {
            for pattern in patterns(route).unwrap_or_default() {
                assert!(router.insert(pattern, route).is_ok(), "{route}");
            }
        }
        assert_eq!(router.at("/a/1/b").map(|found| *found.value), Ok("/a/:project/b"));
        assert_eq!(router.at("/a/1").map(|found| *found.value), Ok("/a/:id"));
    }

    #[test]
    fn canary_paths_fill_every_parameter() {
        assert_eq!(canary_path("/a/:id/b"), "/a/canary/b");
        assert_eq!(canary_path("/a/..."), "/a/canary");
        assert_eq!(canary_path("/a"), "/a");
    }
}
