//! The version a component carries: the custom section `version`, as `wasm-tools metadata add
//! --version` writes it and registries read it. It is shown, never compared.

/// Longer texts are no versions, and would only spoil the list.
const LONGEST: usize = 64;
/// The magic number, the version of the format, and what says that it is a component.
const PREAMBLE: usize = 8;
const CUSTOM_SECTION: u8 = 0;

/// The version in the bytes of a component, if there is one that can be shown.
pub(crate) fn of(wasm: &[u8]) -> Option<String> {
    let mut rest = wasm.get(PREAMBLE..)?;
    while let Some((&kind, after)) = rest.split_first() {
        let (section, next) = prefixed(after)?;
        rest = next;
        if kind != CUSTOM_SECTION {
            continue;
        }
        if let Some((b"version", version)) = prefixed(section) {
            return fit(version);
        }
    }
    None
}

fn fit(version: &[u8]) -> Option<String> {
    let version = std::str::from_utf8(version).ok()?.trim();
    let fits = (1..=LONGEST).contains(&version.len()) && !version.chars().any(char::is_control);
    fits.then(|| version.to_owned())
}

/// Takes apart what begins with its length: the bytes, and what comes after them.
fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes.get(index + 1..)?.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn section(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
        let mut body = vec![name.len() as u8];
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(content);
        // The length in two bytes, as encoders that fill it in later write it.
        let mut section = vec![kind, body.len() as u8 & 0x7f | 0x80, (body.len() >> 7) as u8];
        section.extend(body);
        section
    }

    #[track_caller]
    fn check(sections: &[Vec<u8>], expected: Option<&str>) {
        let wasm = [EMPTY, &sections.concat()].concat();
        assert_eq!(of(&wasm).as_deref(), expected);
    }

    #[test]
    fn the_version_is_found_among_other_sections() {
        check(&[], None);
        check(&[section(0, "version", b"1.2.3")], Some("1.2.3"));
        let other = section(0, "producers", &[b'x'; 200]);
        check(&[other, section(1, "version", b"no"), section(0, "version", b"2\n")], Some("2"));
    }

    #[test]
    fn what_is_no_version_is_not_shown() {
        check(&[section(0, "version", b"")], None);
        check(&[section(0, "version", b"1\x1b[2J")], None);
        check(&[section(0, "version", &[0xff])], None);
        check(&[section(0, "version", &[b'1'; LONGEST + 1])], None);
        check(&[vec![0, 0xff, 0xff, 0xff, 0xff, 0xff]], None);
        check(&[vec![0, 9, 7]], None);
    }
}
