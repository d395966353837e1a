//! The rules of the house, as far as they can be read off the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use windlass_harness::fixtures::checkout;

/// What only the reconciler may be granted.
const WORKLOAD_GRANTS: [&str; 2] = ["workloads", "proxmox"];

#[test]
fn the_host_names_no_surface() {
    for (file, text) in sources("host") {
        let words = text.to_lowercase();
        let words: BTreeSet<&str> =
            words.split(|character: char| !character.is_ascii_alphanumeric()).collect();
        for surface in ["containr", "qovery", "kuzzle", "zop"] {
            assert!(!words.contains(surface), "{} names {surface}", file.display());
        }
    }
}

/// A path of a surface names it as much as its name does.
#[test]
fn the_host_knows_no_path_of_a_surface() {
    let map = fs::read_to_string(checkout().join("spin.toml")).expect("the map is there");
    let routes = map.lines().filter_map(|line| line.strip_prefix("route = \"")?.strip_suffix('"'));
    let beginnings: BTreeSet<String> = routes
        .filter_map(|route| route.split('/').nth(1))
        .map(|segment| format!("/{segment}/"))
        .collect();
    assert!(beginnings.contains("/api/"), "{beginnings:?}");
    for (file, text) in sources("host").into_iter().filter(|(file, _)| !is_test(file)) {
        for beginning in &beginnings {
            let shipped = code(&text);
            let named = shipped.lines().find(|line| line.contains(beginning.as_str()));
            assert!(named.is_none(), "{} knows {beginning}: {named:?}", file.display());
        }
    }
}

#[test]
fn the_domain_depends_on_no_transport_and_no_database() {
    let found = &packages()["windlass-domain"];
    let allowed: BTreeSet<String> = ["thiserror", "sha2", "hex", "shlex"].map(str::to_owned).into();
    assert!(found.is_subset(&allowed), "the domain depends on {found:?}");
    for (file, text) in sources("components/domain") {
        for word in ["Serialize", "Deserialize", "StatusCode", "wit_bindgen"] {
            assert!(!text.contains(word), "{} says {word}", file.display());
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    let ours = |name: &str| -> BTreeSet<&str> {
        packages[name]
            .iter()
            .map(String::as_str)
            .filter(|one| packages.contains_key(*one))
            .collect()
    };
    let host: BTreeSet<&str> = [
        "windlass-engine",
        "windlass-gateway",
        "windlass-identity",
        "windlass-outbound",
        "windlass-runtime",
        "windlass-source",
        "windlass-storage",
    ]
    .into();
    // What runs components, and the way out: both know nobody.
    let below = ["windlass-engine", "windlass-outbound"];
    for name in below {
        assert!(ours(name).is_empty(), "{name} depends on {:?}", ours(name));
    }
    for capability in host.iter().filter(|name| !below.contains(name)) {
        let (found, allowed) = (ours(capability), below.into());
        assert!(found.contains("windlass-engine"), "{capability} is no capability");
        assert!(found.is_subset(&allowed), "{capability} depends on {found:?}");
    }
    // The binary reads its own records through the store, where every statement is.
    let mut binary = host.clone();
    binary.insert("windlass-store");
    assert!(ours("windlass").is_subset(&binary), "{:?}", ours("windlass"));
    for (package, _) in packages.iter().filter(|(name, _)| is_component(name)) {
        let upwards: Vec<_> = ours(package)
            .into_iter()
            .filter(|one| host.contains(one) || *one == "windlass")
            .collect();
        assert!(upwards.is_empty(), "{package} depends on {upwards:?}");
    }
    assert!(ours("windlass-domain").is_empty());
    assert_eq!(ours("windlass-store"), ["windlass-domain"].into());
    let reconciler = ["windlass-sdk", "windlass-domain", "windlass-store"].into();
    assert!(ours("reconciler").is_subset(&reconciler), "{:?}", ours("reconciler"));
    for controller in
        ["accounts", "projects", "services", "deployments", "logs", "git", "templates", "audit"]
    {
        let controllers = ours(&format!("containr-{controller}"));
        let allowed =
            ["containr-common", "windlass-sdk", "windlass-domain", "windlass-store"].into();
        assert!(controllers.is_subset(&allowed), "{controller} depends on {controllers:?}");
    }
}

fn is_component(package: &str) -> bool {
    ["windlass-domain", "windlass-store", "windlass-sdk", "reconciler"].contains(&package)
        || package.starts_with("containr-")
}

#[test]
fn statements_are_in_the_store_alone() {
    let openings = [
        "SELECT ",
        "WITH ",
        "INSERT INTO ",
        "UPDATE ",
        "DELETE FROM ",
        "CREATE TABLE ",
        "ALTER TABLE ",
        "DROP ",
    ];
    // The catalogues of the databases themselves, and the roles that keep grants.
    let own = ["pg_", "sqlite_", "pragma_", "information_schema", "current_"];
    for folder in ["host", "components"] {
        for (file, text) in sources(folder) {
            if file.starts_with(checkout().join("components/store")) || is_test(&file) {
                continue;
            }
            let statements = literals(&text).into_iter().filter(|literal| {
                openings.iter().any(|opening| literal.trim_start().starts_with(opening))
            });
            for statement in statements {
                let allowed = own.iter().any(|name| statement.contains(name));
                assert!(allowed, "{} holds {statement:?}", file.display());
            }
        }
    }
}

/// How the house writes statements: the literal begins with a continued line.
#[test]
fn literals_are_found_over_continued_lines() {
    let text = "const A: &str = \"\\\n    SELECT id \\\n    FROM x\"; // it's\n\
                let b = ('\"', \"say \\\"b\\\"\");";
    assert_eq!(literals(text), ["SELECT id FROM x", "say 'b'"]);
}

#[test]
fn every_operation_takes_its_context_first() {
    let mut operations = 0;
    for noun in
        ["users", "projects", "services", "deployments", "logs", "git", "templates", "events"]
    {
        let inside = format!("/src/{noun}/");
        for (file, text) in sources("components/domain").into_iter().filter(|(file, _)| {
            let path = file.to_string_lossy();
            path.ends_with(&format!("/src/{noun}.rs")) || path.contains(&inside)
        }) {
            for declaration in code(&text).split("pub async fn ").skip(1) {
                let (name, rest) = declaration.split_once('(').expect("a function has parameters");
                let begins = rest.trim_start().starts_with("ctx: &Context<'_>");
                assert!(begins, "{name} in {} does not take ctx first", file.display());
                operations += 1;
            }
        }
    }
    assert!(operations >= 16, "only {operations} operations were found");
}

#[test]
fn no_handler_asks_who_calls() {
    for (file, text) in
        sources("components/containr").into_iter().filter(|(file, _)| !is_test(file))
    {
        let code = code(&text);
        for question in [".caller", ".user()", "Caller::", "identity::caller"] {
            assert!(!code.contains(question), "{} decides by {question}", file.display());
        }
    }
}

#[test]
fn no_shell_is_started() {
    for folder in ["host", "components"] {
        for (file, text) in sources(folder).into_iter().filter(|(file, _)| !is_test(file)) {
            let shipped = code(&text);
            for start in ["Command::new", "\"sh\"", "\"bash\"", "/bin/sh"] {
                assert!(!shipped.contains(start), "{} has {start}", file.display());
            }
        }
    }
}

#[test]
fn only_the_reconciler_may_change_workloads() {
    let components = components();
    let granted = components.iter().filter(|(_, table)| {
        strings(table, "grants").iter().any(|grant| WORKLOAD_GRANTS.contains(&grant.as_str()))
    });
    let granted: Vec<&str> = granted.map(|(id, _)| id.as_str()).collect();
    assert_eq!(granted, ["reconciler"]);
}

#[test]
fn nobody_can_rewrite_the_trail_or_touch_the_records_of_the_host() {
    let components = components();
    assert!(components.len() >= 4, "{:?}", components.keys());
    for (id, table) in components {
        let lines: Vec<&str> = table.lines().filter(|line| line.starts_with("storage")).collect();
        for line in lines {
            assert!(!line.contains("\"host_"), "{id}: {line}");
            let writes = line.split("write = [").nth(1).and_then(|rest| rest.split(']').next());
            assert!(!writes.unwrap_or_default().contains("\"event\""), "{id}: {line}");
        }
    }
}

/// The `tool.windlass` table of each component of the map, as it is written.
fn components() -> BTreeMap<String, String> {
    let text = fs::read_to_string(checkout().join("spin.toml")).expect("the map is there");
    let tables = text.split("\n[").filter_map(|table| {
        let (name, rest) = table.split_once("]\n")?;
        let id = name.strip_prefix("component.")?.strip_suffix(".tool.windlass")?;
        Some((id.to_owned(), rest.to_owned()))
    });
    tables.collect()
}

fn strings(table: &str, key: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What is shipped of a source: without its tests, and without lines of comment.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The texts in the shipped code, continued lines joined as the compiler does.
fn literals(text: &str) -> Vec<String> {
    // Quotes that are not the ends of a text.
    let code = code(text).replace("'\"'", "").replace("\\\\", "").replace("\\\"", "'");
    let mut joined = String::new();
    for part in code.split("\\\n") {
        // What is before the first continuation keeps its beginning.
        joined.push_str(if joined.is_empty() { part } else { part.trim_start() });
    }
    joined.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The packages of the workspace, and what each depends on when it is shipped.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(checkout())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo answers JSON");
    let packages = metadata["packages"].as_array().expect("a list").iter().map(|package| {
        let dependencies = package["dependencies"].as_array().expect("a list").iter();
        let shipped = dependencies.filter(|one| one["kind"].is_null());
        let names = shipped.map(|one| one["name"].as_str().expect("a name").to_owned());
        (package["name"].as_str().expect("a name").to_owned(), names.collect())
    });
    packages.collect()
}

fn is_test(file: &Path) -> bool {
    let text = file.to_string_lossy();
    text.contains("/tests/") || text.ends_with("/tests.rs")
}

/// Every Rust source and cargo manifest under a folder.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![checkout().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "toml") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} is empty");
    found
}
