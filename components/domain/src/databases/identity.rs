//! What a database is called inside, and who may enter it.

use std::collections::BTreeMap;

use super::NewDatabase;
use crate::text::Violations;

/// The longest name of a logical database or a user, which every engine takes.
const MAXIMUM_SLUG: usize = 32;

/// What a database is called inside and who may enter.
pub(super) struct Identity {
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Option<String>,
    pub(super) others: BTreeMap<String, String>,
}

/// Takes user, password and logical database from the variables that name them, or makes them up.
pub(super) fn identity(
    name: &str,
    new_database: &NewDatabase,
    violations: &mut Violations,
) -> Identity {
    let specification = new_database.engine.specification();
    let given = |place: &str| {
        let mut names = specification.variables.iter().filter(|(_, value)| *value == place);
        let found = names.find_map(|(name, _)| new_database.variables.get(*name));
        found.filter(|value| !value.is_empty())
    };
    let slugged =
        |place: &str, fixed: &str, otherwise: String, violations: &mut Violations| match given(
            place,
        ) {
            Some(value) if is_slug(value) => value.clone(),
            Some(_) => {
                violations.add(
                    "variables",
                    format!(
                        "must give {place} as 1 to {MAXIMUM_SLUG} lower-case letters, digits and \
                         underscores, not starting with a digit"
                    ),
                );
                otherwise
            }
            None if fixed.is_empty() => otherwise,
            None => fixed.to_owned(),
        };
    let user = slugged("{user}", specification.user, String::new(), violations);
    let database = slugged("{database}", specification.database, slug(name), violations);
    let is_own = |name: &str| specification.variables.iter().any(|(own, _)| *own == name);
    let others =
        new_database.variables.iter().filter(|(name, value)| !is_own(name) && !value.is_empty());
    Identity {
        user,
        database,
        password: given("{password}").cloned(),
        others: others.map(|(name, value)| (name.clone(), value.clone())).collect(),
    }
}

/// `^[a-z_][a-z0-9_]{0,31}$`
pub(super) fn is_slug(text: &str) -> bool {
    text.len() <= MAXIMUM_SLUG
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// A name that every engine takes, made of one that people chose.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.to_lowercase().chars() {
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            _ if slug.ends_with('_') => {}
            _ => slug.push('_'),
        }
    }
    let slug = slug.trim_matches('_');
    let slug = match slug.starts_with(|first: char| first.is_ascii_lowercase()) {
        true => slug.to_owned(),
        false => format!("db_{slug}"),
    };
    slug.chars().take(MAXIMUM_SLUG).collect::<String>().trim_end_matches('_').to_owned()
}
