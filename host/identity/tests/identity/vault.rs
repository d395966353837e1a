//! Sealed secrets: only whole, only at their place, only with their key.

use windlass_identity::IdentityError;

use crate::fixture::Fixture;

const PLACE: &str = "service:1:variable:PASSWORD";

#[tokio::test]
async fn secret_opens_at_its_place_and_after_a_restart() {
    let fixture = Fixture::new().await;
    let envelope = fixture.identity.seal(PLACE, b"hunter2").unwrap();
    assert!(envelope.starts_with("wls1.") && envelope.bytes().all(|b| b.is_ascii_graphic()));
    assert_eq!(fixture.reopen().await.open_secret(PLACE, &envelope).unwrap(), b"hunter2");
}

#[tokio::test]
async fn two_seals_of_one_secret_differ() {
    let identity = Fixture::new().await.identity;
    assert_ne!(identity.seal(PLACE, b"x").unwrap(), identity.seal(PLACE, b"x").unwrap());
}

#[tokio::test]
async fn moved_changed_and_foreign_envelopes_do_not_open() {
    let fixture = Fixture::new().await;
    let envelope = fixture.identity.seal(PLACE, b"hunter2").unwrap();
    let moved = fixture.identity.open_secret("service:2:variable:PASSWORD", &envelope);
    assert!(matches!(moved, Err(IdentityError::Invalid(_))), "{moved:?}");
    for index in 0..envelope.len() {
        let mut bytes = envelope.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(fixture.identity.open_secret(PLACE, &changed).is_err(), "{changed}");
    }
    for malformed in ["", "wls1", "wls1..", "wls2.a.b", "wls1.a.b.c"] {
        assert!(fixture.identity.open_secret(PLACE, malformed).is_err(), "{malformed}");
    }
    let foreign = Fixture::new().await.identity.open_secret(PLACE, &envelope);
    assert!(matches!(foreign, Err(IdentityError::Unavailable(_))), "{foreign:?}");
}

#[tokio::test]
async fn contexts_have_bounds_and_secrets_of_the_host_have_none() {
    let identity = Fixture::new().await.identity;
    for context in ["".to_owned(), "c".repeat(513)] {
        let result = identity.seal(&context, b"x");
        assert!(matches!(result, Err(IdentityError::Invalid(_))), "{result:?}");
    }
    for length in [0, 200_000] {
        let plaintext = vec![7; length];
        let envelope = identity.seal(PLACE, &plaintext).unwrap();
        assert_eq!(identity.open_secret(PLACE, &envelope).unwrap(), plaintext);
    }
}
