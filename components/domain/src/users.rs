//! Accounts: opening one, logging in, and the profile.
//!
//! An address is kept in lower case and belongs to one user. Whether an address has an account
//! can be learnt from [`register`] alone. Tokens and hashes are the [`Identity`] port's; what a
//! token is worth was judged before a context is made.

use std::net::{IpAddr, Ipv6Addr};

use crate::context::Context;
use crate::error::{Conflict, Error, Kind, Result};
use crate::events::{self, Action, Change, Entry, Resource};
use crate::identity::Identity;
use crate::ids::{OrganizationId, Revision, UserId};
use crate::organizations::{Membership, Organization, Role};
use crate::text::{self, Violations};
use crate::time::Timestamp;

/// How long a login is good for: 7 days.
pub const TOKEN_LIFETIME_SECONDS: u64 = 7 * 24 * 60 * 60;

/// Logins a minute for one address of mail from one place in the network, which is an address of
/// IPv4 or 64 bits of one of IPv6. Enough for a person who mistypes, too few to guess.
pub const LOGINS_PER_ACCOUNT: u32 = 10;

/// Logins a minute from one place in the network. Enough for an office behind one address, and a
/// bound on the hashing that one place can cause.
pub const LOGINS_PER_ADDRESS: u32 = 300;

/// Logins a minute for one address of mail, wherever they come from: a bound on guessing from many
/// places at once. To keep the account's owner out, somebody has to go on and on from a dozen
/// places, and even then a permit comes back every half a second.
pub const LOGINS_PER_ACCOUNT_EVERYWHERE: u32 = 120;

/// The longest address that mail can be sent to.
pub const MAXIMUM_EMAIL: usize = 254;
/// The shortest name.
pub const MINIMUM_NAME: usize = 2;
/// The longest name.
pub const MAXIMUM_NAME: usize = 100;
/// The shortest password.
pub const MINIMUM_PASSWORD: usize = 8;
/// The longest password: it bounds the work of hashing.
pub const MAXIMUM_PASSWORD: usize = 128;
/// The longest address of a picture.
pub const MAXIMUM_AVATAR_URL: usize = 2048;

/// Registrations a minute from one place in the network: a bound on the hashing that somebody
/// without an account can cause.
pub const REGISTRATIONS_PER_ADDRESS: u32 = 60;

const THROTTLE_PERIOD_SECONDS: u32 = 60;

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// In lower case.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// Where their picture is; empty when there is none.
    pub avatar_url: String,
    /// How often it was written.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A user with what only the rules may see.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Their personal organization.
    pub organization_id: OrganizationId,
    /// The hash of their password.
    pub password_hash: String,
}

/// What an account is opened with.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// An address of mail, in any case of letters.
    pub email: String,
    /// 8 to 128 characters.
    pub password: String,
    /// 2 to 100 characters after trimming.
    pub name: String,
}

/// What a login is asked with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// An address of mail, in any case of letters.
    pub email: String,
    /// 1 to 128 characters.
    pub password: String,
}

/// What a login gives.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// What to send with each request.
    pub token: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who logged in.
    pub user: User,
}

/// What to change in a profile; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// A new name.
    pub name: Option<String>,
    /// A new address of mail.
    pub email: Option<String>,
    /// A new picture; the empty text takes it away.
    pub avatar_url: Option<String>,
}

/// Opens an account with its personal organization. Anybody may.
///
/// # Errors
/// `Invalid`; `AlreadyExists` when the address has an account.
pub async fn register(
    ctx: &Context<'_>,
    identity: &dyn Identity,
    new_user: NewUser,
) -> Result<User> {
    let mut violations = Violations::default();
    let email = check_email(&mut violations, &new_user.email);
    let name = violations.name("name", &new_user.name, MINIMUM_NAME, MAXIMUM_NAME);
    let length = new_user.password.chars().count();
    violations.require(
        (MINIMUM_PASSWORD..=MAXIMUM_PASSWORD).contains(&length),
        "password",
        "must have between 8 and 128 characters",
    );
    violations.finish()?;
    let place = place(&ctx.origin.client_address);
    admit(identity, "register-address", &place, REGISTRATIONS_PER_ADDRESS).await?;
    // The hash comes first: an address that is taken costs as much time as one that is free.
    let password_hash = identity.hash_password(&new_user.password).await?;
    let now = ctx.clock.now();
    let user = User {
        id: UserId::from_u128(ctx.ids.fresh()),
        email,
        name,
        avatar_url: String::new(),
        revision: Revision::FIRST,
        created_at: now,
        updated_at: now,
    };
    let (organization, membership) = personal_organization(ctx, &user, now);
    let transaction = ctx.store.begin().await?;
    transaction.insert_user(&user, &password_hash).await?;
    transaction.insert_organization(&organization, &membership).await?;
    let changes = events::differences(&[], &audited(&user));
    let entry = entry(&user, &user.email, organization.id, Action::Register, changes);
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    Ok(user)
}

/// Gives a token for an address and its password.
///
/// # Errors
/// `Invalid` for what cannot be an address or a password; `QuotaExceeded` after too many
/// attempts, before any hashing; `Unauthenticated` alike for an unknown address and a wrong
/// password.
pub async fn login(
    ctx: &Context<'_>,
    identity: &dyn Identity,
    credentials: Credentials,
) -> Result<Session> {
    let mut violations = Violations::default();
    let email = check_email(&mut violations, &credentials.email);
    let length = credentials.password.chars().count();
    violations.require(
        (1..=MAXIMUM_PASSWORD).contains(&length),
        "password",
        "must have between 1 and 128 characters",
    );
    violations.finish()?;
    throttle(ctx, identity, &email).await?;
    let account = ctx.store.account_by_email(&email).await?;
    // Without an account the port does the same work on nothing.
    let hash = account.as_ref().map(|account| account.password_hash.as_str());
    let verified = identity.verify_password(&credentials.password, hash).await?;
    let account = match account {
        Some(account) if verified => account,
        Some(_) | None => {
            return Err(Error::Unauthenticated("invalid email or password".to_owned()));
        }
    };
    let issued = identity.issue_token(account.user.id, TOKEN_LIFETIME_SECONDS).await?;
    let change = Change { field: "token_id".to_owned(), before: None, after: Some(issued.id) };
    let user = account.user;
    let entry = entry(&user, &user.email, account.organization_id, Action::Login, vec![change]);
    let transaction = ctx.store.begin().await?;
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    Ok(Session { token: issued.token, expires_at: issued.expires_at, user })
}

/// The caller's own profile.
///
/// # Errors
/// `Unauthenticated`, also when the account is gone.
pub async fn view_profile(ctx: &Context<'_>) -> Result<User> {
    Ok(own_account(ctx).await?.user)
}

/// Changes the caller's own profile. A change that changes nothing writes nothing.
///
/// # Errors
/// `Unauthenticated`, also when the account is gone; `Invalid`; `AlreadyExists` when the address
/// has another account; `Conflict`.
pub async fn update_profile(
    ctx: &Context<'_>,
    change: ProfileChange,
    expected_revision: Option<Revision>,
) -> Result<User> {
    ctx.user()?;
    let change = check_change(change)?;
    let account = own_account(ctx).await?;
    let read = account.user.revision;
    if expected_revision.is_some_and(|expected| expected != read) {
        return Err(Error::Conflict { kind: Kind::User, cause: Conflict::PreconditionFailed });
    }
    let mut user = account.user.clone();
    if let Some(name) = change.name {
        user.name = name;
    }
    if let Some(email) = change.email {
        user.email = email;
    }
    if let Some(avatar_url) = change.avatar_url {
        user.avatar_url = avatar_url;
    }
    if user == account.user {
        return Ok(user);
    }
    user.revision = read.next();
    user.updated_at = ctx.clock.now();
    let transaction = ctx.store.begin().await?;
    if !transaction.update_user(&user, read).await? {
        return Err(Error::stale(Kind::User, expected_revision));
    }
    let changes = events::differences(&audited(&account.user), &audited(&user));
    let actor_email = &account.user.email;
    let entry = entry(&user, actor_email, account.organization_id, Action::Update, changes);
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    Ok(user)
}

async fn own_account(ctx: &Context<'_>) -> Result<Account> {
    let id = ctx.user()?;
    let account = ctx.store.account(id).await?;
    account.ok_or_else(|| Error::Unauthenticated("the account no longer exists".to_owned()))
}

/// The account's own limit comes last, so that who is over another takes nothing from it.
async fn throttle(ctx: &Context<'_>, identity: &dyn Identity, email: &str) -> Result<()> {
    let place = place(&ctx.origin.client_address);
    // An address of mail has no space, so the two parts cannot run into each other.
    let pair = format!("{email} {place}");
    let limits = [
        ("login-address", place.as_str(), LOGINS_PER_ADDRESS),
        ("login-account", pair.as_str(), LOGINS_PER_ACCOUNT),
        ("login-account-everywhere", email, LOGINS_PER_ACCOUNT_EVERYWHERE),
    ];
    for (bucket, key, burst) in limits {
        admit(identity, bucket, key, burst).await?;
    }
    Ok(())
}

/// What counts as one place in the network: an address of IPv4, or the 64 bits that one customer
/// of IPv6 has at the least. Whoever has those has 2^64 addresses.
fn place(client_address: &str) -> String {
    match client_address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let network = address.to_bits() >> 64 << 64;
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => client_address.to_owned(),
    }
}

async fn admit(identity: &dyn Identity, bucket: &str, key: &str, burst: u32) -> Result<()> {
    identity.admit(bucket, key, burst, THROTTLE_PERIOD_SECONDS).await.map_err(|seconds| {
        Error::QuotaExceeded {
            reason: "too many attempts".into(),
            retry_after_seconds: Some(seconds.max(1)),
        }
    })
}

fn personal_organization(
    ctx: &Context<'_>,
    user: &User,
    now: Timestamp,
) -> (Organization, Membership) {
    let organization = Organization {
        id: OrganizationId::from_u128(ctx.ids.fresh()),
        name: user.name.clone(),
        personal_of: Some(user.id),
        revision: Revision::FIRST,
        created_at: now,
        updated_at: now,
    };
    let membership = Membership {
        organization_id: organization.id,
        user_id: user.id,
        role: Role::Owner,
        created_at: now,
    };
    (organization, membership)
}

fn check_change(change: ProfileChange) -> Result<ProfileChange> {
    let mut violations = Violations::default();
    if change == ProfileChange::default() {
        violations.add("body", "must contain at least one of name, email and avatar_url");
    }
    let name = change.name.map(|name| violations.name("name", &name, MINIMUM_NAME, MAXIMUM_NAME));
    let email = change.email.map(|email| check_email(&mut violations, &email));
    if let Some(url) = &change.avatar_url {
        violations.require(
            is_avatar_url(url),
            "avatar_url",
            "must be empty or an http or https URL of at most 2048 characters",
        );
    }
    violations.finish()?;
    Ok(ProfileChange { name, email, avatar_url: change.avatar_url })
}

/// `^(https?://[A-Za-z0-9\[][!-~]*)?$`
fn is_avatar_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    url.is_empty()
        || url.len() <= MAXIMUM_AVATAR_URL
            && text::is_printable_ascii(url)
            && rest.is_some_and(|rest| {
                rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            })
}

fn check_email(violations: &mut Violations, email: &str) -> String {
    violations.require(is_email(email), "email", "must be an email address");
    text::fold(email)
}

/// A local part of up to 64 characters, with single dots inside, and a host name of at least two
/// labels.
fn is_email(email: &str) -> bool {
    let Some((local, host)) = email.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| {
        let fits =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
        !atom.is_empty() && atom.bytes().all(fits)
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    email.len() <= MAXIMUM_EMAIL
        && (1..=64).contains(&local.len())
        && local.split('.').all(is_atom)
        && host.contains('.')
        && host.split('.').all(is_label)
}

fn audited(user: &User) -> [(&'static str, String); 3] {
    [
        ("name", user.name.clone()),
        ("email", user.email.clone()),
        ("avatar_url", user.avatar_url.clone()),
    ]
}

fn entry(
    user: &User,
    actor_email: &str,
    organization_id: OrganizationId,
    action: Action,
    changes: Vec<Change>,
) -> Entry {
    Entry {
        organization_id,
        actor_id: user.id,
        actor_email: actor_email.to_owned(),
        resource: Resource::User,
        resource_id: user.id.to_string(),
        action,
        changes,
    }
}

#[cfg(test)]
mod tests;
