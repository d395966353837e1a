//! Password hashes and rate limits.

use std::time::{Duration, Instant};

use windlass_identity::IdentityError;

use crate::fixture::Fixture;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test]
async fn hash_fits_its_password_and_no_other() {
    let identity = Fixture::new().await.identity;
    let hash = identity.hash_password("correct horse".into(), soon()).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let again = identity.hash_password("correct horse".into(), soon()).await.unwrap();
    assert_ne!(hash, again, "salted");
    let verify = |password: &str, hash: Option<&str>| {
        identity.verify_password(password.into(), hash.map(Into::into), soon())
    };
    assert_eq!(verify("correct horse", Some(&hash)).await, Ok(true));
    assert_eq!(verify("wrong horse", Some(&hash)).await, Ok(false));
    assert_eq!(verify("correct horse", None).await, Ok(false));
    assert_eq!(verify("", None).await, Ok(false));
}

#[tokio::test]
async fn unknown_user_takes_as_long_as_a_wrong_password() {
    let identity = Fixture::new().await.identity;
    let hash = identity.hash_password("correct horse".into(), soon()).await.unwrap();
    // The least of several runs of each: the work itself, without what disturbs it.
    let mut least = [Duration::MAX; 2];
    for _ in 0..10 {
        for (index, hash) in [Some(hash.clone()), None].into_iter().enumerate() {
            let start = Instant::now();
            identity.verify_password("wrong horse".into(), hash, soon()).await.unwrap();
            least[index] = least[index].min(start.elapsed());
        }
    }
    let ratio = least[1].as_secs_f64() / least[0].as_secs_f64();
    assert!(
        (0.5..2.0).contains(&ratio),
        "a known user took {:?}, an unknown {:?}",
        least[0],
        least[1]
    );
}

#[tokio::test]
async fn foreign_and_costly_hashes_are_invalid() {
    let identity = Fixture::new().await.identity;
    let salt_and_output = "c29tZXNhbHRzb21lc2FsdA$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";
    for hash in [
        "",
        "plain",
        "$2b$12$abcdefghijklmnopqrstuv",
        &format!("$argon2id$v=19$m=4194304,t=2,p=1${salt_and_output}"),
        &format!("$argon2id$v=19$m=19456,t=200,p=1${salt_and_output}"),
    ] {
        let result = identity.verify_password("x".into(), Some(hash.into()), soon()).await;
        assert!(matches!(result, Err(IdentityError::Invalid(_))), "{hash}: {result:?}");
    }
    let long = "x".repeat(1_025);
    let result = identity.hash_password(long.clone(), soon()).await;
    assert!(matches!(result, Err(IdentityError::Invalid(_))));
    let result = identity.verify_password(long, None, soon()).await;
    assert!(matches!(result, Err(IdentityError::Invalid(_))));
}

#[tokio::test]
async fn too_many_hashes_at_once_are_refused_and_late_ones_time_out() {
    let identity = Fixture::new().await.identity;
    let late = identity.hash_password("x".into(), Instant::now()).await;
    assert!(matches!(late, Err(IdentityError::Timeout(_))), "{late:?}");

    let deadline = soon();
    let mut waiting: Vec<_> =
        (0..40).map(|_| Box::pin(identity.hash_password("x".into(), deadline))).collect();
    let mut refused = 0;
    for future in &mut waiting {
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context)))
                .await;
        if let std::task::Poll::Ready(Err(IdentityError::Quota(_))) = polled {
            refused += 1;
        }
    }
    assert_eq!(refused, 40 - 34);
    drop(waiting);
    // Those who gave up have left the queue.
    identity.hash_password("x".into(), soon()).await.unwrap();
}

#[tokio::test]
async fn permits_are_counted_by_component_bucket_and_key() {
    let identity = Fixture::new().await.identity;
    let admit =
        |component: &str, bucket: &str, key: &str| identity.admit(component, bucket, key, 3, 600);
    for _ in 0..3 {
        assert_eq!(admit("a", "login", "k"), Ok(()));
    }
    let wait = admit("a", "login", "k").unwrap_err();
    assert!((1..=200).contains(&wait), "{wait}");
    assert_eq!(admit("b", "login", "k"), Ok(()));
    assert_eq!(admit("a", "other", "k"), Ok(()));
    assert_eq!(admit("a", "login", "l"), Ok(()));
    assert_eq!(identity.admit("a", "none", "k", 0, 60), Err(60));
    for _ in 0..10 {
        assert_eq!(identity.admit("a", "free", "k", 1, 0), Ok(()));
    }
}
