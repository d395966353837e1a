//! Accounts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use windlass_domain::users::{self, Credentials, ProfileChange};
use windlass_domain::{Error, Kind};
use windlass_store::SqlStore;

use crate::support::{Fixture, new_user};

on_both_databases!(
    registered_account_logs_in_and_reads_its_profile,
    taken_address_is_refused_at_the_statement,
    profile_is_updated_over_the_revision_that_was_read,
    lost_account_is_no_account,
);

async fn registered_account_logs_in_and_reads_its_profile(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let user = fixture.register(&store, "Ada@Example.com").await;
    assert_eq!(user.email, "ada@example.com");
    let credentials =
        Credentials { email: "ADA@example.com".to_owned(), password: "correct horse".to_owned() };
    let ctx = fixture.anonymous(&store);
    let session = users::login(&ctx, &fixture.world.identity, credentials).await.unwrap();
    assert_eq!(session.user, user);
    assert_eq!(users::view_profile(&fixture.as_user(&store, user.id)).await.unwrap(), user);
    let personal = "SELECT COUNT(*) FROM organization JOIN membership \
        ON membership.organization_id = organization.id \
        AND membership.user_id = organization.personal_of WHERE membership.role = 'owner'";
    assert_eq!(fixture.executor().number(personal).await, 1);
}

async fn taken_address_is_refused_at_the_statement(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    fixture.register(&store, "ada@example.com").await;
    let ctx = fixture.anonymous(&store);
    let refused = users::register(&ctx, &fixture.world.identity, new_user("ADA@example.com")).await;
    let taken = Error::AlreadyExists { kind: Kind::User, field: "email" };
    assert_eq!(refused.unwrap_err(), taken);
    let grace = fixture.register(&store, "grace@example.com").await;
    let change =
        ProfileChange { email: Some("ada@example.com".to_owned()), ..ProfileChange::default() };
    let refused = users::update_profile(&fixture.as_user(&store, grace.id), change, None).await;
    assert_eq!(refused.unwrap_err(), taken);
    for (statement, expected) in [
        ("SELECT COUNT(*) FROM user_account", 2),
        ("SELECT COUNT(*) FROM organization", 2),
        ("SELECT COUNT(*) FROM event", 2),
    ] {
        assert_eq!(fixture.executor().number(statement).await, expected, "{statement}");
    }
}

async fn profile_is_updated_over_the_revision_that_was_read(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let user = fixture.register(&store, "ada@example.com").await;
    let ctx = fixture.as_user(&store, user.id);
    fixture.world.clock.advance_seconds(5);
    let change = ProfileChange {
        name: Some("Ada Lovelace".to_owned()),
        email: Some("lovelace@example.com".to_owned()),
        avatar_url: Some("https://example.com/a.png".to_owned()),
    };
    let updated = users::update_profile(&ctx, change, Some(user.revision)).await.unwrap();
    assert_eq!(updated, users::view_profile(&ctx).await.unwrap());
    assert_eq!(updated.name, "Ada Lovelace");
    assert_eq!(updated.email, "lovelace@example.com");
    assert_eq!(updated.avatar_url, "https://example.com/a.png");
    assert_eq!(updated.revision, user.revision.next());
    assert_eq!(updated.created_at, user.created_at);
    assert_eq!(updated.updated_at.microseconds() - user.updated_at.microseconds(), 5_000_000);
    // The revision that was read first is gone.
    use windlass_domain::store::Store;
    let transaction = store.begin().await.unwrap();
    assert!(!transaction.update_user(&updated, user.revision).await.unwrap());
}

async fn lost_account_is_no_account(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let user = fixture.register(&store, "ada@example.com").await;
    fixture.executor().execute("DELETE FROM user_account").await;
    let refused = users::view_profile(&fixture.as_user(&store, user.id)).await;
    assert!(matches!(refused, Err(Error::Unauthenticated(_))), "{refused:?}");
    // The trail stays.
    assert_eq!(fixture.executor().number("SELECT COUNT(*) FROM event").await, 1);
}
