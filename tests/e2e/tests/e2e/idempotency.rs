//! What an `Idempotency-Key` comes to when its request is not simply carried out and answered.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use windlass_harness::account::PASSWORD;
use windlass_harness::client::{Answer, Client};
use windlass_harness::fixtures::fixture;
use windlass_harness::management::install;
use windlass_harness::{Account, Server};

on_each_database!(
    a_key_in_progress_is_refused_until_its_answer_is_there,
    a_request_that_failed_gives_its_key_back,
    a_refused_login_gives_its_key_back,
);

const LOGIN: &str = "/api/v1/auth/login";

async fn a_key_in_progress_is_refused_until_its_answer_is_there(server: &Server) {
    server.management().release(&[install("slow", &fixture("slow"))]).await.expect(200);
    let account = Account::register(&server.client()).await;
    let post = || {
        let request = account.client.request(Method::POST, "/slow/x?ms=2000");
        request.header("idempotency-key", "slow-1").send()
    };
    let first = tokio::spawn(post());
    is_busy(server, "slow").await;
    let second = post().await;
    assert!(second.header("retry-after").is_some());
    assert_eq!(second.expect_error(409)["code"], "idempotency_key_in_progress");
    let first = first.await.expect("it does not panic").expect(200);
    assert!(!is_replay(&first));
    let third = post().await.expect(200);
    assert!(is_replay(&third));
    assert_eq!(third.text(), first.text());
}

/// Waits until a component is at work.
async fn is_busy(server: &Server, component: &str) {
    let busy = format!("windlass_component_instances_busy{{component=\"{component}\"}} 1");
    for _ in 0..200 {
        if server.management().metrics().await.contains(&busy) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{component} was never busy");
}

async fn a_request_that_failed_gives_its_key_back(server: &Server) {
    let flaky = install("flaky", &fixture("fails_sometimes"));
    server.management().release(&[flaky]).await.expect(200);
    let account = Account::register(&server.client()).await;
    let post = |key: &'static str| {
        let request = account.client.request(Method::POST, "/flaky/x");
        request.header("idempotency-key", key).send()
    };
    // Every other request fails; which is the first depends on the instance it gets.
    let mut failed = "flaky-1";
    let mut answer = post(failed).await;
    if answer.status == 200 {
        failed = "flaky-2";
        answer = post(failed).await;
    }
    assert_eq!(answer.status, 500);
    let again = post(failed).await.expect(200);
    assert!(!is_replay(&again), "it was carried out");
    assert!(is_replay(&post(failed).await.expect(200)));
}

async fn a_refused_login_gives_its_key_back(server: &Server) {
    let client = server.client();
    let (one, other) = (Account::register(&client).await, Account::register(&client).await);
    let wrong = json!({"email": one.email, "password": "not the password"});
    let right = |account: &Account| json!({"email": account.email, "password": PASSWORD});
    login(&client, "login-1", &wrong).await.expect_error(401);
    let answer = login(&client, "login-1", &right(&one)).await.expect(200);
    assert!(is_replay(&login(&client, "login-1", &right(&one)).await));
    assert!(!is_replay(&answer));
    // One address may try so often; the next address may use the key that got no other answer.
    let mut limited = None;
    for _ in 0..20 {
        let answer = login(&client, "login-2", &wrong).await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        answer.expect_error(401);
    }
    limited.expect("logins are limited").expect_error(429);
    login(&client, "login-2", &right(&other)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_anonymous_callers_have_a_bound() {
    let server = Server::start();
    let client = server.client();
    let account = Account::register(&client).await;
    let junk = json!({"email": 1});
    let answers = join_all((0..30).map(async |batch| {
        let mut answers = Vec::new();
        for number in 0..11 {
            answers.push(login(&client, &format!("junk-{batch}-{number}"), &junk).await);
        }
        answers
    }));
    let answers = answers.await.concat();
    let (refused, limited): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 400);
    assert_eq!((refused.len(), limited.len()), (300, 30));
    for answer in limited {
        let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
        assert!(matches!(wait, Some(1..=60)), "{wait:?}");
        assert_eq!(answer.expect_error(429)["code"], "too_many_idempotency_keys");
    }
    // Nobody else is held up, and nothing but the keys is refused.
    client.post(LOGIN, &junk).await.expect_error(400);
    let project = account.client.request(Method::POST, "/api/v1/projects");
    let project = project.header("idempotency-key", "project-1").json(&json!({"name": "Kept"}));
    project.send().await.expect(201);
}

async fn login(client: &Client, key: &str, body: &Value) -> Answer {
    client.request(Method::POST, LOGIN).header("idempotency-key", key).json(body).send().await
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}
