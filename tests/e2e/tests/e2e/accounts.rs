//! Health, registration, login and profile.

use serde_json::{Value, json};
use windlass_harness::account::PASSWORD;
use windlass_harness::{Account, Server};

use crate::check::{has_exactly, same_refusal, text, time};

on_each_database!(
    health_is_public_and_exact,
    a_registered_user_logs_in_and_sees_the_profile,
    a_second_account_for_an_address_is_a_conflict,
    registration_names_the_field_that_does_not_fit,
    a_wrong_password_and_an_unknown_address_are_answered_alike,
    too_many_logins_are_told_when_to_come_back,
    a_profile_changes_in_what_is_sent_only,
    a_profile_update_that_does_not_fit_changes_nothing,
);

const USER: [&str; 6] = ["id", "email", "name", "avatar_url", "created_at", "updated_at"];
const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const PROFILE: &str = "/api/v1/user/profile";

pub(crate) async fn health_is_public_and_exact(server: &Server) {
    let body = server.client().get("/api/v1/health").await.expect(200).json();
    assert_eq!(body, json!({"status": "ok", "service": "containr-api", "version": "1.0.0"}));
}

pub(crate) async fn a_registered_user_logs_in_and_sees_the_profile(server: &Server) {
    let client = server.client();
    let body = json!({"email": "Ada@Example.Test", "password": PASSWORD, "name": "  Ada  "});
    let answer = client.post(REGISTER, &body).await.expect(201);
    assert!(answer.header("etag").is_some());
    let user = answer.json();
    has_exactly(&user, &USER);
    assert_eq!(user["email"], "ada@example.test", "addresses are kept in lower case");
    assert_eq!(user["name"], "Ada", "names are trimmed");
    assert_eq!(user["avatar_url"], "");
    assert_eq!(time(&user["created_at"]), time(&user["updated_at"]));

    let session = json!({"email": "ADA@example.test", "password": PASSWORD});
    let session = client.post(LOGIN, &session).await.expect(200).json();
    has_exactly(&session, &["token", "user"]);
    assert_eq!(session["user"], user);

    let caller = client.with_token(text(&session, "token"));
    let profile = caller.get(PROFILE).await.expect(200);
    assert!(profile.header("etag").is_some());
    assert_eq!(profile.json(), user);
}

pub(crate) async fn a_second_account_for_an_address_is_a_conflict(server: &Server) {
    let first = Account::register(&server.client()).await;
    for email in [first.email.clone(), first.email.to_uppercase()] {
        let body = json!({"email": email, "password": PASSWORD, "name": "Somebody else"});
        let refusal = server.client().post(REGISTER, &body).await.expect_error(409);
        assert_eq!(refusal["details"]["field"], "email", "{refusal}");
    }
    first.client.get(PROFILE).await.expect(200);
}

pub(crate) async fn registration_names_the_field_that_does_not_fit(server: &Server) {
    let good = json!({"email": "grace@example.test", "password": PASSWORD, "name": "Grace"});
    let cases: [(&str, Value); 14] = [
        ("email", json!("no address")),
        ("email", json!("a@b")),
        ("email", json!(format!("{}@example.test", "a".repeat(250)))),
        ("email", json!(7)),
        ("email", Value::Null),
        ("password", json!("short")),
        ("password", json!("p".repeat(129))),
        ("password", json!(["a", "list"])),
        ("password", Value::Null),
        ("name", json!("G")),
        ("name", json!("  G  ")),
        ("name", json!("G".repeat(101))),
        ("name", json!("Gr\u{0}ace")),
        ("name", Value::Null),
    ];
    for (field, value) in cases {
        let mut body = good.clone();
        if value.is_null() {
            body.as_object_mut().expect("written as one").remove(field);
        } else {
            body[field] = value;
        }
        server.client().post(REGISTER, &body).await.expect_invalid(field);
    }
    server.client().post(REGISTER, &good).await.expect(201);
}

pub(crate) async fn a_wrong_password_and_an_unknown_address_are_answered_alike(server: &Server) {
    let account = Account::register(&server.client()).await;
    let client = server.client();
    let wrong = json!({"email": account.email, "password": "not the password"});
    let unknown = json!({"email": "nobody@example.test", "password": "not the password"});
    let (wrong, unknown) = (client.post(LOGIN, &wrong).await, client.post(LOGIN, &unknown).await);
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    assert_eq!(wrong.status, 401);
    same_refusal(wrong, unknown);
    client.post(LOGIN, &json!({"email": account.email})).await.expect_invalid("password");
    client.post(LOGIN, &json!({"password": PASSWORD})).await.expect_invalid("email");
}

pub(crate) async fn too_many_logins_are_told_when_to_come_back(server: &Server) {
    let (tired, other) =
        (Account::register(&server.client()).await, Account::register(&server.client()).await);
    let client = server.client();
    let wrong = json!({"email": tired.email, "password": "not the password"});
    let mut refusals = 0;
    for _ in 0..15 {
        let answer = client.post(LOGIN, &wrong).await;
        if answer.status == 429 {
            let seconds: u32 = answer
                .header("retry-after")
                .and_then(|seconds| seconds.parse().ok())
                .expect("429 says how many seconds to wait");
            assert!((1..=60).contains(&seconds), "{seconds}");
            answer.expect_error(429);
            refusals += 1;
        } else {
            answer.expect_error(401);
        }
    }
    assert!(refusals >= 3, "only {refusals} of 15 tries were refused");
    let right = json!({"email": tired.email, "password": PASSWORD});
    client.post(LOGIN, &right).await.expect_error(429);
    Account::login(&client, &other.email).await;
}

pub(crate) async fn a_profile_changes_in_what_is_sent_only(server: &Server) {
    let account = Account::register(&server.client()).await;
    let client = &account.client;
    let before = client.get(PROFILE).await.expect(200);
    let (mut expected, mut tag) = (before.json(), before.header("etag").map(str::to_owned));
    let changes = [
        json!({"name": "A new name"}),
        json!({"email": format!("new-{}", account.email)}),
        json!({"avatar_url": "https://example.test/me.png"}),
        json!({"avatar_url": ""}),
        json!({"name": "All at once", "avatar_url": "http://example.test/a?b=c"}),
    ];
    for change in changes {
        let answer = client.put(PROFILE, &change).await.expect(200);
        for (field, value) in change.as_object().expect("written as one") {
            expected[field] = value.clone();
        }
        let next = answer.header("etag").map(str::to_owned);
        assert_ne!(next, tag, "a change changes the tag");
        tag = next;
        let body = answer.json();
        assert!(time(&body["updated_at"]) > time(&expected["updated_at"]));
        expected["updated_at"] = body["updated_at"].clone();
        assert_eq!(body, expected);
        assert_eq!(client.get(PROFILE).await.expect(200).json(), expected);
    }
    Account::login(&server.client(), text(&expected, "email")).await;
}

pub(crate) async fn a_profile_update_that_does_not_fit_changes_nothing(server: &Server) {
    let account = Account::register(&server.client()).await;
    let taken = Account::register(&server.client()).await.email;
    let before = account.client.get(PROFILE).await.expect(200).json();
    let cases = [
        ("name", json!({"name": "x"})),
        ("email", json!({"email": "no address"})),
        ("avatar_url", json!({"avatar_url": "ftp://example.test"})),
        (
            "avatar_url",
            json!({"avatar_url": format!("https://example.test/{}", "a".repeat(2_048))}),
        ),
        ("name", json!({"name": 1})),
    ];
    for (field, change) in cases {
        account.client.put(PROFILE, &change).await.expect_invalid(field);
    }
    account.client.put(PROFILE, &json!({})).await.expect_error(400);
    let conflict = account.client.put(PROFILE, &json!({"email": taken})).await.expect_error(409);
    assert_eq!(conflict["details"]["field"], "email", "{conflict}");
    assert_eq!(account.client.get(PROFILE).await.expect(200).json(), before);
}
