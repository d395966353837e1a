//! The names under which services are reached: labels under the platform's base domain.

use crate::ids::ServiceId;

/// The longest label of the Domain Name System (RFC 1035, 2.3.4).
const LABEL_BYTES: usize = 63;
/// Hexadecimal digits of the id that tell namesakes apart, with the hyphen before them.
const DISTINCTION_BYTES: usize = 9;

/// `<service>-<project>`: letters and digits in lower case, everything else one hyphen.
pub(crate) fn label(service: &str, project: &str) -> String {
    let joined = format!("{}-{}", slug(service), slug(project));
    let trimmed = joined.trim_matches('-');
    // A name without a single letter of ASCII leaves nothing.
    let label = if trimmed.is_empty() { "service" } else { trimmed };
    clip(label, LABEL_BYTES)
}

/// What the others on its network call a service: its name, as far as it can be a label.
pub(crate) fn network_name(service: &str) -> String {
    let slug = slug(service);
    if slug.is_empty() { "service".to_owned() } else { clip(&slug, LABEL_BYTES) }
}

/// The same with a part of the id, for a service whose plain label is taken.
pub(crate) fn distinct_label(plain: &str, id: ServiceId) -> String {
    // The last digits of a UUID of version 7 are random; the first are the time.
    let id = id.to_string();
    let distinction = &id[id.len() - (DISTINCTION_BYTES - 1)..];
    format!("{}-{distinction}", clip(plain, LABEL_BYTES - DISTINCTION_BYTES))
}

fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

/// All bytes are ASCII, so that any index is between characters.
fn clip(label: &str, bytes: usize) -> String {
    label[..label.len().min(bytes)].trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_labels_of_dns() {
        let check = |service: &str, project: &str, expected: &str| {
            assert_eq!(label(service, project), expected, "{service} {project}");
        };
        check("web", "Harbour", "web-harbour");
        check("My  API (v2)", "Ships & Cranes", "my-api-v2-ships-cranes");
        check("-web-", "_x_", "web-x");
        check("日本", "project", "project");
        check("日本", "日本", "service");
        check(&"a".repeat(80), "b", &"a".repeat(63));
        check(&"a".repeat(62), "b", &"a".repeat(62));
    }

    #[test]
    fn namesakes_get_a_part_of_the_id() {
        let id = ServiceId::from_u128(0x0190_b5a4_7c3e_7d2f_8a1b_00ff_1234_5678);
        assert_eq!(distinct_label("web-harbour", id), "web-harbour-12345678");
        assert_eq!(distinct_label(&"a".repeat(63), id), format!("{}-12345678", "a".repeat(54)));
    }
}
