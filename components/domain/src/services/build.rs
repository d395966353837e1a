//! How a service is built and started.

use std::collections::BTreeMap;

use crate::text::{self, Violations};

/// The longest command.
pub const MAXIMUM_COMMAND: usize = 4096;
/// The most variables of a service.
pub const MAXIMUM_VARIABLES: usize = 200;
/// The longest name of a variable.
pub const MAXIMUM_VARIABLE_NAME: usize = 255;
/// The longest value of a variable, in bytes: what operating systems take at the least.
pub const MAXIMUM_VARIABLE_VALUE_BYTES: usize = 32 * 1024;
/// All names and values of a service together, in bytes: they are part of every answer that shows
/// the service, and a list of services has no pages.
pub const MAXIMUM_VARIABLES_BYTES: usize = 64 * 1024;
/// What stands where a sealed value would be shown. Given back as a value, it means the sealed one.
pub const SEALED: &str = "********";

/// What builds the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Builder {
    /// A Nixpacks plan.
    Nixpacks,
    /// A Dockerfile.
    Dockerfile,
    /// Nothing: the image exists.
    Image,
}

impl Builder {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nixpacks => "nixpacks",
            Self::Dockerfile => "dockerfile",
            Self::Image => "image",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "nixpacks" => Some(Self::Nixpacks),
            "dockerfile" => Some(Self::Dockerfile),
            "image" => Some(Self::Image),
            _ => None,
        }
    }
}

/// How a service is built and started. Empty texts are not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildConfig {
    /// What builds the image; detected when it is not set.
    pub builder: Option<Builder>,
    /// Replaces the builder's own command.
    pub build_command: String,
    /// Replaces the image's own command.
    pub start_command: String,
    /// Variables of the environment that everybody may see who sees the service.
    pub variables: BTreeMap<String, String>,
    /// Variables that nobody sees again: envelopes, each sealed in the context
    /// `service:<id>:variable:<name>`. No name is in both.
    pub sealed: BTreeMap<String, String>,
}

/// What to change of it; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildConfigChange {
    /// Another builder.
    pub builder: Option<Builder>,
    /// Another command; the empty text takes it away.
    pub build_command: Option<String>,
    /// Another command; the empty text takes it away.
    pub start_command: Option<String>,
    /// All variables anew: those that are not in it are gone.
    pub variables: Option<BTreeMap<String, String>>,
}

impl BuildConfig {
    /// Applies a change, and answers the values that are to be sealed: those of variables that were
    /// sealed before.
    pub(crate) fn apply(&mut self, change: BuildConfigChange) -> BTreeMap<String, String> {
        self.builder = change.builder.or(self.builder);
        if let Some(command) = change.build_command {
            self.build_command = command;
        }
        if let Some(command) = change.start_command {
            self.start_command = command;
        }
        match change.variables {
            Some(variables) => self.replace_variables(variables),
            None => BTreeMap::new(),
        }
    }

    fn replace_variables(&mut self, given: BTreeMap<String, String>) -> BTreeMap<String, String> {
        self.sealed.retain(|name, _| given.contains_key(name));
        let (secrets, variables) =
            given.into_iter().partition(|(name, _)| self.sealed.contains_key(name));
        self.variables = variables;
        anew(secrets)
    }

    /// Checks the bounds on all variables together, with what is still to be sealed.
    pub(crate) fn check_together(
        &self,
        to_seal: &BTreeMap<String, String>,
        violations: &mut Violations,
    ) {
        // Without secrets everything was looked at by itself.
        if self.sealed.is_empty() && to_seal.is_empty() {
            return;
        }
        let kept = self.sealed.iter().filter(|(name, _)| !to_seal.contains_key(*name));
        // An envelope is in base64, and so is longer by a third than what is in it.
        let sealed = kept.clone().map(|(name, envelope)| name.len() + envelope.len() * 3 / 4);
        let plain = self.variables.iter().chain(to_seal);
        let plain = plain.map(|(name, value)| name.len() + value.len());
        let count = self.variables.len() + to_seal.len() + kept.count();
        violations.require(count <= MAXIMUM_VARIABLES, VARIABLES, "must be at most 200");
        violations.require(
            plain.chain(sealed).sum::<usize>() <= MAXIMUM_VARIABLES_BYTES,
            VARIABLES,
            "must have at most 65536 bytes in all",
        );
    }

    pub(crate) fn check(&self, violations: &mut Violations) {
        violations.line("build_config.build_command", &self.build_command, MAXIMUM_COMMAND);
        violations.line("build_config.start_command", &self.start_command, MAXIMUM_COMMAND);
        check_variables(VARIABLES, &self.variables, violations);
    }

    /// The fields as the audit trail tells them: of variables the names alone.
    pub(crate) fn audited(&self) -> [(&'static str, String); 4] {
        let builder = self.builder.map(Builder::as_str).unwrap_or_default();
        [
            ("build_config.builder_type", builder.to_owned()),
            ("build_config.build_command", self.build_command.clone()),
            ("build_config.start_command", self.start_command.clone()),
            (VARIABLES, join(self.variables.keys().chain(self.sealed.keys()))),
        ]
    }

    /// The names of the variables that have another value now.
    pub(crate) fn changed_values(&self, before: &Self) -> String {
        let differs = |(name, value): &(&String, &String)| {
            let previous = before.variables.get(*name).or_else(|| before.sealed.get(*name));
            previous.is_some_and(|previous| previous != *value)
        };
        join(self.variables.iter().chain(&self.sealed).filter(differs).map(|(name, _)| name))
    }
}

/// Values of sealed variables without those that stand for what is sealed already.
pub(crate) fn anew(mut values: BTreeMap<String, String>) -> BTreeMap<String, String> {
    values.retain(|_, value| value != SEALED);
    values
}

const VARIABLES: &str = "build_config.environment_variables";

fn join<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Checks names, values and bounds of variables, which came in this field.
pub(crate) fn check_variables(
    field: &'static str,
    variables: &BTreeMap<String, String>,
    violations: &mut Violations,
) {
    if variables.len() > MAXIMUM_VARIABLES {
        violations.add(field, "must be at most 200");
        return;
    }
    let mut bytes = 0;
    for (name, value) in variables {
        bytes += name.len() + value.len();
        if !is_variable_name(name) {
            // The name is not repeated: it may be long, and may be a secret in the wrong place.
            violations.add(
                field,
                "must have names of letters, digits and underscores, not starting with a digit, \
                 of at most 255 characters",
            );
            return;
        }
        if value.len() > MAXIMUM_VARIABLE_VALUE_BYTES || !text::is_lines(value) {
            violations.add(
                format!("{field}.{name}"),
                "must have at most 32768 bytes and no control characters other than tab and line \
                 ends",
            );
        }
    }
    violations.require(
        bytes <= MAXIMUM_VARIABLES_BYTES,
        field,
        "must have at most 65536 bytes in all",
    );
}

/// `^[A-Za-z_][A-Za-z0-9_]*$`
fn is_variable_name(name: &str) -> bool {
    name.len() <= MAXIMUM_VARIABLE_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
