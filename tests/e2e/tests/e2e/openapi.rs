//! The document the project serves: what it lists is exercised, and it says what the contract says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use windlass_harness::fixtures::checkout;
use windlass_harness::{Database, Server, ledger};

use crate::databases::engines;
use crate::deployments::story;
use crate::{accounts, audit, builds, databases, git, projects, services, templates};

/// Operations of the contract that are not served yet. This list may only shrink.
const NOT_YET_SERVED: [&str; 0] = [];

/// One operation of the served document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation {
    /// The method, in capitals.
    pub(crate) method: String,
    /// The whole path, with parameters as `{name}`.
    pub(crate) path: String,
    /// Whether it needs a token.
    pub(crate) is_protected: bool,
}

impl Operation {
    /// Whether it names something that belongs to somebody.
    pub(crate) fn has_id(&self) -> bool {
        self.path.contains("id}") || self.path.contains("Id}")
    }
}

/// The document a server answers.
pub(crate) async fn document(server: &Server) -> Value {
    server.client().get("/openapi.json").await.expect(200).json()
}

/// The operations of a document, with the path of its server before each.
pub(crate) fn operations(document: &Value) -> Vec<Operation> {
    let base = document["servers"][0]["url"].as_str().unwrap_or_default().trim_end_matches('/');
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("a document has paths") {
        for (method, operation) in item.as_object().expect("a path has operations") {
            if ["get", "post", "put", "delete", "patch"].contains(&method.as_str()) {
                let security = operation.get("security").or_else(|| document.get("security"));
                let is_protected =
                    security.and_then(Value::as_array).is_some_and(|schemes| !schemes.is_empty());
                let path =
                    if path.starts_with(base) { path.clone() } else { format!("{base}{path}") };
                found.push(Operation { method: method.to_uppercase(), path, is_protected });
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_document_is_exercised_on_sqlite() {
    every_operation_of_the_document_is_exercised(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_document_is_exercised_on_postgres() {
    every_operation_of_the_document_is_exercised(Database::Postgres).await;
}

/// Runs what the tests of the nouns run, and compares what was asked for with the document.
async fn every_operation_of_the_document_is_exercised(database: Database) {
    let providers = git::Providers::start();
    let server = &providers.server(database);
    accounts::health_is_public_and_exact(server).await;
    accounts::a_registered_user_logs_in_and_sees_the_profile(server).await;
    accounts::a_profile_changes_in_what_is_sent_only(server).await;
    projects::a_project_is_created_viewed_changed_and_deleted(server).await;
    projects::a_deleted_project_takes_its_services_along(server).await;
    services::a_service_changes_in_what_is_sent_only(server).await;
    services::a_service_is_deleted(server).await;
    audit::every_change_leaves_an_entry(server).await;
    templates::a_secret_of_a_template_reaches_the_workload_and_nobody_else(server).await;
    git::repositories_are_listed_with_a_token_that_is_never_shown(server).await;
    let repositories = builds::git_server("blue");
    builds::story::a_repository_is_built_and_its_image_deployed(server, &repositories).await;
    databases::a_database_without_anything_to_run_it_says_so_and_can_be_deleted(server).await;
    engines::postgresql_is_provisioned_saved_damaged_and_brought_back(database).await;
    story::a_service_is_deployed_read_replaced_under_load_and_put_back(server).await;

    let document = document(server).await;
    let entries = ledger::entries();
    for operation in operations(&document) {
        let exercised = entries.iter().any(|entry| {
            entry.method == operation.method
                && (200..300).contains(&entry.status)
                && ledger::fits(&operation.path, &entry.path)
        });
        assert!(exercised, "no test succeeds with {operation:?}");
    }
    for entry in entries.iter().filter(|entry| entry.path.starts_with("/api/")) {
        let documented = operations(&document).iter().any(|operation| {
            entry.method == operation.method && ledger::fits(&operation.path, &entry.path)
        });
        assert!(documented, "{entry:?} was answered and is not in the document");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_has_a_page_to_read_it_with() {
    let server = Server::start();
    let page = server.client().get("/reference").await.expect(200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    let text = page.text();
    for outside in ["src=\"http", "href=\"http", "//cdn", "@import url(http"] {
        assert!(!text.contains(outside), "the page fetches something from outside: {outside}");
    }
}

/// The contract is kept beside the checkout. Where it is not, the document stands for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_agrees_with_the_contract() {
    let Ok(text) = fs::read_to_string(checkout().join("../shared/contracts/containr-openapi.yaml"))
    else {
        return;
    };
    let contract: Value = serde_yaml_ng::from_str(&text).expect("the contract is YAML");
    let server = Server::start();
    let served = document(&server).await;
    let (ours, theirs) = (Surface::of(&served), Surface::of(&contract));

    let missing: Vec<&String> = theirs
        .operations
        .keys()
        .filter(|operation| !ours.operations.contains_key(*operation))
        .collect();
    let exceptions: BTreeSet<&str> = NOT_YET_SERVED.into_iter().collect();
    for operation in &missing {
        assert!(exceptions.contains(operation.as_str()), "{operation} is not served");
    }
    for exception in exceptions {
        assert!(
            missing.iter().any(|operation| *operation == exception),
            "{exception} is served, or no operation"
        );
    }
    let nothing = BTreeMap::new();
    for (name, operation) in &ours.operations {
        let expected = theirs.operations.get(name);
        let expected = expected.unwrap_or_else(|| panic!("the contract has no {name}"));
        assert_eq!(operation.parameters, expected.parameters, "parameters of {name}");
        assert_eq!(operation.request, expected.request, "request of {name}");
        for (status, answer) in &expected.answers {
            let found = operation.answers.get(status).unwrap_or(&nothing);
            // Beside what the contract has there may be more, such as a stream of the same.
            let agrees = answer.iter().all(|(media, shape)| found.get(media) == Some(shape));
            let is_as_empty = answer.is_empty() == found.is_empty();
            assert!(agrees && is_as_empty, "{status} of {name}: {found:?}, and not {answer:?}");
        }
    }
    for (name, schema) in &ours.schemas {
        let expected = theirs.schemas.get(name);
        let expected = expected.unwrap_or_else(|| panic!("the contract has no schema {name}"));
        assert_eq!(schema.properties, expected.properties, "properties of {name}");
        // We promise more than the contract does, and nothing less.
        assert!(schema.required.is_superset(&expected.required), "required of {name}");
    }
}

/// What two documents are compared by.
struct Surface {
    /// By `METHOD /path`.
    operations: BTreeMap<String, Described>,
    schemas: BTreeMap<String, Schema>,
}

/// An operation as it is described.
struct Described {
    /// The names, places and types of its parameters.
    parameters: BTreeSet<String>,
    /// The shapes of its request by media type, with what must be there.
    request: BTreeMap<String, String>,
    /// The shapes of each answer, by status and media type.
    answers: BTreeMap<String, BTreeMap<String, String>>,
}

/// A named schema.
struct Schema {
    /// Each property with its type and enumeration.
    properties: BTreeMap<String, String>,
    /// Those that are always there.
    required: BTreeSet<String>,
}

impl Surface {
    fn of(document: &Value) -> Self {
        let mut operations = BTreeMap::new();
        for (path, item) in document["paths"].as_object().expect("a document has paths") {
            let path = path.strip_prefix("/api/v1").unwrap_or(path);
            for (method, operation) in item.as_object().expect("a path has operations") {
                if operation.get("responses").is_some() {
                    let name = format!("{} {path}", method.to_uppercase());
                    operations.insert(name, Described::of(document, operation));
                }
            }
        }
        let schemas = document["components"]["schemas"].as_object().expect("it has schemas");
        let schemas = schemas.iter().map(|(name, schema)| {
            let schema = Schema { properties: properties(schema), required: required(schema) };
            (name.clone(), schema)
        });
        Self { operations, schemas: schemas.collect() }
    }
}

impl Described {
    fn of(document: &Value, operation: &Value) -> Self {
        let body = resolved(document, &operation["requestBody"]);
        let request = contents(body).map(|(media, schema)| {
            let required = required(resolved(document, schema));
            (media.clone(), format!("{} {} {required:?}", body["required"], shape(schema)))
        });
        let answers = operation["responses"].as_object().expect("an operation has answers");
        let answers = answers.iter().map(|(status, answer)| {
            let contents = contents(resolved(document, answer));
            let shapes = contents.map(|(media, schema)| (media.clone(), shape(schema)));
            (status.clone(), shapes.collect())
        });
        Self {
            parameters: parameters(document, operation),
            request: request.collect(),
            answers: answers.collect(),
        }
    }
}

/// What a reference refers to; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            document.pointer(reference.trim_start_matches('#')).expect("it resolves")
        }
        None => value,
    }
}

/// The schemas of a body, by media type.
fn contents(body: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let contents = body["content"].as_object().into_iter().flatten();
    contents.map(|(media, content)| (media, &content["schema"]))
}

fn required(schema: &Value) -> BTreeSet<String> {
    let names = schema["required"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Path and query parameters. Headers are HTTP's own, and the contract leaves them open.
fn parameters(document: &Value, operation: &Value) -> BTreeSet<String> {
    let empty = Vec::new();
    let listed = operation["parameters"].as_array().unwrap_or(&empty);
    listed
        .iter()
        .map(|parameter| resolved(document, parameter))
        .filter(|parameter| parameter["in"] != "header")
        .map(|parameter| {
            format!("{} {} {}", parameter["in"], parameter["name"], parameter["schema"]["type"])
        })
        .collect()
}

fn properties(schema: &Value) -> BTreeMap<String, String> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, property)| (name.clone(), shape(property))).collect()
}

/// A schema without its bounds and examples, of which ours has more.
fn shape(schema: &Value) -> String {
    // What is emitted is sometimes said more precisely: the contract's schema, and more.
    let reference = match &schema["$ref"] {
        Value::Null => &schema["allOf"][0]["$ref"],
        reference => reference,
    };
    let items = schema.get("items").map(shape);
    let properties = properties(schema);
    format!("{} {} {reference} {items:?} {properties:?}", schema["type"], schema["enum"])
}
