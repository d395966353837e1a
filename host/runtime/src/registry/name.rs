//! The names of images in registries: `[<registry>/]<repository>[:<tag>][@<digest>]`.

use url::Url;

/// The registry of names that name none.
const DEFAULT_REGISTRY: &str = "registry-1.docker.io";
/// The longest name of a repository, as registries take it.
const REPOSITORY_CHARACTERS: usize = 255;

/// The name of an image, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Host, and port if it is named.
    pub(super) registry: String,
    /// What stands between the host and the tag.
    pub(super) repository: String,
    /// A digest, or else a tag.
    pub(super) reference: String,
}

impl Name {
    /// Reads a name. The error is a sentence for the tenant.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "{text:?} is no name of an image: use <registry>/<repository>:<tag>, such as \
                 registry.example.com/acme/shop:1"
            )
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (registry, path) = match rest.split_once('/') {
            Some((host, path)) if is_registry(host) => (host, path),
            _ => (DEFAULT_REGISTRY, rest),
        };
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, tag),
            None => (path, "latest"),
        };
        let fits = is_repository(repository) && is_tag(tag) && digest.is_none_or(is_digest);
        if !fits {
            return Err(malformed());
        }
        let official = registry == DEFAULT_REGISTRY && !repository.contains('/');
        let repository =
            if official { format!("library/{repository}") } else { repository.to_owned() };
        let reference = digest.unwrap_or(tag).to_owned();
        Ok(Self { registry: registry.to_owned(), repository, reference })
    }

    /// An address of the registry's about this repository.
    pub(super) fn url(&self, what: &str) -> Result<Url, String> {
        // A registry on this machine has no certificate that anybody would check.
        let scheme = if is_loopback(&self.registry) { "http" } else { "https" };
        let url = format!("{scheme}://{}/v2/{}/{what}", self.registry, self.repository);
        url.parse().map_err(|_| format!("{} is no address of a registry", self.registry))
    }
}

/// A first part with a dot or a port is a host, and anything else a part of the repository.
fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Lower-case words, as registries want them; nothing that leads elsewhere.
fn is_repository(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= REPOSITORY_CHARACTERS
        && text.split('/').all(|part| {
            part.bytes().next().is_some_and(is_plain)
                && part.bytes().all(|byte| is_plain(byte) || b"._-".contains(&byte))
        })
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// `^sha256:[0-9a-f]{64}$`
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let check = |text: &str, expected: Option<[&str; 3]>| {
            let name = Name::parse(text).ok();
            let found = name.as_ref().map(|name| {
                [name.registry.as_str(), name.repository.as_str(), name.reference.as_str()]
            });
            assert_eq!(found, expected, "{text}");
        };
        check("registry.example.com/acme/shop:1", Some(["registry.example.com", "acme/shop", "1"]));
        check("127.0.0.1:5000/shop:1", Some(["127.0.0.1:5000", "shop", "1"]));
        check("localhost/shop", Some(["localhost", "shop", "latest"]));
        check("shop:1", Some([DEFAULT_REGISTRY, "library/shop", "1"]));
        check("acme/shop", Some([DEFAULT_REGISTRY, "acme/shop", "latest"]));
        let named = format!("h.example/shop:1@{digest}");
        check(&named, Some(["h.example", "shop", &digest]));
        for wrong in [
            "",
            "/",
            "h.example/",
            "h.example/shop:",
            "h.example/../shop:1",
            "h.example/Shop:1",
            "h.example/a//b:1",
            "h.example/shop:1/2",
            "h.example/shop@sha256:0",
            "h.example/.:1",
            "h.example/shop:a b",
            "h.example/shop:1?x=y",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        let check = |text: &str, expected: &str| {
            let url = Name::parse(text).and_then(|name| name.url("tags/list"));
            assert_eq!(url.map(String::from), Ok(expected.to_owned()), "{text}");
        };
        check("127.0.0.1:5000/shop", "http://127.0.0.1:5000/v2/shop/tags/list");
        check("localhost:5000/shop", "http://localhost:5000/v2/shop/tags/list");
        check("10.0.0.1:5000/shop", "https://10.0.0.1:5000/v2/shop/tags/list");
        check("127.0.0.1.example/shop", "https://127.0.0.1.example/v2/shop/tags/list");
    }
}
