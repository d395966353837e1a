#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::context::Caller;
use crate::testing::{World, block_on};

fn new_account(name: &str, token: &str) -> NewGitAccount {
    NewGitAccount { provider: GitProvider::GitHub, name: name.to_owned(), token: token.to_owned() }
}

fn add(world: &World, user: UserId, provider: GitProvider) -> Result<GitAccount> {
    let new_account = NewGitAccount { provider, ..new_account("", "ghp_secret") };
    block_on(create(&world.as_user(user), new_account))
}

#[test]
fn names_and_tokens_are_bounded() {
    let check = |name: &str, token: &str, expected: &[&str]| {
        let world = World::default();
        let ctx = world.as_user(world.register("ada@example.com").id);
        let fields = match block_on(create(&ctx, new_account(name, token))) {
            Ok(_) => Vec::new(),
            Err(Error::Invalid(violations)) => {
                assert!(!format!("{violations:?}").contains("s3cret"), "{violations:?}");
                violations.into_iter().map(|violation| violation.field.into_owned()).collect()
            }
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(fields, expected, "{name:?} {token:?}");
        assert_eq!(world.store.git_accounts().len(), usize::from(expected.is_empty()));
    };
    check("", "t", &[]);
    check(&"é".repeat(100), &"x".repeat(4096), &[]);
    check("", " ghp_token \n", &[]);
    check(&"x".repeat(101), "t", &["name"]);
    check("a\u{7f}b", "t", &["name"]);
    check("", "", &["access_token"]);
    check("", "  ", &["access_token"]);
    check("", "s3cret with blanks", &["access_token"]);
    check("", "s3crét", &["access_token"]);
    check("a\nb", "s3cret\r\nX-Header: 1", &["name", "access_token"]);
    check("", &"x".repeat(4097), &["access_token"]);
}

#[test]
fn a_token_is_sealed_for_its_account_and_is_in_no_event() {
    let world = World::default();
    let ada = world.register("ada@example.com");
    let account = add(&world, ada.id, GitProvider::GitLab).unwrap();
    assert_eq!(account.name, "GitLab");
    assert_eq!(
        world.secrets.open(&format!("git:gitlab:{}", account.id), &account.sealed_token),
        Some("ghp_secret".to_owned())
    );
    let events = world.store.events();
    let event = events.last().unwrap();
    assert_eq!((event.resource, event.action), (Resource::GitAccount, Action::Create));
    assert_eq!(event.resource_id, account.id.to_string());
    let said = format!("{events:?} {account:?}");
    assert!(!said.contains("ghp_secret"), "{said}");
    assert_eq!(block_on(list(&world.as_user(ada.id))).unwrap(), [account]);
}

#[test]
fn a_user_has_one_account_at_a_provider() {
    let world = World::default();
    let (ada, eve) = (world.register("ada@example.com").id, world.register("eve@example.com").id);
    add(&world, ada, GitProvider::GitHub).unwrap();
    let taken = Error::AlreadyExists { kind: Kind::GitAccount, field: "type" };
    assert_eq!(add(&world, ada, GitProvider::GitHub).unwrap_err(), taken);
    add(&world, ada, GitProvider::Bitbucket).unwrap();
    add(&world, eve, GitProvider::GitHub).unwrap();
    assert_eq!(block_on(list(&world.as_user(ada))).unwrap().len(), 2);
    assert_eq!(block_on(list(&world.as_user(eve))).unwrap().len(), 1);
    world.store.refuse_commits();
    let refused = add(&world, eve, GitProvider::GitLab).unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    assert_eq!(world.store.git_accounts().len(), 3);
}

#[test]
fn an_account_is_its_users_alone() {
    let world = World::default();
    let (ada, eve) = (world.register("ada@example.com").id, world.register("eve@example.com").id);
    let account = add(&world, ada, GitProvider::GitHub).unwrap().id.to_string();
    world.hosting.add(Repository { name: "shop".to_owned(), ..Repository::default() });
    let seen = block_on(repositories(&world.as_user(ada), &world.hosting, &account)).unwrap();
    assert_eq!(seen.len(), 1);
    for id in [account.as_str(), "00000000-0000-0000-0000-0000000000ff", "x", ""] {
        let refused = block_on(repositories(&world.as_user(eve), &world.hosting, id)).unwrap_err();
        assert_eq!(refused, Error::not_found(Kind::GitAccount, id));
    }
    assert_eq!(world.hosting.asked(), 1, "nobody was asked for a stranger");
    for caller in [Caller::Anonymous, Caller::Rejected("the token expired".to_owned())] {
        let ctx = world.context(caller);
        let refused = [
            block_on(list(&ctx)).unwrap_err(),
            block_on(create(&ctx, new_account("", ""))).unwrap_err(),
            block_on(repositories(&ctx, &world.hosting, &account)).unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error, Error::Unauthenticated(_)), "{error:?}");
        }
    }
}

#[test]
fn what_a_provider_says_reaches_the_user() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    let account = block_on(create(&ctx, new_account("", "t"))).unwrap();
    let check = |fault: HostingFault, expected: &str| {
        world.hosting.fail(fault);
        let id = account.id.to_string();
        block_on(repositories(&ctx, &world.hosting, &id)).inspect_err(|error| {
            assert_eq!(error.to_string(), expected);
        })
    };
    let said = || "it says so".to_owned();
    let refused = check(HostingFault::Refused(said()), "it says so");
    assert!(matches!(refused, Err(Error::Conflict { .. })));
    let often = check(HostingFault::TooOften(said()), "it says so");
    assert!(matches!(often, Err(Error::QuotaExceeded { retry_after_seconds: Some(60), .. })));
    let away = check(HostingFault::Unreachable(said()), "it says so");
    assert!(matches!(away, Err(Error::NotAvailable(_))));
    let fault = check(HostingFault::Internal(said()), "internal error");
    assert_eq!(fault.unwrap_err().internal(), Some("it says so"));
}
