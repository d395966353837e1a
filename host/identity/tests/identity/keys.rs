//! Key files: private, lasting, and replaceable.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use windlass_engine::Authentication;
use windlass_identity::Identity;

use crate::fixture::{Fixture, MemoryLedger, bearer};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The refusal to start with the keys as they are.
async fn refusal(fixture: &Fixture) -> String {
    let ledger = Arc::<MemoryLedger>::default();
    let result = Identity::open(&fixture.dir(), ledger).await;
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn first_start_makes_private_keys() {
    let fixture = Fixture::new().await;
    let keys = fixture.directory.path().join("keys");
    assert_eq!(mode(&keys), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&keys).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["secret-0001.key", "token-0001.pem"]);
}

#[tokio::test]
async fn keys_open_to_others_are_refused_with_the_fix() {
    let fixture = Fixture::new().await;
    let keys = fixture.directory.path().join("keys");
    for (path, private, fix) in [
        (keys.clone(), 0o700, "run chmod 700"),
        (keys.join("token-0001.pem"), 0o600, "run chmod 600"),
        (keys.join("secret-0001.key"), 0o600, "run chmod 600"),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(private | 0o044)).unwrap();
        let error = refusal(&fixture).await;
        assert!(error.contains(fix) && error.contains("keys"), "{}: {error}", path.display());
        fs::set_permissions(&path, Permissions::from_mode(private)).unwrap();
    }
    assert_eq!(refusal(&fixture).await, "");
}

#[tokio::test]
async fn damaged_keys_are_refused() {
    let fixture = Fixture::new().await;
    for name in ["token-0001.pem", "secret-0001.key"] {
        let path = fixture.directory.path().join("keys").join(name);
        let good = fs::read(&path).unwrap();
        fs::write(&path, "nonsense").unwrap();
        assert!(refusal(&fixture).await.contains(name));
        fs::write(&path, good).unwrap();
    }
}

#[tokio::test]
async fn rotated_key_signs_and_the_old_one_still_verifies() {
    let fixture = Fixture::new().await;
    let old = fixture.identity.issue("user-1", 60).unwrap();
    fixture.identity.rotate_token_key(&fixture.dir()).await.unwrap();
    let new = fixture.identity.issue("user-1", 60).unwrap();
    let key = |token: &str| token.split('.').next().map(str::to_owned);
    assert_ne!(key(&old.token), key(&new.token), "the head of a token names its key");
    let restarted = fixture.reopen().await;
    for identity in [&fixture.identity, &restarted] {
        for token in [&old.token, &new.token] {
            assert!(matches!(bearer(identity, token), Authentication::Authenticated { .. }));
        }
    }
}

#[tokio::test]
async fn hosts_with_the_same_keys_derive_the_same_role_secret() {
    let (one, other) = (Fixture::new().await, Fixture::new().await);
    let secret = Identity::role_secret(&one.dir()).unwrap();
    one.identity.rotate_token_key(&one.dir()).await.unwrap();
    assert_eq!(Identity::role_secret(&one.dir()).unwrap(), secret);
    assert_ne!(Identity::role_secret(&other.dir()).unwrap(), secret);
}
