#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::context::Caller;
use crate::testing::{World, block_on};

/// The fields that a refusal names.
fn fields<T: std::fmt::Debug>(outcome: Result<T>) -> Vec<String> {
    match outcome {
        Ok(_) => Vec::new(),
        Err(Error::Invalid(violations)) => {
            violations.into_iter().map(|violation| violation.field.into_owned()).collect()
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn log_in(world: &World, email: &str, password: &str) -> Result<Session> {
    let credentials = Credentials { email: email.to_owned(), password: password.to_owned() };
    block_on(login(&world.anonymous(), &world.identity, credentials))
}

fn change(name: Option<&str>, email: Option<&str>, avatar_url: Option<&str>) -> ProfileChange {
    ProfileChange {
        name: name.map(str::to_owned),
        email: email.map(str::to_owned),
        avatar_url: avatar_url.map(str::to_owned),
    }
}

#[test]
fn registration_names_every_field_that_breaks_a_rule() {
    let check = |email: &str, password: &str, name: &str, expected: &[&str]| {
        let world = World::default();
        let new_user = NewUser {
            email: email.to_owned(),
            password: password.to_owned(),
            name: name.to_owned(),
        };
        let found = fields(block_on(register(&world.anonymous(), &world.identity, new_user)));
        assert_eq!(found, expected, "{email:?} {password:?} {name:?}");
        assert_eq!(world.identity.hashes(), u32::from(expected.is_empty()), "{email:?}");
    };
    let long = "a".repeat(64);
    check("ada@example.com", "12345678", "Ad", &[]);
    check("ada@example.com", &"é".repeat(128), &"é".repeat(100), &[]);
    check(&format!("{long}@example.com"), "12345678", "Ada", &[]);
    check("a.b+c!{}@x-1.co", "12345678", " Ada ", &[]);
    check("", "", "", &["email", "name", "password"]);
    check("ada@example.com", "1234567", "Ada", &["password"]);
    check("ada@example.com", &"x".repeat(129), "Ada", &["password"]);
    check("ada@example.com", "12345678", " a ", &["name"]);
    check("ada@example.com", "12345678", &"x".repeat(101), &["name"]);
    check("ada@example.com", "12345678", &format!("Ada{}", " ".repeat(98)), &["name"]);
    check("ada@example.com", "12345678", "A\u{0}a", &["name"]);
    check("ada@example.com", "12345678", "A\na", &["name"]);
    for email in [
        "ada",
        "ada@",
        "@example.com",
        "ada@localhost",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "ada@@example.com",
        "ada @example.com",
        "ada@example..com",
        "ada@.com",
        "ada@-x.com",
        "ada@x-.com",
        "ada@example.com.",
        "adä@example.com",
        "ada@exämple.com",
        "\"a b\"@example.com",
        " ada@example.com",
        "ada@example.com\n",
        &format!("{long}a@example.com"),
        &format!("a@{}.com", "a".repeat(64)),
        &format!("a@{}", "aaaaaaaaa.".repeat(26)),
    ] {
        check(email, "12345678", "Ada", &["email"]);
    }
}

#[test]
fn registration_makes_a_personal_organization_and_one_event() {
    let world = World::default();
    let user = world.register("Ada@Example.COM");
    assert_eq!(user.email, "ada@example.com");
    assert_eq!(user.avatar_url, "");
    assert_eq!(user.revision, Revision::FIRST);
    let members = world.store.memberships();
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].user_id, members[0].role), (user.id, Role::Owner));
    let events = world.store.events();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event.organization_id, members[0].organization_id);
    assert_eq!((event.resource, event.action), (Resource::User, Action::Register));
    assert_eq!(event.resource_id, user.id.to_string());
    assert_eq!(event.actor_email, "ada@example.com");
    assert!(!format!("{event:?}").contains("correct horse"), "a password in the trail");
}

#[test]
fn taken_address_is_refused_after_the_same_hashing() {
    let world = World::default();
    world.register("ada@example.com");
    let new_user = NewUser {
        email: "ADA@example.com".to_owned(),
        password: "another password".to_owned(),
        name: "Eve".to_owned(),
    };
    let refused = block_on(register(&world.anonymous(), &world.identity, new_user));
    let taken = Error::AlreadyExists { kind: Kind::User, field: "email" };
    assert_eq!(refused.unwrap_err(), taken);
    assert_eq!(world.identity.hashes(), 2);
    assert_eq!(world.store.events().len(), 1);
    assert_eq!(world.store.memberships().len(), 1);
}

#[test]
fn unknown_user_and_wrong_password_are_one_answer_and_one_work() {
    let world = World::default();
    world.register("ada@example.com");
    let hashes = world.identity.hashes();
    let wrong = log_in(&world, "ada@example.com", "wrong password").err().unwrap();
    let after_wrong = world.identity.hashes();
    let unknown = log_in(&world, "eve@example.com", "wrong password").err().unwrap();
    assert_eq!(wrong, unknown);
    assert_eq!(wrong, Error::Unauthenticated("invalid email or password".to_owned()));
    assert_eq!(after_wrong - hashes, world.identity.hashes() - after_wrong);
    assert_eq!(world.identity.verified_without_hash(), 1);
    assert_eq!(world.store.events().len(), 1, "a failed login is no event of a tenant");
}

#[test]
fn login_gives_a_token_and_leaves_an_event_without_it() {
    let world = World::default();
    let user = world.register("ada@example.com");
    let session = log_in(&world, "ADA@EXAMPLE.com", "correct horse").unwrap();
    assert_eq!(session.user, user);
    assert_eq!(session.token, format!("secret-1-of-{}", user.id));
    assert_eq!(session.expires_at, Timestamp::from_seconds(604_800));
    let events = world.store.events();
    assert_eq!(events[1].action, Action::Login);
    let token_id =
        Change { field: "token_id".to_owned(), before: None, after: Some("token-1".to_owned()) };
    assert_eq!(events[1].changes, [token_id]);
    assert!(!format!("{events:?}").contains(&session.token));
}

#[test]
fn login_refuses_what_cannot_be_credentials() {
    let check = |email: &str, password: &str, expected: &[&str]| {
        let world = World::default();
        let outcome = log_in(&world, email, password).map(|session| session.user);
        assert_eq!(fields(outcome), expected, "{email:?}");
        assert_eq!(world.identity.hashes(), 0);
    };
    check("ada", "correct horse", &["email"]);
    check("ada@example.com", "", &["password"]);
    check("ada@example.com", &"x".repeat(129), &["password"]);
    check("", "", &["email", "password"]);
}

#[test]
fn too_many_attempts_are_refused_before_any_hashing() {
    let world = World::default();
    world.register("ada@example.com");
    for _ in 0..LOGINS_PER_ACCOUNT {
        let refused = log_in(&world, "ada@example.com", "wrong password");
        assert!(matches!(refused, Err(Error::Unauthenticated(_))));
    }
    let hashes = world.identity.hashes();
    // The right password does not help, nor does another case of letters.
    match log_in(&world, "ADA@example.com", "correct horse").err().unwrap() {
        Error::QuotaExceeded { retry_after_seconds, .. } => {
            assert_eq!(retry_after_seconds, Some(6));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.identity.hashes(), hashes);
    // Another account from there is let in, until the address has had its share.
    world.register("eve@example.com");
    log_in(&world, "eve@example.com", "correct horse").unwrap();
    for number in 0..LOGINS_PER_ADDRESS - LOGINS_PER_ACCOUNT - 2 {
        let refused = log_in(&world, &format!("user{number}@example.com"), "wrong password");
        assert!(matches!(refused, Err(Error::Unauthenticated(_))), "{number}");
    }
    let refused = log_in(&world, "eve@example.com", "correct horse");
    assert!(matches!(refused, Err(Error::QuotaExceeded { retry_after_seconds: Some(1), .. })));
    world.identity.forget_attempts();
    log_in(&world, "ada@example.com", "correct horse").unwrap();
}

/// Tries a wrong password from an address; says whether it was looked at.
fn attempt(world: &World, email: &str, client_address: &str) -> bool {
    let mut ctx = world.anonymous();
    ctx.origin.client_address = client_address.to_owned();
    let credentials =
        Credentials { email: email.to_owned(), password: "wrong password".to_owned() };
    match block_on(login(&ctx, &world.identity, credentials)).err().unwrap() {
        Error::Unauthenticated(_) => true,
        Error::QuotaExceeded { .. } => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_of_one_customer_count_together() {
    let world = World::default();
    for number in 0..LOGINS_PER_ACCOUNT {
        assert!(attempt(&world, "ada@example.com", &format!("2001:db8:0:7::{number:x}")));
    }
    assert!(!attempt(&world, "ada@example.com", "2001:db8:0:7:ffff:ffff:ffff:ffff"));
    assert!(attempt(&world, "ada@example.com", "2001:db8:0:8::1"));
    assert!(attempt(&world, "eve@example.com", "2001:db8:0:7::1"));
    let check = |address: &str, expected: &str| assert_eq!(place(address), expected);
    check("192.0.2.1", "192.0.2.1");
    check("::ffff:192.0.2.1", "192.0.2.1");
    check("2001:DB8:0:7::1", "2001:db8:0:7::/64");
    check("", "");
}

#[test]
fn guessing_one_account_from_many_places_is_bounded() {
    let world = World::default();
    let places = |block: u32| (0..LOGINS_PER_ACCOUNT_EVERYWHERE).map(move |n| (block, n));
    for (block, number) in places(1) {
        assert!(attempt(&world, "ada@example.com", &format!("198.{block}.100.{number}")));
    }
    for (block, number) in places(2) {
        assert!(!attempt(&world, "ada@example.com", &format!("198.{block}.100.{number}")));
    }
    assert!(attempt(&world, "eve@example.com", "198.1.100.1"));
}

#[test]
fn who_is_over_another_limit_takes_nothing_from_the_account() {
    let world = World::default();
    for _ in 0..LOGINS_PER_ACCOUNT_EVERYWHERE {
        attempt(&world, "ada@example.com", "198.51.100.1");
    }
    assert!(attempt(&world, "ada@example.com", "198.51.100.2"));
}

#[test]
fn profile_is_for_the_caller_alone() {
    let world = World::default();
    let user = world.register("ada@example.com");
    let view = |caller: Caller| block_on(view_profile(&world.context(caller)));
    let as_user = Caller::User { id: user.id, token_id: "token-1".to_owned() };
    assert_eq!(view(as_user.clone()).unwrap(), user);
    let unauthenticated = |text: &str| Error::Unauthenticated(text.to_owned());
    assert_eq!(view(Caller::Anonymous).unwrap_err(), unauthenticated("authentication is required"));
    assert_eq!(
        view(Caller::Rejected("the token expired".to_owned())).unwrap_err(),
        unauthenticated("the token expired")
    );
    world.store.delete_user(user.id);
    assert_eq!(view(as_user).unwrap_err(), unauthenticated("the account no longer exists"));
}

#[test]
fn profile_change_names_every_field_that_breaks_a_rule() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    let check = |change: ProfileChange, expected: &[&str]| {
        let found = fields(block_on(update_profile(&ctx, change.clone(), None)));
        assert_eq!(found, expected, "{change:?}");
    };
    check(change(None, None, None), &["body"]);
    check(change(Some("x"), Some("x"), Some("x")), &["name", "email", "avatar_url"]);
    check(change(None, None, Some("")), &[]);
    check(change(None, None, Some("https://example.com/a.png?x=1#y")), &[]);
    check(change(None, None, Some("http://[::1]/a")), &[]);
    for url in [
        "https://",
        "https:///a",
        "ftp://example.com/",
        "javascript:alert(1)",
        "//example.com",
        "https://exämple.com/",
        "https://example.com/a b",
        "HTTPS://example.com",
        &format!("https://example.com/{}", "a".repeat(2029)),
    ] {
        check(change(None, None, Some(url)), &["avatar_url"]);
    }
}

#[test]
fn profile_change_is_written_with_its_event_or_not_at_all() {
    let world = World::default();
    let user = world.register("ada@example.com");
    let ctx = world.as_user(user.id);
    world.clock.advance_seconds(1);
    let wanted = change(Some(" Lovelace "), Some("Lovelace@example.com"), None);
    let updated = block_on(update_profile(&ctx, wanted.clone(), Some(user.revision))).unwrap();
    assert_eq!(updated.name, "Lovelace");
    assert_eq!(updated.email, "lovelace@example.com");
    assert_eq!(updated.revision, user.revision.next());
    assert!(updated.updated_at > user.updated_at);
    let events = world.store.events();
    assert_eq!(events[1].action, Action::Update);
    assert_eq!(events[1].actor_email, "ada@example.com");
    let changed: Vec<_> = events[1].changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(changed, ["name", "email"]);
    // The same again changes nothing and writes nothing.
    assert_eq!(block_on(update_profile(&ctx, wanted.clone(), None)).unwrap(), updated);
    assert_eq!(world.store.events().len(), 2);
    // A revision that is gone.
    let refused = block_on(update_profile(&ctx, wanted, Some(user.revision)));
    let precondition = Error::Conflict { kind: Kind::User, cause: Conflict::PreconditionFailed };
    assert_eq!(refused.unwrap_err(), precondition);
    // An address that is taken.
    world.register("eve@example.com");
    let taken = change(None, Some("EVE@example.com"), None);
    let refused = block_on(update_profile(&ctx, taken, None));
    assert_eq!(refused.unwrap_err(), Error::AlreadyExists { kind: Kind::User, field: "email" });
    assert_eq!(world.store.events().len(), 3);
    // A commit that fails leaves nothing.
    world.store.refuse_commits();
    let refused = block_on(update_profile(&ctx, change(Some("Grace"), None, None), None));
    assert!(matches!(refused, Err(Error::Unavailable { .. })));
    assert_eq!(block_on(view_profile(&ctx)).unwrap(), updated);
    assert_eq!(world.store.events().len(), 3);
}

#[test]
fn concurrent_profile_change_is_a_conflict() {
    let world = World::default();
    let user = world.register("ada@example.com");
    let ctx = world.as_user(user.id);
    world.store.make_writes_stale();
    let check = |expected_revision: Option<Revision>, cause: Conflict| {
        let wanted = change(Some("Grace"), None, None);
        let refused = block_on(update_profile(&ctx, wanted, expected_revision));
        assert_eq!(refused.unwrap_err(), Error::Conflict { kind: Kind::User, cause });
    };
    check(None, Conflict::StaleRevision);
    check(Some(user.revision), Conflict::PreconditionFailed);
    assert_eq!(world.store.events().len(), 1);
}
