//! The binary as its operator meets it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use windlass_harness::fixtures::{fixture, target_directory};
use windlass_harness::management::install;
use windlass_harness::server::{ServerOptions, bare_command};
use windlass_harness::{Account, Database, Server};

use crate::deployments::{Tenant, push};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_are_listed_installed_swapped_and_rolled_back() {
    let server = Server::start();
    server.management().release(&[install("greeter", &fixture("greeter_a"))]).await.expect(200);
    let listed = said(server.command(&["components", "list"]));
    for id in
        ["containr-accounts", "containr-projects", "containr-services", "containr-audit", "greeter"]
    {
        assert!(listed.contains(id), "{id} is not in:\n{listed}");
    }
    let newer = fixture_file("greeter_b");
    said(server.command(&["components", "swap", "greeter", &newer, "--version", "2.3.4"]));
    assert_eq!(server.client().get("/greeter/x").await.text(), "b");
    let listed = said(server.command(&["components", "list"]));
    assert!(listed.contains("2.3.4"), "{listed}");
    said(server.command(&["components", "rollback", "greeter"]));
    assert_eq!(server.client().get("/greeter/x").await.text(), "a");
    let refused = server.command(&["components", "swap", "greeter", &fixture_file("canary_trap")]);
    assert!(!refused.status.success());
    assert!(errors(&refused).contains("canary"), "{}", errors(&refused));
    assert_eq!(server.client().get("/greeter/x").await.text(), "a");
    said(server.command(&["components", "remove", "greeter"]));
    server.client().get("/greeter/x").await.expect_error(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_is_installed_with_its_manifest() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let manifest = directory.path().join("manifest.toml");
    let text = "routes = [\"/greeter/...\"]\ncanary = \"/greeter/canary\"\nversion = \"3.2.1\"\n";
    fs::write(&manifest, text).expect("it can be written");
    let manifest = manifest.display().to_string();
    let install = |id: &str, name: &str| {
        let file = fixture_file(name);
        server.command(&["components", "install", id, &file, "--component-manifest", &manifest])
    };
    assert!(said(install("greeter", "greeter_a")).contains("greeter runs "));
    assert_eq!(server.client().get("/greeter/x").await.expect(200).text(), "a");
    let listed = said(server.command(&["components", "list"]));
    let row = listed.lines().find(|line| line.starts_with("greeter ")).expect("it is listed");
    assert!(row.contains("3.2.1") && row.contains("/greeter/..."), "{row}");
    let refused = errors(&install("rival", "greeter_b"));
    assert!(refused.contains("/greeter/..."), "the route is taken: {refused}");
    fs::write(&manifest, "route = \"/greeter\"\n").expect("it can be written");
    let refused = errors(&install("other", "greeter_b"));
    assert!(refused.contains("manifest.toml") && refused.contains("route"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_pushed_and_listed() {
    let server = Server::start();
    let file = fixture_file("workload_blue");
    let pushed = server.command(&["images", "push", "web:1", &file]);
    assert!(errors(&pushed).contains("sha256:"), "{}", errors(&pushed));
    assert_eq!(said(pushed), "local/web:1\n");
    said(server.command(&["images", "push", "local/web:2", &file]));
    let listed = said(server.command(&["images", "list"]));
    let names: Vec<_> =
        listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["local/web:1", "local/web:2"], "{listed}");
    let listed = said(server.command(&["images", "list", "--json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("it is JSON");
    let images = listed["images"].as_array().expect("a list");
    assert!(images.len() == 2 && images[0]["digest"] == images[1]["digest"], "{listed}");
    for (name, file, says) in [
        ("web", file.as_str(), "<name>:<tag>"),
        ("web:1", "spin.toml", "no WebAssembly component"),
        ("web:1", "no/such.wasm", "no/such.wasm"),
    ] {
        let refused = server.command(&["images", "push", name, file]);
        assert_eq!(refused.status.code(), Some(1), "{name} {file}");
        assert!(errors(&refused).contains(says), "{name} {file}: {}", errors(&refused));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_of_several_moves_together_or_not_at_all() {
    let server = Server::start();
    let a = fixture("greeter_a");
    server.management().release(&[install("one", &a), install("two", &a)]).await.expect(200);
    let answers = async || {
        let client = server.client();
        (client.get("/one/x").await.text(), client.get("/two/x").await.text())
    };
    let pair = |id: &str, name: &str| format!("{id}={}", fixture_file(name));
    let both = [pair("one", "greeter_b"), pair("two", "greeter_b")];
    let released = said(server.command(&["components", "release", &both[0], &both[1]]));
    assert!(released.contains("one runs ") && released.contains("two runs "), "{released}");
    assert_eq!(answers().await, ("b".to_owned(), "b".to_owned()));
    let half = [pair("one", "greeter_a"), pair("two", "canary_trap")];
    let refused = server.command(&["components", "release", &half[0], &half[1]]);
    assert!(!refused.status.success() && errors(&refused).contains("two"), "{refused:?}");
    assert_eq!(answers().await, ("b".to_owned(), "b".to_owned()));
    let refused = server.command(&["components", "release", "one"]);
    assert!(errors(&refused).contains("NAME=FILE"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_listed_promoted_and_ended() {
    let server = Server::start();
    server.management().release(&[install("greeter", &fixture("greeter_a"))]).await.expect(200);
    let b = fixture_file("greeter_b");
    let try_b = ["components", "swap", "greeter", &b, "--canary", "0.5", "--requests", "1000"];
    let tried = said(server.command(&try_b));
    let digest = tried.trim().strip_prefix("greeter is tried with ").expect("it is tried");
    let listed = said(server.command(&["components", "list"]));
    let row = listed.lines().find(|line| line.starts_with("greeter ")).expect("it is listed");
    assert!(row.contains(digest), "{digest} is not the canary in {row}");
    said(server.command(&["components", "rollback", "greeter"]));
    for _ in 0..4 {
        assert_eq!(server.client().get("/greeter/x").await.expect(200).text(), "a");
    }
    said(server.command(&try_b));
    let promoted = said(server.command(&["components", "promote", "greeter"]));
    assert_eq!(promoted.trim(), format!("greeter runs {digest}"));
    for _ in 0..4 {
        assert_eq!(server.client().get("/greeter/x").await.expect(200).text(), "b");
    }
    let refused = server.command(&["components", "promote", "greeter"]);
    assert!(!refused.status.success(), "nothing is tried any more");
    let refused = server.command(&["components", "swap", "greeter", &b, "--canary", "1.5"]);
    assert!(errors(&refused).contains("share is 1.5"), "{refused:?}");
}

/// A developer's loop: what is built is served, and what is refused does not end the loop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_swaps_a_component_whenever_its_file_changes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let build = |wasm: &[u8]| {
        // As linkers do: beside it, and then in its place.
        let file = directory.path().join("greeter.wasm.new");
        fs::write(&file, wasm).expect("it can be written");
        fs::rename(file, directory.path().join("greeter.wasm")).expect("it can be replaced");
    };
    build(&fixture("greeter_a"));
    let mut options = ServerOptions::on(Database::Sqlite);
    options.manifest = Some(map_of_greeter(directory.path()));
    let server = Server::start_with(options);
    let mut watch = server.prepare(&["components", "watch"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut output = BufReader::new(watch.stdout.take().expect("it was piped")).lines();
    let mut notes = BufReader::new(watch.stderr.take().expect("it was piped")).lines();
    let mut noted = |text: &str| {
        let found = notes.by_ref().map_while(Result::ok).find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("it ended before it said {text}"))
    };
    noted("watching");
    build(&fixture("greeter_b"));
    let line = output.next().expect("it goes on").expect("UTF-8");
    assert!(line.starts_with("greeter runs "), "{line}");
    assert_eq!(server.client().get("/greeter/x").await.expect(200).text(), "b");
    build(b"no component");
    noted("error: greeter");
    assert_eq!(server.client().get("/greeter/x").await.expect(200).text(), "b");
    build(&fixture("greeter_a"));
    let line = output.next().expect("it goes on").expect("UTF-8");
    assert!(line.starts_with("greeter runs "), "{line}");
    assert_eq!(server.client().get("/greeter/x").await.expect(200).text(), "a");
    watch.kill().expect("it is ours");
    watch.wait().expect("it ends");
    let refused = server.command(&["components", "watch", "nobody"]);
    assert!(errors(&refused).contains("has no component nobody"), "{refused:?}");
}

fn map_of_greeter(directory: &Path) -> PathBuf {
    let file = directory.join("spin.toml");
    let text = "spin_manifest_version = 2\n\n\
                [application]\nname = \"watched\"\n\n\
                [[trigger.http]]\nroute = \"/greeter/...\"\ncomponent = \"greeter\"\n\n\
                [component.greeter]\nsource = \"greeter.wasm\"\n\n\
                [component.greeter.tool.windlass]\ncanary = \"/greeter/canary\"\n";
    fs::write(&file, text).expect("it can be written");
    file
}

fn fixture_file(name: &str) -> String {
    let examples = target_directory().join("wasm32-wasip2/release/examples");
    examples.join(format!("{name}.wasm")).display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_issued_and_revoked() {
    let server = Server::start();
    let account = Account::register(&server.client()).await;
    let token = said(server.command(&["tokens", "issue", &account.id]));
    let client = server.client().with_token(token.trim());
    let profile = client.get("/api/v1/user/profile").await.expect(200).json();
    assert_eq!(profile["id"], account.id);
    said(server.command(&["tokens", "revoke", "--subject", &account.id]));
    client.get("/api/v1/user/profile").await.expect_error(401);
    account.client.get("/api/v1/user/profile").await.expect_error(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_token_is_created_once_listed_without_its_text_and_revoked() {
    let mut server = Server::start();
    let account = Account::register(&server.client()).await;
    let create = ["tokens", "create-api", &account.id];
    let token = said(server.command(&create)).trim().to_owned();
    let ending =
        said(server.command(&[create[0], create[1], create[2], "--lifetime-seconds", "60"]));
    server.restart();
    for token in [&token, ending.trim()] {
        let client = server.client().with_authorization(&format!("Token {token}"));
        let profile = client.get("/api/v1/user/profile").await.expect(200).json();
        assert_eq!(profile["id"], account.id);
    }
    let listed = said(server.command(&["tokens", "list-api", "--json"]));
    assert!(!listed.contains(&token), "{listed}");
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("it is JSON");
    let listed = listed["api_tokens"].as_array().expect("a list");
    assert_eq!(listed.len(), 2, "{listed:?}");
    let kept = listed.iter().find(|token| token["expires_at"].is_null()).expect("one has no end");
    assert_eq!(kept["subject"], account.id);
    let id = kept["id"].as_str().expect("it has an id");
    assert!(said(server.command(&["tokens", "list-api"])).contains(id));
    said(server.command(&["tokens", "revoke", "--token-id", id]));
    let client = server.client().with_authorization(&format!("Token {token}"));
    client.get("/api/v1/user/profile").await.expect_error(401);
    let refused = server.command(&[create[0], create[1], "robot", "--lifetime-seconds", "0"]);
    assert!(errors(&refused).contains("lifetime"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_signs_at_once_and_the_one_before_it_still_verifies() {
    let mut server = Server::start();
    let account = Account::register(&server.client()).await;
    said(server.command(&["tokens", "rotate-key"]));
    let issued = said(server.command(&["tokens", "issue", &account.id]));
    let key = |token: &str| token.split('.').next().map(str::to_owned);
    assert_ne!(key(&account.token), key(&issued), "the head of a token names its key");
    let keys = server.data_directory().join("keys");
    assert!(keys.join("token-0002.pem").is_file(), "the new key is kept");
    for restarted in [false, true] {
        if restarted {
            server.restart();
        }
        for token in [&account.token, issued.trim()] {
            server.client().with_token(token).get("/api/v1/user/profile").await.expect(200);
        }
    }
    // Taking the old key away ends what it signed.
    fs::remove_file(keys.join("token-0001.pem")).expect("it is there");
    server.restart();
    let client = server.client();
    client.with_token(&account.token).get("/api/v1/user/profile").await.expect_error(401);
    client.with_token(issued.trim()).get("/api/v1/user/profile").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_a_kill() {
    let mut server = Server::start();
    let account = Account::register(&server.client()).await;
    server.management().revoke_subject(&account.id).await;
    server.restart();
    let client = server.client().with_token(&account.token);
    client.get("/api/v1/user/profile").await.expect_error(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_finds_nothing_wrong_with_a_running_host() {
    let server = Server::start();
    let report = said(server.command(&["doctor"]));
    for examined in ["configuration", "manifest", "data directory", "database", "keys", "host"] {
        assert!(report.contains(examined), "{examined} is not in:\n{report}");
    }
    assert!(!report.contains("wrong "), "{report}");
}

#[test]
fn doctor_says_what_is_wrong_and_what_to_do() {
    let mut command = bare_command();
    command.args(["doctor", "--manifest", "nowhere.toml", "--data-dir", "/proc/windlass"]);
    let report = command.output().expect("the binary runs");
    assert!(!report.status.success());
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    for named in ["nowhere.toml", "/proc/windlass"] {
        assert!(report.contains(named), "{named} is not in:\n{report}");
    }
}

#[test]
fn a_wrong_value_names_its_key_and_the_fix() {
    let cases = [
        (vec!["--listen", "somewhere"], "listen", "127.0.0.1:8080"),
        (vec!["--manage", "127.0.0.1"], "manage", "127.0.0.1:8080"),
        (vec!["--database", "mysql://root@localhost"], "database", "postgres://"),
        (vec!["--manifest", "nowhere.toml"], "manifest", "spin.toml"),
        (vec!["--config", "nowhere.toml"], "config", "nowhere.toml"),
    ];
    for (arguments, key, fix) in cases {
        let directory = std::env::temp_dir().join("windlass-never-made");
        let mut command = bare_command();
        command.arg("serve").args(&arguments).env("WINDLASS_DATA_DIR", &directory);
        let output = command.output().expect("the binary runs");
        assert!(!output.status.success(), "{arguments:?}");
        let said = errors(&output);
        assert!(said.contains(key) && said.contains(fix), "{arguments:?}: {said}");
    }
    for (variable, value) in [
        ("WINDLASS_DRAIN_SECONDS", "soon"),
        ("WINDLASS_BODY_LIMIT_KIB", "0"),
        ("WINDLASS_LOG_FORMAT", "xml"),
    ] {
        let output =
            bare_command().arg("serve").env(variable, value).output().expect("the binary runs");
        assert!(!output.status.success(), "{variable}");
        let key = variable.trim_start_matches("WINDLASS_").to_lowercase();
        assert!(errors(&output).to_lowercase().contains(&key), "{variable}: {}", errors(&output));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_termination_lets_requests_end_and_exits_with_0() {
    let mut server = Server::start();
    server.management().release(&[install("slow", &fixture("slow"))]).await.expect(200);
    let client = server.client();
    let under_way = tokio::spawn(async move { client.get("/slow/x?ms=1500").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.signal_termination();
    assert_eq!(under_way.await.expect("it did not panic").expect(200).text(), "waited 1500");
    assert_eq!(server.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_their_owners_alone() {
    let server = Server::start();
    let image = push(&server, "web:1", "workload_blue").await;
    let tenant = Tenant::new(&server, "Harbour").await;
    // What it writes is kept in a file.
    tenant.deploy(&tenant.service("web", "web", &image).await).await;
    let token =
        fs::read_to_string(server.data_directory().join("management.token")).expect("a token");
    assert!(token.trim().len() >= 32);
    let mut looked_at = 0;
    let mut directories = vec![server.data_directory().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("it can be read") {
            let entry = entry.expect("it can be read");
            let metadata = entry.metadata().expect("it can be read");
            let mode = metadata.permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} is {mode:o}", entry.path().display());
            looked_at += 1;
            if metadata.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    assert!(looked_at >= 4, "keys, token, database and compiled code are there");
}

#[test]
fn migrate_can_be_run_again() {
    let directory = std::env::temp_dir().join(format!("windlass-migrate-{}", std::process::id()));
    for _ in 0..2 {
        said(
            bare_command()
                .args(["migrate", "--data-dir"])
                .arg(&directory)
                .output()
                .expect("it runs"),
        );
    }
    fs::remove_dir_all(&directory).expect("it was made");
}

#[track_caller]
fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", errors(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
