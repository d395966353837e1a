//! What a build is asked for with, and the recipe that comes of it.

use std::collections::BTreeMap;

use super::Method;
use crate::builders::Recipe;
use crate::deployments::is_commit;
use crate::error::{Error, Result};
use crate::services::Source;
use crate::services::build::{MAXIMUM_COMMAND, check_variables};
use crate::services::source::{is_branch, is_fetched, is_image, is_relative_path};
use crate::text::{self, Violations};

/// The longest name of an image.
pub const MAXIMUM_NAME: usize = 200;
/// The longest tag, which is what registries take.
pub const MAXIMUM_TAG: usize = 128;
/// The longest label.
pub const MAXIMUM_LABEL: usize = 4_096;
/// The most labels.
pub const MAXIMUM_LABELS: usize = 100;

/// What a build is asked for with. Empty texts are not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewBuild {
    /// What makes the image; found out when it is not set.
    pub method: Option<Method>,
    /// The address of a repository, or a directory in the repository of the service.
    pub source_path: String,
    /// An image that exists.
    pub prebuilt_image: String,
    /// The name of the image.
    pub image_name: String,
    /// The tag of the image.
    pub image_tag: String,
    /// Where the image is sent when it is made.
    pub registry_url: String,
    /// Replaces the builder's own command.
    pub build_command: String,
    /// Replaces the image's own command.
    pub start_command: String,
    /// Variables of the environment it is built in.
    pub variables: BTreeMap<String, String>,
    /// Arguments of a Dockerfile.
    pub arguments: BTreeMap<String, String>,
    /// What is written onto the image.
    pub labels: BTreeMap<String, String>,
    /// The project it is made for.
    pub project_id: String,
    /// The service it is made for.
    pub service_id: String,
    /// The branch or tag.
    pub branch: String,
    /// The commit: 7 to 64 hexadecimal digits.
    pub commit: String,
}

/// Checks what can be checked without knowing anything else.
pub(super) fn check(new_build: &NewBuild) -> Result<()> {
    let mut violations = Violations::default();
    let wrong = &mut violations;
    wrong.require(
        is_name(&new_build.image_name),
        "image_name",
        "must be lower-case letters, digits, dots, dashes, underscores and slashes, beginning with \
         a letter or digit, of at most 200 characters",
    );
    wrong.require(
        is_tag(&new_build.image_tag),
        "image_tag",
        "must be letters, digits, dots, dashes and underscores, beginning with a letter, a digit \
         or an underscore, of at most 128 characters",
    );
    let source = &new_build.source_path;
    wrong.require(
        if is_address(source) { is_fetched(source) } else { is_relative_path(source) },
        "source_path",
        "must be an http or https URL without credentials, or a relative path without .. in the \
         repository of the service",
    );
    wrong.require(
        is_image(&new_build.prebuilt_image),
        "prebuilt_image",
        "must be the name of an image of at most 512 characters",
    );
    wrong.require(
        is_registry(&new_build.registry_url),
        "registry_url",
        "must be the name of a registry's host with an optional port and path, or an https URL of it",
    );
    wrong.line("build_command", &new_build.build_command, MAXIMUM_COMMAND);
    wrong.line("start_command", &new_build.start_command, MAXIMUM_COMMAND);
    check_variables("environment", &new_build.variables, wrong);
    check_variables("build_args", &new_build.arguments, wrong);
    check_labels(&new_build.labels, wrong);
    wrong.require(
        is_branch(&new_build.branch),
        "branch",
        "must be the name of a branch of at most 255 characters",
    );
    wrong.require(is_commit(&new_build.commit), "commit", "must be 7 to 64 hexadecimal digits");
    violations.finish()
}

/// What is to be done. `source` is that of the service, if there is one.
pub(super) fn recipe(new_build: &NewBuild, source: Option<&Source>) -> Result<Recipe> {
    let recipe = Recipe {
        method: new_build.method,
        branch: new_build.branch.clone(),
        commit: new_build.commit.clone(),
        registry_url: new_build.registry_url.clone(),
        build_command: new_build.build_command.clone(),
        start_command: new_build.start_command.clone(),
        variables: new_build.variables.clone(),
        arguments: new_build.arguments.clone(),
        labels: new_build.labels.clone(),
        ..Recipe::default()
    };
    if !new_build.prebuilt_image.is_empty() {
        return prebuilt(new_build, recipe);
    }
    if new_build.method == Some(Method::Prebuilt) {
        return Err(Error::invalid("prebuilt_image", "must name the image to take"));
    }
    if is_address(&new_build.source_path) {
        return Ok(Recipe { repository: new_build.source_path.clone(), ..recipe });
    }
    let missing = || {
        Error::invalid(
            "source_path",
            "must be the address of a repository, where neither prebuilt_image nor the service_id \
             of a service with a repository says what to build",
        )
    };
    let source = source.filter(|source| !source.repository.is_empty()).ok_or_else(missing)?;
    if !source.is_fetched() {
        let reason = "must be given, because the service's repository is no http or https address";
        return Err(Error::invalid("source_path", reason));
    }
    let root_directory = match new_build.source_path.is_empty() {
        true => source.root_directory.clone(),
        false => new_build.source_path.clone(),
    };
    let branch = match recipe.branch.is_empty() {
        true => source.branch.clone(),
        false => recipe.branch.clone(),
    };
    Ok(Recipe {
        repository: source.repository.clone(),
        branch,
        root_directory,
        dockerfile: source.dockerfile.clone(),
        ..recipe
    })
}

fn prebuilt(new_build: &NewBuild, recipe: Recipe) -> Result<Recipe> {
    if !matches!(new_build.method, None | Some(Method::Prebuilt)) {
        return Err(Error::invalid("build_type", "must be prebuilt where prebuilt_image is given"));
    }
    if !new_build.source_path.is_empty() {
        return Err(Error::invalid("source_path", "must not be given beside prebuilt_image"));
    }
    let prebuilt_image = new_build.prebuilt_image.clone();
    Ok(Recipe { method: Some(Method::Prebuilt), prebuilt_image, ..recipe })
}

/// Whether a source is meant as an address, and not as a directory.
fn is_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// `^[a-z0-9][a-z0-9._/-]*$`, as registries take it, without empty parts.
fn is_name(text: &str) -> bool {
    text.len() <= MAXIMUM_NAME
        && text.split('/').all(|part| {
            part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && part.ends_with(|last: char| last.is_ascii_lowercase() || last.is_ascii_digit())
                && part.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
                })
        })
}

/// `^[A-Za-z0-9_][A-Za-z0-9._-]*$`
fn is_tag(text: &str) -> bool {
    text.len() <= MAXIMUM_TAG
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// `^((https?://)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?)?$`
fn is_registry(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let bare = bare.unwrap_or(text);
    let (authority, path) = bare.split_once('/').unwrap_or((bare, ""));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    text.len() <= MAXIMUM_NAME
        && host.starts_with(|first: char| first.is_ascii_alphanumeric())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && (1..=5).contains(&port.len())
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte))
}

fn check_labels(labels: &BTreeMap<String, String>, violations: &mut Violations) {
    if labels.len() > MAXIMUM_LABELS {
        violations.add("labels", "must be at most 100");
        return;
    }
    for (name, value) in labels {
        let fits = !name.is_empty()
            && name.len() <= MAXIMUM_LABEL
            && text::is_printable_ascii(name)
            && value.chars().count() <= MAXIMUM_LABEL
            && !value.chars().any(char::is_control);
        if !fits {
            violations.add(
                "labels",
                "must have names of printable ASCII characters and values of one line, each of at \
                 most 4096 characters",
            );
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tags_and_registries_are_what_registries_take() {
        let name = |text: &str, expected: bool| assert_eq!(is_name(text), expected, "{text}");
        name("shop", true);
        name("acme/shop-2.x_y", true);
        name("", false);
        name("Shop", false);
        name("/shop", false);
        name("acme//shop", false);
        name("../shop", false);
        name("-v", false);
        name("shop:1", false);
        name(&"a".repeat(201), false);
        let tag = |text: &str, expected: bool| assert_eq!(is_tag(text), expected, "{text}");
        tag("1", true);
        tag("v1.0_RC-2", true);
        tag("", false);
        tag(".1", false);
        tag("-1", false);
        tag("a b", false);
        let registry =
            |text: &str, expected: bool| assert_eq!(is_registry(text), expected, "{text}");
        registry("", true);
        registry("registry.example.com:5000/acme", true);
        registry("https://registry.example.com", true);
        registry("127.0.0.1:5000", true);
        registry("user@registry.example.com", false);
        registry("registry.example.com:x", false);
        registry("file:///etc", false);
    }

    #[test]
    fn sources_are_addresses_or_directories() {
        let check = |text: &str, expected: bool| {
            let new_build = NewBuild {
                source_path: text.to_owned(),
                image_name: "shop".to_owned(),
                image_tag: "1".to_owned(),
                ..NewBuild::default()
            };
            assert_eq!(check(&new_build).is_ok(), expected, "{text}");
        };
        check("", true);
        check("https://git.example.com/acme/shop.git", true);
        check("apps/web", true);
        check("/etc", false);
        check("../etc", false);
        check("http://", false);
        check("https://token@git.example.com/shop", false);
    }
}
