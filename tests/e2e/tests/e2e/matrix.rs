//! Every protected operation of the served document, called with everything but the right token,
//! and with another tenant's ids. Generated: a new operation is in it by being in the document.

use reqwest::Method;
use serde_json::{Value, json};
use windlass_harness::{Account, Client, Server};

use crate::check::{MISSING_ID, eventually, text};
use crate::databases::{DATABASES, Kept};
use crate::deployments::{Tenant, push};
use crate::openapi::{Operation, document, operations};

on_each_database!(
    nothing_protected_is_done_without_a_good_token,
    nothing_of_another_tenant_is_reached
);

pub(crate) async fn nothing_protected_is_done_without_a_good_token(server: &Server) {
    let victim = Victim::prepare(server).await;
    let management = server.management();
    let (expired, _) = management.issue_token(&victim.account.id, 1).await;
    let (revoked, id) = management.issue_token(&victim.account.id, 600).await;
    management.revoke_token(&id).await;
    let dismissed = Account::register(&server.client()).await;
    management.revoke_subject(&dismissed.id).await;
    let client = server.client();
    wait_until_refused(&client, &expired).await;

    let good = victim.account.token.as_str();
    let (body, signature) = good.rsplit_once('.').expect("a JWT has three parts");
    let forged = format!("{body}.{}", signature.chars().rev().collect::<String>());
    let callers = [
        ("no token", client.anonymous()),
        ("no scheme", client.with_authorization(good)),
        ("another scheme", client.with_authorization("Basic dXNlcjpwYXNz")),
        ("an empty token", client.with_authorization("Bearer ")),
        ("a malformed token", client.with_token("not.a.token")),
        ("an unsigned token", client.with_token(&format!("{}.", unsigned(good)))),
        ("a forged token", client.with_token(&forged)),
        ("an expired token", client.with_token(&expired)),
        ("a revoked token", client.with_token(&revoked)),
        ("a token of a revoked subject", dismissed.client.clone()),
        ("an unknown API token", client.with_authorization("Token wl_nobody")),
    ];
    let operations = protected(server).await;
    assert!(operations.len() >= 20, "the document lists too few: {operations:?}");
    for operation in &operations {
        let path = victim.path(operation);
        for (what, caller) in &callers {
            let answer = victim.call(caller, operation, &path).await;
            assert_eq!(answer.status, 401, "{operation:?} with {what}: {}", answer.text());
            let challenge = answer.header("www-authenticate").map(str::to_owned);
            assert!(
                challenge.is_some_and(|challenge| challenge.starts_with("Bearer")),
                "{operation:?}"
            );
            answer.expect_error(401);
        }
    }
    victim.is_unharmed().await;
}

pub(crate) async fn nothing_of_another_tenant_is_reached(server: &Server) {
    let victim = Victim::prepare(server).await;
    let stranger = Account::register(&server.client()).await.client;
    let mut tried = 0;
    for operation in protected(server).await.iter().filter(|operation| operation.has_id()) {
        let answer = victim.call(&stranger, operation, &victim.path(operation)).await;
        if operation.path.starts_with("/api/v1/audit-logs/") {
            // A trail is always the caller's own, and a stranger's of this thing is empty.
            assert_eq!(answer.expect(200).json(), json!({"audit_logs": []}));
        } else if operation.path == "/api/v1/templates/{id}" {
            // The catalogue is nobody's and everybody's.
            answer.expect(200);
        } else {
            assert_eq!(answer.status, 404, "{operation:?}: {}", answer.text());
            answer.expect_error(404);
        }
        tried += 1;
    }
    assert!(tried >= 15, "only {tried} operations have an id");
    victim.is_unharmed().await;
}

/// A user with something to lose.
struct Victim {
    account: Account,
    project: Value,
    service: Value,
    deployments: Value,
    git_provider: Value,
    build: Value,
    database: Value,
}

impl Victim {
    async fn prepare(server: &Server) -> Self {
        let account = Account::register(&server.client()).await;
        let project = account.create_project("Precious").await;
        let id = text(&project, "id").to_owned();
        let token = json!({"type": "github", "access_token": "precious"});
        let git_provider =
            account.client.post("/api/v1/git/providers", &token).await.expect(201).json();
        let image = push(server, "precious:1", "workload_blue").await;
        let tenant = Tenant { account, project: id };
        let service = tenant.service("precious", "web", &image).await;
        tenant.deploy(&service).await;
        let view = async |path: String| tenant.client().get(&path).await.expect(200).json();
        let deployments = view(format!("/api/v1/services/{service}/deployments")).await;
        let service = view(format!("/api/v1/services/{service}")).await;
        let project = view(format!("/api/v1/projects/{}", tenant.project)).await;
        let build = built(&tenant, &image).await;
        let database = Kept::create(tenant.client(), "precious", "redis").await;
        let database = database.becomes("error").await;
        let account = tenant.account;
        Self { account, project, service, deployments, git_provider, build, database }
    }

    /// The path of an operation on what is the victim's.
    fn path(&self, operation: &Operation) -> String {
        let thing = if operation.path.contains("{providerId}") {
            &self.git_provider
        } else if operation.path.contains("/databases/{id}") {
            &self.database
        } else if operation.path.contains("/services/{id}") {
            &self.service
        } else if operation.path.contains("/builds/{id}") {
            &self.build
        } else if operation.path.contains("/deployments/{id}") {
            &self.deployments["deployments"][0]
        } else {
            &self.project
        };
        operation
            .path
            .replace("{project_id}", text(&self.project, "id"))
            .replace("{resource}", "project")
            .replace("/templates/{id}", "/templates/tpl-go")
            .replace("{providerId}", text(thing, "id"))
            .replace("{id}", text(thing, "id"))
    }

    /// Calls it with a body that fits wherever one may be sent.
    async fn call(
        &self,
        client: &Client,
        operation: &Operation,
        path: &str,
    ) -> windlass_harness::Answer {
        let method: Method = operation.method.parse().expect("a method of the document");
        let writes = method == Method::POST || method == Method::PUT;
        let request = client.request(method, path);
        let mut body = json!({"name": "Taken over", "type": "web", "description": "Taken over"});
        if operation.path.contains("/templates/") {
            body = json!({"project_id": self.project["id"], "name": "Taken over"});
        }
        if operation.path.contains("/databases") {
            body = json!({"name": "taken-over", "type": "redis", "plan": "business", "region": "",
                "action": "stop", "backup_id": MISSING_ID});
        }
        if operation.path.contains("/git/") {
            body = json!({"type": "gitlab", "access_token": "theirs"});
        }
        if writes { request.json(&body).send().await } else { request.send().await }
    }

    async fn is_unharmed(&self) {
        let client = &self.account.client;
        let project = format!("/api/v1/projects/{}", text(&self.project, "id"));
        assert_eq!(client.get(&project).await.expect(200).json(), self.project);
        let services = client.get(&format!("{project}/services")).await.expect(200).json();
        assert_eq!(services, json!([self.service]));
        let deployments = format!("/api/v1/services/{}/deployments", text(&self.service, "id"));
        let deployments = client.get(&deployments).await.expect(200).json();
        assert_eq!(deployments, self.deployments, "nothing was deployed or put back");
        let databases = client.get(DATABASES).await.expect(200).json();
        assert_eq!(databases, json!({"databases": [self.database]}));
        let providers = client.get("/api/v1/git/providers").await.expect(200).json();
        assert_eq!(providers, json!([self.git_provider]));
        let build = format!("/api/v1/builds/{}", text(&self.build, "id"));
        assert_eq!(client.get(&build).await.expect(200).json(), self.build);
        let profile = client.get("/api/v1/user/profile").await.expect(200).json();
        assert_ne!(profile["name"], "Taken over");
    }
}

/// An image that was made, and of which nothing more will become.
async fn built(tenant: &Tenant, image: &str) -> Value {
    let new = json!({"prebuilt_image": image, "image_name": "precious", "image_tag": "1"});
    let started = tenant.client().post("/api/v1/builds", &new).await.expect(201).json();
    let path = format!("/api/v1/builds/{}", text(&started, "id"));
    let view = async || tenant.client().get(&path).await.expect(200).json();
    eventually("a build", async || view().await["status"] == "success").await;
    view().await
}

async fn protected(server: &Server) -> Vec<Operation> {
    let document = document(server).await;
    operations(&document).into_iter().filter(|operation| operation.is_protected).collect()
}

/// A token lives for whole seconds; asks until it has ended.
async fn wait_until_refused(client: &Client, token: &str) {
    let client = client.with_token(token);
    for _ in 0..100 {
        if client.get("/api/v1/user/profile").await.status == 401 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("a token of one second is good for five");
}

/// The claims of a token behind a header that says they need no signature.
fn unsigned(token: &str) -> String {
    // {"alg":"none","typ":"JWT"}
    let claims = token.split('.').nth(1).expect("a JWT has three parts");
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}")
}
