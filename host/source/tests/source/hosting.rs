//! Whose token goes where, and how long is waited.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use windlass_outbound::{Client, Outbound};
use windlass_source::{Account, Addresses, Error, Hosting, Provider, Secrets};
use windlass_test_support::{HttpStub, http_answer};

/// Opens one envelope, and remembers in which contexts it was asked to.
#[derive(Default)]
struct Vault(Mutex<Vec<String>>);

impl Secrets for Vault {
    fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, String> {
        self.0.lock().unwrap().push(context.to_owned());
        match envelope {
            "good" => Ok(b"secret".to_vec()),
            "line" => Ok(b"secret\r\nx-more: 1".to_vec()),
            _ => Err("it belongs to another place".to_owned()),
        }
    }
}

fn hosting(stub: &HttpStub, path: &str) -> (Hosting, Arc<Vault>) {
    let outbound = Outbound::allowing(&["127.0.0.1".to_owned()]).unwrap();
    let url: url::Url = format!("{}{path}", stub.base()).parse().unwrap();
    let addresses = Addresses { github: url.clone(), gitlab: url.clone(), bitbucket: url };
    let vault = Arc::new(Vault::default());
    (Hosting::new(Client::new(outbound).unwrap(), Arc::clone(&vault) as _, addresses), vault)
}

async fn ask(hosting: &Hosting, provider: Provider, token: &str) -> Result<usize, Error> {
    let account = Account { provider, id: "7".to_owned(), token: token.to_owned() };
    let deadline = Instant::now() + Duration::from_secs(30);
    hosting.repositories(&account, deadline).await.map(|found| found.len())
}

#[tokio::test]
async fn a_token_is_opened_for_its_account_and_provider_alone() {
    let stub = HttpStub::start(|_| http_answer("200 OK", "", "[]"));
    // A base with a path, as GitHub Enterprise has.
    let (hosting, vault) = hosting(&stub, "/api/v3/");
    assert_eq!(ask(&hosting, Provider::GitHub, "good").await, Ok(0));
    assert_eq!(ask(&hosting, Provider::GitLab, "good").await, Ok(0));
    let moved = ask(&hosting, Provider::GitHub, "of another account").await;
    assert!(matches!(moved, Err(Error::Invalid(_))), "{moved:?}");
    let smuggled = ask(&hosting, Provider::GitHub, "line").await;
    assert!(matches!(smuggled, Err(Error::Invalid(_))), "{smuggled:?}");
    let contexts = vault.0.lock().unwrap().clone();
    assert_eq!(contexts, ["git:github:7", "git:gitlab:7", "git:github:7", "git:github:7"]);
    let heads = stub.heads();
    assert_eq!(heads.len(), 2, "{heads:?}");
    assert!(heads[0].starts_with("GET /api/v3/user/repos?per_page=100&sort=updated "), "{heads:?}");
    assert!(heads[1].starts_with("GET /api/v3/api/v4/projects?membership=true&"), "{heads:?}");
}

#[tokio::test]
async fn an_app_password_goes_with_its_user() {
    let stub = HttpStub::start(|head| match head.contains("authorization: basic ") {
        true => http_answer("200 OK", "", "{\"values\": []}"),
        false => http_answer("401 Unauthorized", "", ""),
    });
    let outbound = Outbound::allowing(&["127.0.0.1".to_owned()]).unwrap();
    struct Pair;
    impl Secrets for Pair {
        fn open(&self, _: &str, _: &str) -> Result<Vec<u8>, String> {
            Ok(b"ada:password".to_vec())
        }
    }
    let url: url::Url = stub.base().parse().unwrap();
    let addresses = Addresses { github: url.clone(), gitlab: url.clone(), bitbucket: url };
    let hosting = Hosting::new(Client::new(outbound).unwrap(), Arc::new(Pair), addresses);
    assert_eq!(ask(&hosting, Provider::Bitbucket, "").await, Ok(0));
    let refused = ask(&hosting, Provider::GitHub, "").await;
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
}

#[tokio::test]
async fn who_says_nothing_is_waited_for_until_the_deadline() {
    let stub = HttpStub::start(|_| Vec::new());
    let (hosting, _) = hosting(&stub, "");
    let account = Account { provider: Provider::GitHub, id: "7".to_owned(), token: "good".into() };
    let deadline = Instant::now() + Duration::from_millis(50);
    let late = hosting.repositories(&account, deadline).await;
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
}
