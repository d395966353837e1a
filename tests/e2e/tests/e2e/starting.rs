//! What a start refuses, in which order, and what it leaves behind.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use windlass_harness::Server;
use windlass_harness::fixtures::checkout;
use windlass_harness::server::{bare_command, private_directory};

/// A key that is wrong in each layer; the layers differ in the value, which the error must name.
struct Key {
    name: &'static str,
    /// Around the name of the layer.
    value: (&'static str, &'static str),
    shape: Shape,
}

#[derive(Clone, Copy)]
enum Shape {
    Text,
    List,
    Number,
}

const LAYERS: [&str; 3] = ["file", "variable", "flag"];
/// Over the bounds of every number there is.
const NUMBERS: [&str; 3] = ["2000001", "2000002", "2000003"];

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, value: ("", ""), shape }
}

/// Every key there is; that there are no others is a test of the binary's own.
const KEYS: [Key; 17] = [
    key("listen", Shape::Text),
    key("manage", Shape::Text),
    Key { name: "data_dir", value: ("/proc/", ""), shape: Shape::Text },
    key("database", Shape::Text),
    key("manifest", Shape::Text),
    Key { name: "log", value: ("", "=loud"), shape: Shape::Text },
    key("log_format", Shape::Text),
    key("otlp_endpoint", Shape::Text),
    key("tls_certificate", Shape::Text),
    key("tls_key", Shape::Text),
    key("cors_origins", Shape::List),
    key("trusted_proxies", Shape::List),
    key("body_limit_kib", Shape::Number),
    key("connections", Shape::Number),
    key("receive_seconds", Shape::Number),
    key("stall_seconds", Shape::Number),
    key("drain_seconds", Shape::Number),
];

impl Key {
    fn value(&self, layer: usize) -> String {
        match self.shape {
            Shape::Number => NUMBERS[layer].to_owned(),
            _ => format!("{}{}{}", self.value.0, LAYERS[layer], self.value.1),
        }
    }

    /// As TOML writes it, which variables take for lists too.
    fn toml(&self, layer: usize) -> String {
        let value = self.value(layer);
        match self.shape {
            Shape::Text => format!("{value:?}"),
            Shape::List => format!("[{value:?}]"),
            Shape::Number => value,
        }
    }
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file_for_every_key() {
    let directory = private_directory();
    for key in &KEYS {
        let file = directory.path().join("windlass.toml");
        fs::write(&file, format!("{} = {}\n", key.name, key.toml(0))).expect("it can be written");
        for layer in 0..LAYERS.len() {
            let mut command = bare_command();
            command.arg("serve").arg("--config").arg(&file);
            if layer >= 1 {
                let variable = format!("WINDLASS_{}", key.name.to_uppercase());
                let is_list = matches!(key.shape, Shape::List);
                command.env(variable, if is_list { key.toml(1) } else { key.value(1) });
            }
            if layer >= 2 {
                command.arg(format!("--{}", key.name.replace('_', "-"))).arg(key.value(2));
            }
            let said = refusal(&mut command);
            let value = key.value(layer);
            assert!(said.contains(key.name) && said.contains(&value), "{}: {said}", key.name);
        }
    }
}

/// Both addresses are taken by the test, so that a start which listened first would say so.
#[test]
fn whatever_is_wrong_is_said_before_anything_listens() {
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [listen, manage] = taken.each_ref().map(|one| one.local_addr().expect("bound").to_string());
    let directory = private_directory();
    let (letter, map) = (directory.path().join("letter.txt"), directory.path().join("spin.toml"));
    fs::write(&letter, "dear").expect("it can be written");
    write_map_of_a_broken_component(directory.path(), &map);
    let (letter, map) = (letter.display().to_string(), map.display().to_string());
    let data = directory.path().join("data");
    let serve = |arguments: &[&str]| {
        let mut command = bare_command();
        command.arg("serve").args(arguments).env("WINDLASS_DATA_DIR", &data);
        command.env("WINDLASS_LISTEN", &listen).env("WINDLASS_MANAGE", &manage);
        refusal(&mut command)
    };
    let cases: [(&[&str], &str); 7] = [
        (&["--database", "sqlite:/proc/nowhere.db"], "database"),
        (&["--tls-certificate", "nowhere.pem", "--tls-key", &letter], "tls_certificate"),
        (&["--tls-certificate", &letter, "--tls-key", &letter], "tls_certificate"),
        (&["--log", "windlass=loud"], "log"),
        (&["--manifest", &map], "broken"),
        (&["--manifest", "nowhere.toml"], "manifest"),
        (&["--data-dir", "/proc/nowhere"], "data_dir"),
    ];
    for (arguments, named) in cases {
        let said = serve(arguments);
        assert!(said.contains(named) && !said.contains("listened on"), "{arguments:?}: {said}");
    }
    let said = serve(&[]);
    assert!(said.contains(&format!("listen is {listen}")), "{said}");
    let said = serve(&["--listen", "127.0.0.1:0"]);
    assert!(said.contains(&format!("manage is {manage}")), "{said}");
}

fn write_map_of_a_broken_component(directory: &Path, map: &Path) {
    fs::write(directory.join("broken.wasm"), "no component").expect("it can be written");
    let text = "spin_manifest_version = 2\n\n\
                [application]\nname = \"broken\"\n\n\
                [[trigger.http]]\nroute = \"/broken\"\ncomponent = \"broken\"\n\n\
                [component.broken]\nsource = \"broken.wasm\"\n";
    fs::write(map, text).expect("it can be written");
}

#[test]
fn a_token_made_by_a_start_that_failed_is_shown_by_the_next_one_and_never_again() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let directory = private_directory();
    let mut command = bare_command();
    command.args(["serve", "--manage", "127.0.0.1:0", "--listen", &address]);
    command.env("WINDLASS_DATA_DIR", directory.path());
    refusal(&mut command);
    let token = fs::read_to_string(directory.path().join("management.token")).expect("it was made");
    let first = announcement(directory.path());
    assert!(first.contains(&format!("management token (shown once): {token}")), "{first}");
    let second = announcement(directory.path());
    assert!(!second.contains(&token), "{second}");
}

/// What a start says until it is told to stop, once it serves.
fn announcement(data: &Path) -> String {
    let mut command = bare_command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--manage", "127.0.0.1:0"]);
    command.env("WINDLASS_DATA_DIR", data).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().expect("the binary runs");
    let mut output = BufReader::new(process.stdout.take().expect("it was piped"));
    let mut said = String::new();
    // The last of the lines that are always there.
    while !said.contains("the management token is in") {
        assert_ne!(output.read_line(&mut said).expect("UTF-8"), 0, "it ended: {said}");
    }
    let id = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it can be signalled");
    output.read_to_string(&mut said).expect("UTF-8");
    assert!(process.wait().expect("it ends").success());
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_to_try_next_is_something_that_answers() {
    let server = Server::start();
    assert!(server.logs("then the quick tour").await, "{}", server.log());
    let log = server.log();
    let url = log.split("next: curl ").nth(1).and_then(|rest| rest.split(',').next());
    let path = url.and_then(|url| url.strip_prefix(server.client().base())).expect("a URL of ours");
    server.client().get(path).await.expect(200);
}

#[test]
fn one_host_at_a_time_works_in_a_data_directory() {
    let server = Server::start();
    let mut command = bare_command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--manage", "127.0.0.1:0"]);
    command.env("WINDLASS_DATA_DIR", server.data_directory());
    let said = refusal(&mut command);
    assert!(said.contains("data_dir") && said.contains("another host"), "{said}");
}

#[test]
fn a_directory_of_somebody_else_is_no_data_directory() {
    let directory = private_directory();
    fs::write(directory.path().join("letter.txt"), "dear").expect("it can be written");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    for arguments in [["serve"], ["migrate"]] {
        let mut command = bare_command();
        let said = refusal(command.args(arguments).env("WINDLASS_DATA_DIR", directory.path()));
        assert!(said.contains("data_dir") && said.contains("not ours"), "{said}");
    }
    let mode = directory.path().metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755, "it was changed");
    assert_eq!(fs::read_dir(directory.path()).expect("it can be read").count(), 1);
}

#[test]
fn doctor_makes_nothing_and_reads_what_a_start_would() {
    let directory = private_directory();
    for data in [directory.path().join("unmade"), directory.path().to_owned()] {
        let report = doctor(&data, &[]);
        let text = String::from_utf8_lossy(&report.stdout).into_owned();
        assert!(report.status.success(), "{text}");
        assert!(text.contains("the first `windlass serve` makes"), "{text}");
        assert_eq!(fs::read_dir(directory.path()).expect("it can be read").count(), 0);
    }
    let map = checkout().join("spin.toml").display().to_string();
    let report = doctor(directory.path(), &["--tls-certificate", &map, "--tls-key", &map]);
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(!report.status.success() && text.contains("wrong    tls: tls_certificate"), "{text}");
    let report = doctor(directory.path(), &["--log", "windlass=loud"]);
    assert!(!report.status.success());
    assert!(errors(&report).contains("log is"), "{}", errors(&report));
}

fn doctor(data: &Path, arguments: &[&str]) -> Output {
    let mut command = bare_command();
    command.arg("doctor").args(arguments).env("WINDLASS_DATA_DIR", data);
    // Nobody answers on the discard port, so that the host of a developer is left alone.
    command.env("WINDLASS_MANAGE", "127.0.0.1:9").output().expect("the binary runs")
}

/// What a command that must fail says, having said nothing on standard output.
#[track_caller]
fn refusal(command: &mut Command) -> String {
    let output = command.output().expect("the binary runs");
    assert!(!output.status.success(), "{command:?} went well");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    errors(&output)
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
