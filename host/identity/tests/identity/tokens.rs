//! Bearer and API tokens: which hold, which do not, and until when.

use std::sync::atomic::Ordering;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use windlass_engine::Authentication;
use windlass_identity::IdentityError;

use crate::fixture::{Fixture, bearer, headers, reason};

/// The parts of a token of three.
fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

fn encode(value: &Value) -> String {
    // Base64url by hand, from the one encoder at hand: a token signed with a throw-away key.
    let key = EncodingKey::from_secret(b"any");
    let token = jsonwebtoken::encode(&Header::default(), value, &key).unwrap();
    parts(&token)[1].to_owned()
}

#[tokio::test]
async fn issued_token_names_its_subject() {
    let fixture = Fixture::new().await;
    let issued = fixture.identity.issue("user-1", 60).unwrap();
    assert_eq!(issued.expires_at_seconds, 1_700_000_060);
    // Twice: the second time its signature is remembered.
    for _ in 0..2 {
        let expected = Authentication::Authenticated {
            subject: "user-1".into(),
            token_id: issued.id.as_str().into(),
        };
        assert_eq!(bearer(&fixture.identity, &issued.token), expected);
    }
    let lower = fixture.identity.authenticate(&headers(&[&format!("bearer {}", issued.token)]));
    assert!(matches!(lower, Authentication::Authenticated { .. }));
}

#[tokio::test]
async fn request_without_credentials_is_anonymous() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.identity.authenticate(&headers(&[])), Authentication::Anonymous);
}

#[tokio::test]
async fn malformed_headers_are_rejected_with_a_reason() {
    let fixture = Fixture::new().await;
    let shape = "the authorization header must be 'Bearer <token>'";
    for (values, expected) in [
        (&["Bearer"][..], shape),
        (&["Bearer "], shape),
        (&["Bearer a b"], shape),
        (&["Basic dXNlcjpwYXNz"], shape),
        (&[""], shape),
        (&["Bearer x"], "the token is malformed"),
        (&["Bearer a.b.c"], "the token is malformed"),
        (&["Token unknown"], "the API token is unknown or revoked"),
        (&["Bearer x", "Bearer y"], "there is more than one authorization header"),
    ] {
        let authentication = fixture.identity.authenticate(&headers(values));
        assert_eq!(reason(authentication), expected, "{values:?}");
    }
    let long = format!("Bearer {}", "a".repeat(5_000));
    let authentication = fixture.identity.authenticate(&headers(&[&long]));
    assert_eq!(reason(authentication), "the token is malformed");
}

#[tokio::test]
async fn token_ends_at_its_moment() {
    let fixture = Fixture::new().await;
    let issued = fixture.identity.issue("user-1", 60).unwrap();
    fixture.advance(59_000_000);
    assert!(matches!(
        bearer(&fixture.identity, &issued.token),
        Authentication::Authenticated { .. }
    ));
    fixture.advance(1_000_000);
    assert_eq!(reason(bearer(&fixture.identity, &issued.token)), "the token has expired");
    // A host that sees it for the first time says the same.
    let other = fixture.reopen().await;
    assert_eq!(reason(bearer(&other, &issued.token)), "the token has expired");
}

#[tokio::test]
async fn changed_and_foreign_tokens_are_rejected() {
    let fixture = Fixture::new().await;
    let issued = fixture.identity.issue("user-1", 60).unwrap();
    let [header, claims, signature] = parts(&issued.token);
    let foreign = Fixture::new().await.identity.issue("user-1", 60).unwrap().token;
    let [_, foreign_claims, foreign_signature] = parts(&foreign);
    let none = encode(&json!({ "alg": "none", "typ": "JWT" }));
    let admin = encode(&json!({
        "iss": "windlass", "sub": "admin", "jti": "x", "iat": 1, "iat_us": 1, "exp": 9_999_999_999_i64
    }));
    for (what, token) in [
        ("signed by another key", foreign.clone()),
        ("another key's signature", format!("{header}.{foreign_claims}.{foreign_signature}")),
        ("other claims", format!("{header}.{admin}.{signature}")),
        ("no signature", format!("{header}.{claims}.")),
        ("no algorithm", format!("{none}.{claims}.")),
        ("no algorithm, other claims", format!("{none}.{admin}.{signature}")),
    ] {
        let authentication = bearer(&fixture.identity, &token);
        assert!(
            matches!(authentication, Authentication::Rejected(_)),
            "{what}: {authentication:?}"
        );
    }
}

#[tokio::test]
async fn public_key_is_no_secret_for_another_algorithm() {
    // The old trick: sign with HMAC under our key's name and hope that the verifier follows `alg`.
    let fixture = Fixture::new().await;
    let issued = fixture.identity.issue("user-1", 60).unwrap();
    let kid = jsonwebtoken::decode_header(&issued.token).unwrap().kid;
    let header = Header { kid, ..Header::new(Algorithm::HS256) };
    let claims = json!({
        "iss": "windlass", "sub": "admin", "jti": "x", "iat": 1, "iat_us": 1, "exp": 9_999_999_999_i64
    });
    let token =
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(b"guess")).unwrap();
    assert!(matches!(bearer(&fixture.identity, &token), Authentication::Rejected(_)));
}

#[tokio::test]
async fn revoked_token_is_refused_at_once_and_after_a_restart() {
    let fixture = Fixture::new().await;
    let revoked = fixture.identity.issue("user-1", 3_600).unwrap();
    let other = fixture.identity.issue("user-1", 3_600).unwrap();
    assert!(matches!(
        bearer(&fixture.identity, &revoked.token),
        Authentication::Authenticated { .. }
    ));
    fixture.identity.revoke(&revoked.id).await.unwrap();
    fixture.identity.revoke(&revoked.id).await.unwrap();
    for identity in [&fixture.identity, &fixture.reopen().await] {
        assert_eq!(reason(bearer(identity, &revoked.token)), "the token was revoked");
        assert!(matches!(bearer(identity, &other.token), Authentication::Authenticated { .. }));
    }
}

#[tokio::test]
async fn revoked_subject_keeps_only_what_was_issued_later() {
    let fixture = Fixture::new().await;
    let before = fixture.identity.issue("user-1", 3_600).unwrap();
    let stranger = fixture.identity.issue("user-2", 3_600).unwrap();
    fixture.identity.revoke_subject("user-1").await.unwrap();
    // Within the same second.
    fixture.advance(1);
    let after = fixture.identity.issue("user-1", 3_600).unwrap();
    for identity in [&fixture.identity, &fixture.reopen().await] {
        assert_eq!(reason(bearer(identity, &before.token)), "the token was revoked");
        assert!(matches!(bearer(identity, &after.token), Authentication::Authenticated { .. }));
        assert!(matches!(bearer(identity, &stranger.token), Authentication::Authenticated { .. }));
    }
}

#[tokio::test]
async fn another_host_learns_of_a_revocation_when_it_refreshes() {
    let fixture = Fixture::new().await;
    let other = fixture.reopen().await;
    let issued = fixture.identity.issue("user-1", 3_600).unwrap();
    fixture.identity.revoke(&issued.id).await.unwrap();
    other.refresh().await.unwrap();
    assert_eq!(reason(bearer(&other, &issued.token)), "the token was revoked");
}

#[tokio::test]
async fn revocation_that_cannot_be_kept_is_an_error() {
    let fixture = Fixture::new().await;
    let issued = fixture.identity.issue("user-1", 3_600).unwrap();
    fixture.ledger.is_broken.store(true, Ordering::Relaxed);
    for result in [
        fixture.identity.revoke(&issued.id).await,
        fixture.identity.revoke_subject("user-1").await,
        fixture.identity.refresh().await,
    ] {
        assert!(matches!(result, Err(IdentityError::Unavailable(_))), "{result:?}");
    }
    assert!(matches!(
        bearer(&fixture.identity, &issued.token),
        Authentication::Authenticated { .. }
    ));
}

#[tokio::test]
async fn api_token_holds_until_it_is_revoked_or_ends() {
    let fixture = Fixture::new().await;
    let (kept, text) = fixture.identity.create_api_token("robot", None).await.unwrap();
    let (_, short) = fixture.identity.create_api_token("robot", Some(10)).await.unwrap();
    assert!(!kept.hash.contains(&text), "the text is not kept");
    let authenticate =
        |text: &str| fixture.identity.authenticate(&headers(&[&format!("Token {text}")]));
    for text in [&text, &short] {
        assert!(matches!(authenticate(text), Authentication::Authenticated { .. }));
    }
    fixture.advance(10_000_000);
    assert_eq!(reason(authenticate(&short)), "the API token has expired");
    fixture.identity.revoke(&kept.id).await.unwrap();
    assert_eq!(reason(authenticate(&text)), "the API token is unknown or revoked");
    let restarted = fixture.reopen().await;
    let after = restarted.authenticate(&headers(&[&format!("Token {text}")]));
    assert_eq!(reason(after), "the API token is unknown or revoked");
}

#[tokio::test]
async fn bounds_of_tokens_are_checked() {
    let fixture = Fixture::new().await;
    let long = "x".repeat(257);
    for (subject, lifetime) in [("", 60), (long.as_str(), 60), ("u", 0), ("u", 2_592_001)] {
        let result = fixture.identity.issue(subject, lifetime);
        assert!(matches!(result, Err(IdentityError::Invalid(_))), "{subject} {lifetime}");
    }
}
