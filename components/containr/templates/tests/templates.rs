//! Templates, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_common::Error;
use containr_templates::routes::router;
use serde_json::{Value, json};
use windlass_domain::ids::UserId;
use windlass_domain::projects::{self, NewProject};
use windlass_domain::testing::block_on;
use windlass_sdk::Method;
use windlass_sdk::testing::TestHost;

fn host() -> (TestHost<Error>, UserId, String) {
    let host = TestHost::new(router());
    let user = host.world.register("ada@example.com").id;
    let new_project = NewProject { name: "Shop".to_owned(), description: String::new() };
    let project = block_on(projects::create(&host.world.as_user(user), new_project)).unwrap();
    (host, user, project.project.id.to_string())
}

#[test]
fn a_template_is_listed_with_documents_and_viewed_taken_apart() {
    let (host, ada, _) = host();
    let listed = host.as_user(ada, Method::GET, "/api/v1/templates?category=cron").send();
    assert_eq!(listed.status(), 200);
    let listed: Value = listed.json();
    let templates = listed["templates"].as_array().unwrap();
    assert_eq!(templates.len(), 1);
    let viewed = host.as_user(ada, Method::GET, "/api/v1/templates/tpl-cron").send();
    assert_eq!(viewed.status(), 200);
    let viewed: Value = viewed.json();
    assert_eq!(viewed["template"], templates[0]);
    for field in ["config", "variables"] {
        let document = templates[0][field].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(document).unwrap(), viewed[field]);
    }
    assert_eq!(viewed["config"]["type"], "cron");
    assert_eq!(
        viewed["variables"][0],
        json!({"key": "CRON_SCHEDULE", "label": "Times", "default": "0 * * * *", "required": false,
               "secret": false, "description": "When it runs, as in crontab(5), in UTC"})
    );
    assert_eq!(templates[0]["created_at"], "2026-11-27T00:00:00.000000Z");
    let all: Value = host.as_user(ada, Method::GET, "/api/v1/templates").send().json();
    assert_eq!(all["templates"].as_array().map(Vec::len), Some(14));
    let missing = host.as_user(ada, Method::GET, "/api/v1/templates/tpl-cobol").send();
    assert_eq!(missing.status(), 404);
}

#[test]
fn a_template_becomes_a_service_that_is_stopped() {
    let (host, ada, project) = host();
    let body = json!({"project_id": project, "name": "web", "variables": {"NPM_TOKEN": "s3cret"}});
    let made = host.as_user(ada, Method::POST, "/api/v1/templates/tpl-nodejs/deploy");
    let made = made.json(body).send();
    assert_eq!(made.status(), 201);
    let made: Value = made.json();
    let service = host.world.store.services().pop().unwrap();
    assert_eq!(
        made,
        json!({"resource": "service", "service_id": service.id.to_string(),
               "message": "the service was created; deploy it to start it"})
    );
    assert!(service.build.sealed.contains_key("NPM_TOKEN"));
}

#[test]
fn bad_bodies_say_what_is_wrong() {
    let (host, ada, project) = host();
    let check = |template: &str, change: Value, status: u16, details: Value| {
        let mut body = json!({"project_id": project, "name": "web"});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let path = format!("/api/v1/templates/{template}/deploy");
        let answer = host.as_user(ada, Method::POST, &path).json(&body).send();
        assert_eq!(answer.status(), status, "{template} {body}");
        let error: Value = answer.json();
        for (name, value) in details.as_object().unwrap() {
            assert_eq!(&error["details"][name], value, "{error}");
        }
    };
    check("tpl-docker", json!({}), 400, json!({"missing_variables": ["IMAGE"]}));
    check("tpl-go", json!({"name": ""}), 400, json!({"field": "name"}));
    check("tpl-go", json!({"plan": "gold"}), 400, json!({"field": "plan"}));
    check("tpl-go", json!({"variables": {"A": 1}}), 400, json!({"field": "variables.A"}));
    check("tpl-go", json!({"variables": null}), 400, json!({"field": "variables"}));
    check("tpl-go", json!({"project_id": "x"}), 404, json!({"resource": "project"}));
    check("tpl-cobol", json!({}), 404, json!({"resource": "template"}));
    assert!(host.world.store.services().is_empty());
}

#[test]
fn a_template_of_a_database_becomes_a_database() {
    let (host, ada, project) = host();
    let body = json!({"project_id": project, "name": "cache", "plan": "hobby"});
    let made = host.as_user(ada, Method::POST, "/api/v1/templates/tpl-redis/deploy");
    let made = made.json(body).send();
    assert_eq!(made.status(), 201);
    let made: Value = made.json();
    let databases = host.world.store.databases();
    let ids: Vec<_> = databases.iter().map(|database| database.id.to_string()).collect();
    assert_eq!(json!([made["database_id"]]), json!(ids));
    assert_eq!((&made["resource"], ids.len()), (&json!("database"), 1));
    assert!(host.world.store.services().is_empty());
}
