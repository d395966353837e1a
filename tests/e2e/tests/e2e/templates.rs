//! Templates, and what becomes of their secrets.

use serde_json::{Value, json};
use windlass_harness::{Client, Server};

use crate::check::{MISSING_ID, has_exactly, text, time};
use crate::deployments::{Tenant, push};

const TEMPLATES: &str = "/api/v1/templates";
/// A secret that must not be seen again.
const SECRET: &str = "s3cret-4711";

async fn deploy(client: &Client, template: &str, body: &Value) -> windlass_harness::Answer {
    client.post(&format!("{TEMPLATES}/{template}/deploy"), body).await
}

on_each_database!(
    a_secret_of_a_template_reaches_the_workload_and_nobody_else,
    a_template_that_cannot_be_deployed_makes_nothing,
);

pub(crate) async fn a_secret_of_a_template_reaches_the_workload_and_nobody_else(server: &Server) {
    let tenant = Tenant::new(server, "Quay").await;
    let list = tenant.client().get(&format!("{TEMPLATES}?category=web")).await.expect(200).json();
    let listed = list["templates"].as_array().expect("a list");
    assert!(listed.iter().all(|template| template["category"] == "web") && listed.len() == 3);
    time(&listed[0]["created_at"]);
    let view = tenant.client().get(&format!("{TEMPLATES}/tpl-nodejs")).await.expect(200).json();
    has_exactly(&view, &["template", "config", "variables"]);

    let image = push(server, "template:1", "workload_blue").await;
    let body = json!({"project_id": tenant.project, "name": "shop",
                      "variables": {"IMAGE": image, "NPM_TOKEN": SECRET, "COLOUR": "light"}});
    let made = deploy(tenant.client(), "tpl-nodejs", &body).await.expect(201).json();
    has_exactly(&made, &["resource", "service_id", "message"]);
    let service = text(&made, "service_id").to_owned();
    let path = format!("/api/v1/services/{service}");
    // The image is a component, and has no command of its own to replace.
    let start = json!({"build_config": {"start_command": ""}});
    let shown = tenant.client().put(&path, &start).await.expect(200);
    let variables = json!({"NODE_ENV": "production", "PORT": "3000", "COLOUR": "light",
                           "NPM_TOKEN": "********"});
    assert_eq!(shown.json()["build_config"]["environment_variables"], variables);
    let deployment = tenant.deploy(&service).await;
    let visitor = server.visitor("shop-quay.localhost");
    let seen =
        async |name: &str| visitor.get(&format!("/variable/{name}")).await.expect(200).text();
    assert_eq!((seen("NPM_TOKEN").await, seen("COLOUR").await), (SECRET.into(), "light".into()));

    // What was shown can be given back.
    let again = json!({"build_config": {"environment_variables": variables}});
    tenant.client().put(&path, &again).await.expect(200);
    tenant.deploy(&service).await;
    assert_eq!(seen("NPM_TOKEN").await, SECRET);

    let answers = [
        tenant.client().get(&path).await,
        tenant.client().get(&format!("/api/v1/projects/{}/services", tenant.project)).await,
        tenant.client().get(&format!("/api/v1/deployments/{deployment}")).await,
        tenant.client().get(&format!("/api/v1/deployments/{deployment}/logs")).await,
        tenant.client().get("/api/v1/audit-logs").await,
    ];
    for answer in answers {
        let answer = answer.expect(200).text();
        assert!(!answer.contains(SECRET), "the secret is shown: {answer}");
    }
    assert!(!server.log().contains(SECRET), "the secret is in the log");
}

async fn a_template_that_cannot_be_deployed_makes_nothing(server: &Server) {
    let tenant = Tenant::new(server, "Harbour").await;
    let stranger = windlass_harness::Account::register(&server.client()).await;
    let body = |project: &str| json!({"project_id": project, "name": "web"});
    let client = tenant.client();
    let missing = deploy(client, "tpl-docker", &body(&tenant.project)).await.expect_error(400);
    assert_eq!(missing["details"]["missing_variables"], json!(["IMAGE"]));
    deploy(client, "tpl-none", &body(&tenant.project)).await.expect_error(404);
    deploy(client, "tpl-go", &body(MISSING_ID)).await.expect_error(404);
    deploy(&stranger.client, "tpl-go", &body(&tenant.project)).await.expect_error(404);
    let mut database = body(&tenant.project);
    database["plan"] = json!("free");
    database["variables"] = json!({"POSTGRES_PASSWORD": SECRET});
    deploy(client, "tpl-postgres", &database).await.expect_error(400);
    database["plan"] = json!("starter");
    deploy(&stranger.client, "tpl-postgres", &database).await.expect_error(404);
    let made = deploy(client, "tpl-postgres", &database).await.expect(201).json();
    assert_eq!(made["resource"], "database");
    let path = format!("/api/v1/databases/{}", made["database_id"].as_str().expect("an id"));
    let made = client.get(&path).await.expect(200).json();
    assert_eq!((&made["name"], &made["plan"]), (&json!("web"), &json!("starter")));
    deploy(client, "tpl-postgres", &database).await.expect_error(409);
    let services = format!("/api/v1/projects/{}/services", tenant.project);
    assert_eq!(client.get(&services).await.expect(200).json(), json!([]));
    deploy(client, "tpl-go", &body(&tenant.project)).await.expect(201);
    deploy(client, "tpl-go", &body(&tenant.project)).await.expect_error(409);
    client.get(&format!("{TEMPLATES}/tpl-none")).await.expect_error(404);
}
