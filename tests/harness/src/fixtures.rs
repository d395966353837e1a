//! Finds what cargo built: the binary, and the components the tests load.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory cargo builds into, found from where this test itself lies
/// (`target/debug/deps/e2e-...`).
pub fn target_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(3).expect("cargo puts tests three levels deep").to_owned()
}

/// The root of the checkout, where `spin.toml` is.
pub fn checkout() -> PathBuf {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness.ancestors().nth(2).expect("the harness is two levels deep").to_owned()
}

/// The binary `windlass`.
pub fn binary() -> PathBuf {
    let path = target_directory().join("debug/windlass");
    assert!(path.exists(), "{} is missing: run `cargo build -p windlass`", path.display());
    path
}

/// A component of `tests/fixtures`, by the name of its file without the ending.
pub fn fixture(name: &str) -> Vec<u8> {
    read(&format!("examples/{name}.wasm"), "tools/build-components --fixtures")
}

/// A component of `spin.toml`, by the name of its crate with underscores.
pub fn component(name: &str) -> Vec<u8> {
    read(&format!("{name}.wasm"), "tools/build-components")
}

fn read(file: &str, build: &str) -> Vec<u8> {
    let path = target_directory().join("wasm32-wasip2/release").join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `{build}`", path.display()))
}
