//! The published document and the controllers name the same operations, and agree on which of
//! them need a token.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use serde_yaml_ng::Value;
use windlass_sdk::Method;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

fn document() -> Value {
    serde_yaml_ng::from_str(include_str!("../../openapi.yaml")).unwrap()
}

/// `METHOD path` of every documented operation, with the operation.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let base = document["servers"][0]["url"].as_str().unwrap();
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_mapping().unwrap() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let path = path.as_str().unwrap();
                operations.insert(format!("{} {base}{path}", method.to_uppercase()), operation);
            }
        }
    }
    operations
}

#[test]
fn the_document_has_exactly_the_operations_of_the_controllers() {
    let document = document();
    let documented: BTreeMap<_, _> = operations(&document)
        .into_iter()
        .map(|(name, operation)| {
            let open = operation["security"].as_sequence().unwrap().is_empty();
            (name, open)
        })
        .collect();
    let served: BTreeMap<_, _> = [
        containr_accounts::routes::router(),
        containr_projects::routes::router(),
        containr_services::routes::router(),
        containr_deployments::routes::router(),
        containr_builds::routes::router(),
        containr_databases::routes::router(),
        containr_logs::routes::router(),
        containr_audit::routes::router(),
        containr_git::routes::router(),
        containr_templates::routes::router(),
    ]
    .iter()
    .flat_map(|router| router.routes())
    .map(|route| (format!("{} {}", route.method, route.path), route.open))
    .collect();
    assert_eq!(documented, served);
}

#[test]
fn operations_are_named_once_and_say_what_they_may_answer() {
    let document = document();
    let mut ids = Vec::new();
    for (name, operation) in operations(&document) {
        ids.push(operation["operationId"].as_str().unwrap().to_owned());
        let responses = operation["responses"].as_mapping().unwrap();
        let answers = |status: &str| responses.contains_key(status);
        for status in ["500", "503", "504"] {
            assert!(answers(status), "{name} {status}");
        }
        let open = operation["security"].as_sequence().unwrap().is_empty();
        assert!(open || answers("401"), "{name} 401");
        let has_body = operation.get("requestBody").is_some();
        for status in ["413", "415"] {
            assert_eq!(answers(status), has_body, "{name} {status}");
        }
        assert_eq!(answers("422"), name.starts_with(Method::POST.as_str()), "{name} 422");
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
