//! Registering, logging in, the profile and health, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_accounts::routes::router;
use containr_common::Error;
use serde_json::{Value, json};
use windlass_domain::context::Caller;
use windlass_domain::users::LOGINS_PER_ACCOUNT;
use windlass_sdk::testing::TestHost;
use windlass_sdk::{Method, Refusal};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const PROFILE: &str = "/api/v1/user/profile";
const START: &str = "2026-01-01T00:00:00.000000Z";

fn host() -> TestHost<Error> {
    TestHost::new(router())
}

#[test]
fn health_is_exactly_what_the_contract_says() {
    let answer = host().anonymous(Method::GET, "/api/v1/health").send();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body(), br#"{"status":"ok","service":"containr-api","version":"1.0.0"}"#);
}

#[test]
fn register_answers_the_user_without_a_token() {
    let host = host();
    let answer = host
        .anonymous(Method::POST, REGISTER)
        .json(json!({"email": "Ada@Example.com", "password": "correct horse", "name": " Ada ", "role": "admin"}))
        .send();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.header("etag"), Some("\"1\""));
    let body: Value = answer.json();
    assert_eq!(
        body,
        json!({"id": body["id"], "email": "ada@example.com", "name": "Ada", "avatar_url": "",
               "created_at": START, "updated_at": START}),
    );
    assert_eq!(body["id"].as_str().unwrap().len(), 36);
}

#[test]
fn register_says_what_is_wrong() {
    let host = host();
    host.world.register("taken@example.com");
    let valid = json!({"email": "ada@example.com", "password": "correct horse", "name": "Ada"});
    let check = |change: Value, status: u16, code: &str, field: &str| {
        let mut body = valid.clone();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => body.as_object_mut().unwrap().remove(name),
                value => body.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        let answer = host.anonymous(Method::POST, REGISTER).json(&body).send();
        assert_eq!(answer.status(), status, "{body}");
        let error: Value = answer.json();
        assert_eq!(error["code"], code, "{body}");
        assert_eq!(error["details"]["field"], field, "{body}: {error}");
        assert!(error["error"].is_string());
    };
    check(json!({"email": "TAKEN@example.com"}), 409, "ALREADY_EXISTS", "email");
    check(json!({"email": "ada"}), 400, "INVALID_INPUT", "email");
    check(json!({"email": 5}), 400, "INVALID_INPUT", "email");
    check(json!({"email": null}), 400, "INVALID_INPUT", "email");
    check(json!({"password": "short"}), 400, "INVALID_INPUT", "password");
    check(json!({"password": "x".repeat(129)}), 400, "INVALID_INPUT", "password");
    check(json!({"password": null}), 400, "INVALID_INPUT", "password");
    check(json!({"name": "A"}), 400, "INVALID_INPUT", "name");
    check(json!({"name": "x".repeat(101)}), 400, "INVALID_INPUT", "name");
    check(json!({"name": "a\u{0}b"}), 400, "INVALID_INPUT", "name");
    check(json!({"name": ["Ada"]}), 400, "INVALID_INPUT", "name");
}

#[test]
fn several_violations_are_all_named() {
    let answer = host()
        .anonymous(Method::POST, REGISTER)
        .json(json!({"email": "x", "password": "y", "name": "z"}))
        .send();
    assert_eq!(answer.status(), 400);
    let error: Value = answer.json();
    let fields: Vec<_> = error["details"]["fields"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["email", "name", "password"]);
}

#[test]
fn bodies_that_are_no_json_documents_are_refused() {
    let host = host();
    let check = |answer: windlass_sdk::testing::Answer, status: u16, code: &str| {
        assert_eq!(answer.status(), status);
        assert_eq!(answer.json::<Value>()["code"], code);
    };
    check(host.anonymous(Method::POST, LOGIN).json("{").send(), 400, "INVALID_INPUT");
    check(host.anonymous(Method::POST, LOGIN).json("").send(), 400, "INVALID_INPUT");
    check(host.anonymous(Method::POST, LOGIN).json("[]").send(), 400, "INVALID_INPUT");
    let body = b"{}".to_vec();
    check(
        host.anonymous(Method::POST, LOGIN).body(Ok(body.clone())).send(),
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    );
    check(
        host.anonymous(Method::POST, LOGIN)
            .header("content-type", "text/plain")
            .body(Ok(body.clone()))
            .send(),
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    );
    let declared = "Application/JSON; charset=utf-8";
    check(
        host.anonymous(Method::POST, LOGIN).header("content-type", declared).body(Ok(body)).send(),
        400,
        "INVALID_INPUT",
    );
    check(
        host.anonymous(Method::POST, LOGIN).json("x".repeat(1024 * 1024 + 1)).send(),
        413,
        "PAYLOAD_TOO_LARGE",
    );
    check(
        host.anonymous(Method::POST, LOGIN).body(Err(Refusal::BodyTooLarge)).send(),
        413,
        "PAYLOAD_TOO_LARGE",
    );
}

#[test]
fn login_answers_a_token_and_the_user() {
    let host = host();
    let user = host.world.register("ada@example.com");
    let answer = host
        .anonymous(Method::POST, LOGIN)
        .json(json!({"email": "ADA@example.com", "password": "correct horse"}))
        .send();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        answer.json::<Value>(),
        json!({
            "token": format!("secret-1-of-{}", user.id),
            "user": {"id": user.id.to_string(), "email": "ada@example.com", "name": "Ada",
                     "avatar_url": "", "created_at": START, "updated_at": START},
        }),
    );
}

#[test]
fn an_unknown_address_and_a_wrong_password_are_answered_alike() {
    let host = host();
    host.world.register("ada@example.com");
    let login = |email: &str| {
        let answer = host
            .anonymous(Method::POST, LOGIN)
            .json(json!({"email": email, "password": "wrong horse"}))
            .send();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        answer.json::<Value>()
    };
    let wrong_password = login("ada@example.com");
    assert_eq!(wrong_password, login("nobody@example.com"));
    assert_eq!(wrong_password["code"], "UNAUTHENTICATED");
    assert_eq!(wrong_password["details"], json!({}));
}

#[test]
fn too_many_logins_are_told_when_to_come_back() {
    let host = host();
    let login = || {
        host.anonymous(Method::POST, LOGIN)
            .json(json!({"email": "ada@example.com", "password": "wrong horse"}))
            .send()
    };
    for _ in 0..LOGINS_PER_ACCOUNT {
        assert_eq!(login().status(), 401);
    }
    let answer = login();
    assert_eq!(answer.status(), 429);
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    assert_eq!(
        answer.json::<Value>(),
        json!({"error": "too many attempts", "code": "RATE_LIMIT_EXCEEDED",
               "details": {"retry_after_seconds": seconds}}),
    );
}

#[test]
fn the_profile_is_viewed_and_changed() {
    let host = host();
    let ada = host.world.register("ada@example.com");
    let expected = |name: &str, email: &str, avatar_url: &str, updated_at: &str| {
        json!({"id": ada.id.to_string(), "email": email, "name": name, "avatar_url": avatar_url,
               "created_at": START, "updated_at": updated_at})
    };
    let answer = host.as_user(ada.id, Method::GET, PROFILE).send();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.json::<Value>(), expected("Ada", "ada@example.com", "", START));

    host.world.clock.advance_seconds(1);
    let answer = host
        .as_user(ada.id, Method::PUT, PROFILE)
        .header("if-match", "\"1\"")
        .json(json!({"name": "Ada L", "email": "L@Example.com", "avatar_url": "https://x.test/a"}))
        .send();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("etag"), Some("\"2\""));
    let later = "2026-01-01T00:00:01.000000Z";
    let changed = expected("Ada L", "l@example.com", "https://x.test/a", later);
    assert_eq!(answer.json::<Value>(), changed);
    let again = host.as_user(ada.id, Method::GET, PROFILE).send();
    assert_eq!(again.json::<Value>(), changed);
}

#[test]
fn the_profile_says_what_is_wrong() {
    let host = host();
    let ada = host.world.register("ada@example.com");
    host.world.register("taken@example.com");
    let check = |body: Value, status: u16, field: &str| {
        let answer = host.as_user(ada.id, Method::PUT, PROFILE).json(&body).send();
        assert_eq!(answer.status(), status, "{body}");
        assert_eq!(answer.json::<Value>()["details"]["field"], field, "{body}");
    };
    check(json!({}), 400, "body");
    check(json!({"nickname": "A"}), 400, "body");
    check(json!({"name": null}), 400, "name");
    check(json!({"name": " A "}), 400, "name");
    check(json!({"email": "x"}), 400, "email");
    check(json!({"email": "taken@example.com"}), 409, "email");
    check(json!({"avatar_url": "javascript:alert(1)"}), 400, "avatar_url");
    check(json!({"avatar_url": 1}), 400, "avatar_url");
}

#[test]
fn the_profile_keeps_to_revisions() {
    let host = host();
    let ada = host.world.register("ada@example.com");
    let not_modified =
        host.as_user(ada.id, Method::GET, PROFILE).header("if-none-match", "W/\"1\"").send();
    assert_eq!(not_modified.status(), 304);
    assert_eq!((not_modified.body(), not_modified.header("etag")), (&b""[..], Some("\"1\"")));
    let check = |if_match: &str, status: u16| {
        let answer = host
            .as_user(ada.id, Method::PUT, PROFILE)
            .header("If-Match", if_match)
            .json(json!({"name": "Ada"}))
            .send();
        assert_eq!(answer.status(), status, "{if_match}");
    };
    check("\"1\"", 200);
    check("*", 200);
    check("\"2\"", 412);
    check("W/\"1\"", 412);
    check("\"x\"", 412);
    check("1", 400);
}

#[test]
fn callers_without_good_credentials_get_401() {
    let host = host();
    let gone = host.world.register("ada@example.com");
    host.world.store.delete_user(gone.id);
    let callers = [
        Caller::Anonymous,
        Caller::Rejected("the token has expired".to_owned()),
        Caller::User { id: gone.id, token_id: "token-1".to_owned() },
    ];
    for caller in callers {
        for method in [Method::GET, Method::PUT] {
            let answer = host
                .call(caller.clone(), method.clone(), PROFILE)
                .json(json!({"name": "Ada"}))
                .send();
            assert_eq!(answer.status(), 401, "{caller:?} {method}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(answer.json::<Value>()["code"], "UNAUTHENTICATED");
        }
    }
    // Who they are comes before what they send.
    let answer = host.anonymous(Method::PUT, PROFILE).body(Ok(b"{".to_vec())).send();
    assert_eq!(answer.status(), 401);
}

#[test]
fn what_breaks_stays_in_the_log() {
    let host = host();
    let ada = host.world.register("ada@example.com");
    host.world.store.become_unreachable();
    let answer = host.as_user(ada.id, Method::GET, PROFILE).send();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        answer.json::<Value>(),
        json!({"error": "the service is unavailable", "code": "DEPENDENCY_UNAVAILABLE", "details": {}}),
    );
}

#[test]
fn paths_and_methods_that_do_not_exist_are_refused() {
    let host = host();
    for path in ["/", "/api/v1", "/api/v1/health/", "/api/v1/user", "/api/v1/%68ealth"] {
        let answer = host.anonymous(Method::GET, path).send();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(
            answer.json::<Value>(),
            json!({"error": "no such path", "code": "NOT_FOUND", "details": {}}),
        );
    }
    for (method, path, allow) in [
        (Method::POST, "/api/v1/health", "GET, HEAD, OPTIONS"),
        (Method::GET, LOGIN, "POST, OPTIONS"),
        (Method::DELETE, PROFILE, "GET, HEAD, PUT, OPTIONS"),
        (Method::TRACE, PROFILE, "GET, HEAD, PUT, OPTIONS"),
    ] {
        let answer = host.anonymous(method, path).send();
        assert_eq!(
            (answer.status().as_u16(), answer.header("allow")),
            (405, Some(allow)),
            "{path}"
        );
        assert_eq!(answer.json::<Value>()["code"], "METHOD_NOT_ALLOWED");
        let options = host.anonymous(Method::OPTIONS, path).send();
        assert_eq!((options.status().as_u16(), options.header("allow")), (204, Some(allow)));
        assert_eq!(options.body(), b"");
    }
    let head = host.anonymous(Method::HEAD, "/api/v1/health").send();
    assert_eq!(head.status(), 200);
}
