//! Where a service's code or image comes from.
//!
//! Every part may be left empty: what a deployment needs of them is that operation's rule. What is
//! given must be well-formed, because it ends up as an argument of other programs.

use crate::text::{self, Violations};

/// The longest address of a repository.
pub const MAXIMUM_REPOSITORY: usize = 2048;
/// The longest name of a branch.
pub const MAXIMUM_BRANCH: usize = 255;
/// The longest path.
pub const MAXIMUM_PATH: usize = 512;
/// The longest name of an image.
pub const MAXIMUM_IMAGE: usize = 512;

/// What kind of source it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A repository that a builder makes an image of.
    Git,
    /// A repository with a Dockerfile.
    Dockerfile,
    /// An image that exists.
    Image,
}

impl SourceKind {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Dockerfile => "dockerfile",
            Self::Image => "image",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "git" => Some(Self::Git),
            "dockerfile" => Some(Self::Dockerfile),
            "image" => Some(Self::Image),
            _ => None,
        }
    }
}

/// Where a service comes from. Empty texts are not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// What kind it is.
    pub kind: Option<SourceKind>,
    /// An http, https, ssh or git URL without a password, or `user@host:path`.
    pub repository: String,
    /// The branch to take.
    pub branch: String,
    /// The directory to build in, relative to the repository.
    pub root_directory: String,
    /// The Dockerfile, relative to the repository.
    pub dockerfile: String,
    /// The image to run.
    pub image: String,
}

impl Source {
    pub(crate) fn check(&self, violations: &mut Violations) {
        violations.require(
            is_repository(&self.repository),
            "source.repository",
            "must be an http, https, ssh or git URL without credentials, or user@host:path, of \
             at most 2048 characters",
        );
        violations.require(
            is_branch(&self.branch),
            "source.branch",
            "must be the name of a branch of at most 255 characters",
        );
        for (field, path) in [
            ("source.root_directory", &self.root_directory),
            ("source.dockerfile", &self.dockerfile),
        ] {
            violations.require(
                is_relative_path(path),
                field,
                "must be a relative path without .. of at most 512 characters",
            );
        }
        violations.require(
            is_image(&self.image),
            "source.image",
            "must be the name of an image of at most 512 characters",
        );
    }

    /// Whether an image must be made of it before it runs. Where it names an image and a repository
    /// and does not say which counts, the image does: it is there.
    pub fn is_built(&self) -> bool {
        match self.kind {
            Some(SourceKind::Git | SourceKind::Dockerfile) => !self.repository.is_empty(),
            Some(SourceKind::Image) => false,
            None => self.image.is_empty() && !self.repository.is_empty(),
        }
    }

    /// Whether the repository has an address that is fetched.
    pub fn is_fetched(&self) -> bool {
        is_fetched(&self.repository)
    }

    pub(crate) fn audited(&self) -> [(&'static str, String); 6] {
        let kind = self.kind.map(SourceKind::as_str).unwrap_or_default();
        [
            ("source.type", kind.to_owned()),
            ("source.repository", self.repository.clone()),
            ("source.branch", self.branch.clone()),
            ("source.root_directory", self.root_directory.clone()),
            ("source.dockerfile", self.dockerfile.clone()),
            ("source.image", self.image.clone()),
        ]
    }
}

/// With `A` for `[A-Za-z0-9\[][A-Za-z0-9.:\[\]_-]*`, `U` for `[A-Za-z0-9][A-Za-z0-9._-]*` and
/// `R` for `(/[!-~]*)?`: `^((https?|git)://A R|ssh://(U@)?A R|U@U:[!-~]+)?$`. A password or token
/// in the address would be shown to everyone who may read the service, so there is no place for
/// one.
pub(crate) fn is_repository(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    if text.len() > MAXIMUM_REPOSITORY || !text::is_printable_ascii(text) {
        return false;
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return is_secure_copy_address(text);
    };
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    match scheme {
        "http" | "https" | "git" => is_authority(authority),
        "ssh" => match authority.split_once('@') {
            Some((user, host)) => is_plain_word(user) && is_authority(host),
            None => is_authority(authority),
        },
        _ => is_secure_copy_address(text),
    }
}

/// Whether it is an address that is fetched, and not one that is only kept. There is no place for
/// the keys that the others need.
pub(crate) fn is_fetched(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://")) && is_repository(text)
}

fn is_secure_copy_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, rest)| {
        rest.split_once(':').is_some_and(|(host, path)| {
            is_plain_word(user) && is_plain_word(host) && !path.is_empty()
        })
    })
}

fn is_plain_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_authority(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:[]_-".contains(&byte))
}

/// `^(?![-/])(?!.*\.\.)[!-~]*$` without `~^:?*[\`, or the empty text. Branches with other than
/// ASCII characters exist but cannot be told from look-alikes in a log.
pub(crate) fn is_branch(text: &str) -> bool {
    text.len() <= MAXIMUM_BRANCH
        && !text.starts_with(['-', '/'])
        && !text.contains("..")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"~^:?*[\\".contains(&byte))
}

/// `^(?!/)(?!(.*/)?\.\.(/|$))` and neither control characters nor backslashes.
pub(crate) fn is_relative_path(text: &str) -> bool {
    text.chars().count() <= MAXIMUM_PATH
        && !text.starts_with('/')
        && !text.chars().any(|character| character.is_control() || character == '\\')
        && text.split('/').all(|part| part != "..")
}

/// `^([A-Za-z0-9][A-Za-z0-9._:/@-]*)?$`
pub(crate) fn is_image(text: &str) -> bool {
    text.is_empty()
        || text.len() <= MAXIMUM_IMAGE
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_addresses_without_secrets() {
        let check =
            |text: &str, expected: bool| assert_eq!(is_repository(text), expected, "{text}");
        check("", true);
        check("https://github.com/acme/shop.git", true);
        check("http://[::1]:3000/shop", true);
        check("https://git.example.com", true);
        check("git://example.com/shop.git", true);
        check("ssh://git@example.com:22/acme/shop.git", true);
        check("ssh://example.com/shop", true);
        check("git@github.com:acme/shop.git", true);
        check("https://token@github.com/acme/shop.git", false);
        check("https://user:password@github.com/acme/shop", false);
        check("ssh://git:password@example.com/shop", false);
        check("ssh://-oProxyCommand=x/shop", false);
        check("-oProxyCommand=x@host:path", false);
        check("git@-oProxyCommand=x:path", false);
        check("git@github.com:", false);
        check("file:///etc/passwd", false);
        check("ftp://example.com/shop", false);
        check("https://", false);
        check("https:///shop", false);
        check("https://example.com/a b", false);
        check("https://example.com/\u{0}", false);
        check("../shop", false);
        check("HTTPS://example.com/shop", false);
        check(&format!("https://example.com/{}", "a".repeat(2028)), true);
        check(&format!("https://example.com/{}", "a".repeat(2029)), false);
    }

    #[test]
    fn paths_stay_inside_the_repository() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_relative_path(text), expected, "{text}");
        };
        check("", true);
        check(".", true);
        check("apps/web", true);
        check("a..b/Dockerfile", true);
        check("/etc", false);
        check("..", false);
        check("apps/../../etc", false);
        check("apps/..", false);
        check("apps\\..\\etc", false);
        check("a\nb", false);
        check(&"a".repeat(513), false);
    }

    #[test]
    fn branches_and_images_are_names() {
        let branch = |text: &str, expected: bool| assert_eq!(is_branch(text), expected, "{text}");
        branch("", true);
        branch("feature/a-b_c.1", true);
        branch("--upload-pack=x", false);
        branch("/main", false);
        branch("a..b", false);
        branch("a b", false);
        branch("main~1", false);
        let image = |text: &str, expected: bool| assert_eq!(is_image(text), expected, "{text}");
        image("", true);
        image("registry.example.com:5000/acme/shop@sha256:00ff", true);
        image("-v", false);
        image("a b", false);
        image("nginx;rm", false);
    }
}
