//! Git accounts, and providers that are as nasty as the originals.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use windlass_harness::{Account, Database, Server, ServerOptions};
use windlass_test_support::{HttpStub, http_answer};

use crate::check::{MISSING_ID, eventually, has_exactly, text};

const PROVIDERS: &str = "/api/v1/git/providers";
/// The one token that is good.
const GOOD: &str = "good-token-4711";

/// GitHub, GitLab and Bitbucket in one, on loopback. What a token is called is how it is treated.
pub(crate) struct Providers(Arc<HttpStub>);

impl Providers {
    pub(crate) fn start() -> Self {
        Self(Arc::new(HttpStub::start(answer)))
    }

    /// A server that takes it for all three.
    pub(crate) fn server(&self, database: Database) -> Server {
        self.server_allowing(database, "[\"127.0.0.0/8\"]")
    }

    fn server_allowing(&self, database: Database, networks: &str) -> Server {
        let url = |key: &str| (key.to_owned(), self.0.base());
        let mut options = ServerOptions::on(database);
        options.environment = vec![
            url("WINDLASS_GIT_GITHUB_URL"),
            url("WINDLASS_GIT_GITLAB_URL"),
            url("WINDLASS_GIT_BITBUCKET_URL"),
            ("WINDLASS_OUTBOUND_ALLOW".to_owned(), networks.to_owned()),
        ];
        Server::start_with(options)
    }
}

fn answer(head: &str) -> Vec<u8> {
    let token = head.split("authorization: bearer ").nth(1).unwrap_or_default();
    let page = if head.contains("page=2") { 2 } else { 1 };
    match token.lines().next().unwrap_or_default().trim_end_matches("-token") {
        GOOD if head.starts_with("GET /user/repos?") => github(head, page),
        GOOD if head.starts_with("GET /api/v4/projects?") => gitlab(),
        GOOD if head.starts_with("GET /2.0/repositories?") => bitbucket(head, page),
        "limited" => http_answer(
            "403 Forbidden",
            "x-ratelimit-remaining: 0\r\nretry-after: 30\r\n",
            "{\"message\": \"API rate limit exceeded\"}",
        ),
        "narrow" => http_answer("403 Forbidden", "", "{\"message\": \"insufficient_scope\"}"),
        "broken" => http_answer("500 Internal Server Error", "", "<html>oops</html>"),
        "malformed" => http_answer("200 OK", "", "[{\"id\": 1"),
        "huge" => http_answer("200 OK", "", &format!("[{}]", " ".repeat(5 * 1_048_576))),
        "endless" => http_answer("200 OK", &next(head, "/user/repos?page=1"), &repositories(100)),
        "astray" => http_answer("200 OK", "link: <http://127.0.0.2:1/>; rel=\"next\"\r\n", "[]"),
        "inside" => http_answer("302 Found", "location: http://169.254.169.254/latest\r\n", ""),
        _ => http_answer("401 Unauthorized", "", "{\"message\": \"Bad credentials\"}"),
    }
}

/// A header that leads to another page of this stub.
fn next(head: &str, path: &str) -> String {
    let host = head.split("host: ").nth(1).and_then(|rest| rest.lines().next());
    let host = host.unwrap_or_default();
    format!("link: <http://{host}/first>; rel=\"first\", <http://{host}{path}>; rel=\"next\"\r\n")
}

/// Repositories in GitHub's words.
fn repositories(count: usize) -> String {
    let mut list = String::from("[");
    for number in 1..=count {
        let comma = if number == 1 { "" } else { "," };
        let _ = write!(list, "{comma}{}", github_repository(number));
    }
    list + "]"
}

fn github_repository(number: usize) -> Value {
    json!({
        "id": number, "name": format!("shop-{number}"), "full_name": format!("ada/shop-{number}"),
        "description": null, "private": true, "default_branch": "main",
        "clone_url": format!("https://github.com/ada/shop-{number}.git"),
        "html_url": format!("https://github.com/ada/shop-{number}"), "owner": {"login": "ada"},
    })
}

fn github(head: &str, page: u32) -> Vec<u8> {
    match page {
        1 => http_answer(
            "200 OK",
            &next(head, "/user/repos?per_page=100&page=2"),
            &repositories(100),
        ),
        _ => http_answer("200 OK", "", &json!([github_repository(101)]).to_string()),
    }
}

fn gitlab() -> Vec<u8> {
    let project = json!([{
        "id": 7, "name": "Quay", "path_with_namespace": "ada/quay", "description": "d".repeat(600),
        "visibility": "public", "default_branch": null,
        "http_url_to_repo": "https://gitlab.com/ada/quay.git", "web_url": "https://gitlab.com/ada/quay",
    }]);
    http_answer("200 OK", "", &project.to_string())
}

fn bitbucket(head: &str, page: u32) -> Vec<u8> {
    let host = head.split("host: ").nth(1).and_then(|rest| rest.lines().next());
    let mut listing = json!({"values": [{
        "uuid": format!("{{{page}}}"), "name": "crane", "full_name": "ada/crane",
        "description": "lifts", "is_private": true, "mainbranch": {"name": "trunk"},
        "links": {
            "clone": [{"name": "ssh", "href": "git@bitbucket.org:ada/crane.git"},
                      {"name": "https", "href": "https://bitbucket.org/ada/crane.git"}],
            "html": {"href": "https://bitbucket.org/ada/crane"},
        },
    }]});
    if page == 1 {
        let next = format!("http://{}/2.0/repositories?page=2", host.unwrap_or_default());
        listing["next"] = next.into();
    }
    http_answer("200 OK", "", &listing.to_string())
}

async fn add(account: &Account, kind: &str, token: &str) -> Value {
    let body = json!({"type": kind, "access_token": token});
    account.client.post(PROVIDERS, &body).await.expect(201).json()
}

async fn ask(account: &Account, provider: &Value) -> windlass_harness::Answer {
    let path = format!("{PROVIDERS}/{}/repositories", text(provider, "id"));
    account.client.get(&path).await
}

/// What GitHub answers an account with a token of this name.
async fn asked_with(server: &Server, token: &str) -> windlass_harness::Answer {
    let account = Account::register(&server.client()).await;
    let provider = add(&account, "github", token).await;
    ask(&account, &provider).await
}

pub(crate) async fn repositories_are_listed_with_a_token_that_is_never_shown(server: &Server) {
    let account = Account::register(&server.client()).await;
    let mut listed = Vec::new();
    for kind in ["github", "gitlab", "bitbucket"] {
        let provider = add(&account, kind, GOOD).await;
        has_exactly(&provider, &["id", "type", "name", "access_token", "created_at"]);
        assert_eq!((text(&provider, "type"), text(&provider, "access_token")), (kind, "********"));
        listed.push(ask(&account, &provider).await.expect(200).json());
    }
    let lengths: Vec<_> = listed.iter().map(|list| list.as_array().map_or(0, Vec::len)).collect();
    assert_eq!(lengths, [101, 1, 2], "every page is read");
    assert_eq!(
        listed[0][100],
        json!({"id": "101", "name": "shop-101", "full_name": "ada/shop-101", "description": "",
               "private": true, "default_branch": "main",
               "clone_url": "https://github.com/ada/shop-101.git",
               "web_url": "https://github.com/ada/shop-101"})
    );
    let quay = &listed[1][0];
    assert_eq!((&quay["private"], &quay["default_branch"]), (&json!(false), &json!("")));
    assert_eq!(text(quay, "description").len(), 512, "long texts are cut");
    assert_eq!(text(&listed[2][0], "clone_url"), "https://bitbucket.org/ada/crane.git");

    let body = json!({"type": "github", "access_token": "another"});
    account.client.post(PROVIDERS, &body).await.expect_error(409);
    let providers = account.client.get(PROVIDERS).await.expect(200);
    let trail = account.client.get("/api/v1/audit-logs?resource=git_account").await.expect(200);
    assert_eq!(trail.json()["audit_logs"].as_array().map(Vec::len), Some(3));
    for answer in [providers.text(), trail.text(), server.log()] {
        assert!(!answer.contains(GOOD), "the token is shown: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_does_not_answer_as_it_should_is_told_about() {
    let providers = Providers::start();
    let server = providers.server(Database::Sqlite);
    let check = async |token: &str, status: u16, said: &str| {
        let answer = asked_with(&server, token).await;
        let error = answer.expect_error(status);
        assert!(text(&error, "error").contains(said), "{token}: {error}");
        assert!(!error.to_string().contains(token), "{error}");
    };
    check("revoked-token", 409, "GitHub refuses the access").await;
    check("limited-token", 429, "try again in 30 seconds").await;
    check("narrow-token", 409, "give it the right to read").await;
    check("broken-token", 503, "GitHub answered 500").await;
    check("malformed-token", 503, "is no list of repositories").await;
    check("huge-token", 503, "answered more than").await;
    check("astray-token", 503, "names a next page that is not its own").await;
    check("inside-token", 503, "is in a private network").await;
    let endless = asked_with(&server, "endless-token").await.expect(200).json();
    assert_eq!(endless.as_array().map(Vec::len), Some(1_000), "ten pages are enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_machine_is_not_asked_unless_the_operator_says_so() {
    let providers = Providers::start();
    let server = providers.server_allowing(Database::Sqlite, "[]");
    let error = asked_with(&server, GOOD).await.expect_error(503);
    assert!(text(&error, "error").contains("outbound_allow"), "{error}");
    assert!(providers.0.heads().is_empty(), "nobody was connected to");
    eventually("the operator reads why", async || server.logs("private network").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_its_users_alone() {
    let providers = Providers::start();
    let server = providers.server(Database::Sqlite);
    let ada = Account::register(&server.client()).await;
    let eve = Account::register(&server.client()).await;
    let provider = add(&ada, "github", GOOD).await;
    assert_eq!(eve.client.get(PROVIDERS).await.expect(200).json(), json!([]));
    ask(&eve, &provider).await.expect_error(404);
    for id in [MISSING_ID, "none"] {
        ask(&ada, &json!({"id": id})).await.expect_error(404);
    }
    assert!(providers.0.heads().is_empty(), "nobody was asked");
}
