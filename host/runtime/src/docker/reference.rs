//! Names of images, as registries know them, and what a deployment keeps of them.
//!
//! Names become parts of paths of the engine's API, so that only what follows the grammar is ever
//! sent: `[host[:port]/]path[:tag|@sha256:digest]`.

use crate::driver::Error;

/// Characters of a whole name: what registries take, with host and tag.
const LENGTH: usize = 512;
/// Hexadecimal digits of a digest.
const DIGEST: usize = 64;
/// The tag that is meant when none is named.
const LATEST: &str = "latest";

/// A name that follows the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Everything before the tag or the digest.
    pub(super) name: String,
    /// `:tag` or `@sha256:digest`, without its first character.
    pub(super) version: Version,
}

/// Which of the images of a name is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Tag(String),
    Digest(String),
}

impl Reference {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let parsed = if text.len() <= LENGTH { parse(text) } else { None };
        parsed.ok_or_else(|| {
            Error::Invalid(format!(
                "{text:?} is no name of an image: use <name>:<tag> in lower case, such as \
                 nginx:1.27 or registry.example.com/team/shop:1"
            ))
        })
    }

    /// The whole name, as the engine takes it.
    pub(super) fn full(&self) -> String {
        match &self.version {
            Version::Tag(tag) => format!("{}:{tag}", self.name),
            Version::Digest(digest) => format!("{}@{digest}", self.name),
        }
    }

    /// The host of the registry it is kept in.
    pub(super) fn registry(&self) -> &str {
        match self.name.split_once('/') {
            Some((host, _)) if is_host(host) => host,
            _ => "docker.io",
        }
    }

    /// Whether `tag`, as the engine lists it, is this name: `nginx:1` and
    /// `docker.io/library/nginx:1` are the same.
    pub(super) fn is(&self, tag: &str) -> bool {
        short(&self.full()) == short(tag)
    }

    /// Whether `digest`, as the engine lists it, is one of this name.
    pub(super) fn has_digest(&self, digest: &str) -> bool {
        digest.split_once('@').is_some_and(|(name, _)| short(name) == short(&self.name))
    }
}

fn short(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

fn parse(text: &str) -> Option<Reference> {
    let (name, version) = match text.split_once('@') {
        Some((name, digest)) => (name, Version::Digest(check_digest(digest)?.to_owned())),
        // A colon before the last slash belongs to the port of a host.
        None => match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => {
                (name, Version::Tag(check_tag(tag)?.to_owned()))
            }
            _ => (text, Version::Tag(LATEST.to_owned())),
        },
    };
    let path = match name.split_once('/') {
        Some((host, path)) if is_host(host) => {
            check_host(host)?;
            path
        }
        _ => name,
    };
    path.split('/').all(is_component).then(|| Reference { name: name.to_owned(), version })
}

/// A first segment is a host when it could be no part of a path.
fn is_host(segment: &str) -> bool {
    segment.contains(['.', ':']) || segment == "localhost"
}

fn check_host(host: &str) -> Option<()> {
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let named = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && !name.starts_with(['.', '-']);
    (named && port.parse::<u16>().is_ok()).then_some(())
}

/// `[a-z0-9]+([._-]+[a-z0-9]+)*`
fn is_component(segment: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [segment.bytes().next(), segment.bytes().next_back()];
    ends.iter().all(|end| end.is_some_and(is_letter))
        && segment.bytes().all(|byte| is_letter(byte) || b"._-".contains(&byte))
        && !segment.contains("..")
}

fn check_tag(tag: &str) -> Option<&str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || b".-".contains(&byte));
    fits.then_some(tag)
}

fn check_digest(digest: &str) -> Option<&str> {
    let digits = digest.strip_prefix("sha256:")?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == DIGEST && digits.bytes().all(is_digit)).then_some(digest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn names_of_images_are_read_as_registries_read_them() {
        let check = |text: &str, name: &str, tag: &str, registry: &str| {
            let read = Reference::parse(text).unwrap();
            assert_eq!((&*read.name, read.registry()), (name, registry), "{text}");
            assert_eq!(read.version, Version::Tag(tag.to_owned()), "{text}");
        };
        check("nginx", "nginx", "latest", "docker.io");
        check("team/shop:1.0-a", "team/shop", "1.0-a", "docker.io");
        check("127.0.0.1:5000/shop", "127.0.0.1:5000/shop", "latest", "127.0.0.1:5000");
        check("r.example.com/a/b__c:v1", "r.example.com/a/b__c", "v1", "r.example.com");
        check("localhost/shop:1", "localhost/shop", "1", "localhost");
    }

    #[test]
    fn digests_are_whole_or_nothing() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let read = Reference::parse(&format!("shop@{digest}")).unwrap();
        assert_eq!(read.version, Version::Digest(digest.clone()));
        assert_eq!(read.full(), format!("shop@{digest}"));
        for text in ["shop@sha256:ab".to_owned(), format!("@{digest}"), format!("a:1@{digest}")] {
            assert!(Reference::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_would_be_more_than_a_name_is_refused() {
        for text in [
            "",
            ":",
            "shop:",
            ":1",
            "Shop",
            "shop:1?force=1",
            "../shop",
            "a/../b",
            "shop:x/json",
            "a//b",
            "/shop",
            "shop/",
            "a b",
            "shop#1",
            "%2e%2e/shop",
            "a/.b",
            "host:x/shop",
            "-.x/shop",
            "shop:\n1",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_image_has_longer_and_shorter_names() {
        let nginx = Reference::parse("nginx:1").unwrap();
        assert!(nginx.is("nginx:1") && nginx.is("docker.io/library/nginx:1"));
        assert!(!nginx.is("nginx:2") && !nginx.is("team/nginx:1"));
        assert!(nginx.has_digest("docker.io/library/nginx@sha256:ab"));
        assert!(!nginx.has_digest("team/nginx@sha256:ab"));
    }
}
