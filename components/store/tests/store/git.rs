//! Git accounts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use windlass_domain::git::{self, GitProvider, NewGitAccount, Repository};
use windlass_domain::{Error, Kind};
use windlass_store::SqlStore;

use crate::support::Fixture;

on_both_databases!(
    accounts_are_kept_one_for_each_provider_and_user,
    accounts_need_no_more_than_their_tables,
);

fn new_account(provider: GitProvider) -> NewGitAccount {
    NewGitAccount { provider, name: "Work".to_owned(), token: "secret".to_owned() }
}

async fn accounts_are_kept_one_for_each_provider_and_user(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let eve = fixture.register(&store, "eve@example.com").await.id;
    let (as_ada, as_eve) = (fixture.as_user(&store, ada), fixture.as_user(&store, eve));
    let first = git::create(&as_ada, new_account(GitProvider::GitLab)).await.unwrap();
    fixture.world.clock.advance_seconds(1);
    let second = git::create(&as_ada, new_account(GitProvider::GitHub)).await.unwrap();
    let taken = git::create(&as_ada, new_account(GitProvider::GitHub)).await.unwrap_err();
    assert_eq!(taken, Error::AlreadyExists { kind: Kind::GitAccount, field: "type" });
    git::create(&as_eve, new_account(GitProvider::GitHub)).await.unwrap();
    assert_eq!(git::list(&as_ada).await.unwrap(), [first.clone(), second]);
    let id = first.id.to_string();
    let foreign = git::repositories(&as_eve, &fixture.world.hosting, &id).await.unwrap_err();
    assert_eq!(foreign, Error::not_found(Kind::GitAccount, &id));
    let events = "SELECT COUNT(*) FROM event WHERE resource = 'git_account'";
    assert_eq!(fixture.executor().number(events).await, 3);
}

async fn accounts_need_no_more_than_their_tables(fixture: Fixture) {
    let all = SqlStore::new(fixture.executor());
    let ada = fixture.register(&all, "ada@example.com").await.id;
    let grant = crate::grants::grant(
        &["user_account", "organization"],
        &["event_chain"],
        &["git_account", "event"],
    );
    let executor = fixture.granted(&grant).await;
    let store = SqlStore::new(&executor);
    let ctx = fixture.as_user(&store, ada);
    let new_account = new_account(GitProvider::Bitbucket);
    let account = git::create(&ctx, new_account).await.unwrap();
    assert_eq!(git::list(&ctx).await.unwrap().len(), 1);
    fixture.world.hosting.add(Repository::default());
    let id = account.id.to_string();
    assert_eq!(git::repositories(&ctx, &fixture.world.hosting, &id).await.unwrap().len(), 1);
}
