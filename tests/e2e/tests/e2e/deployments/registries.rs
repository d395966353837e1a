//! Components from a registry: a real one, on loopback.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use windlass_harness::fixtures::fixture;
use windlass_harness::{Database, Server, ServerOptions};

use super::Tenant;
use crate::check::text;

/// Where Debian's package has it.
const PROGRAM: &str = "/usr/bin/docker-registry";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry with a directory of its own.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
    http: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("config.yml");
        let configuration = json!({
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": directory.path().join("data")}},
            "http": {"addr": "127.0.0.1:0"},
        });
        // YAML is a superset of JSON.
        std::fs::write(&file, configuration.to_string()).expect("it can be written");
        let mut process = Command::new(PROGRAM)
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}; tools/setup installs it"));
        let mut lines = BufReader::new(process.stderr.take().expect("it was piped")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            rest.split_once('"').map(|(address, _)| address.to_owned())
        });
        // What it says later must go somewhere, or it would wait.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let address = address.expect("it says where it listens");
        Self { process, address, http: reqwest::Client::new(), _directory: directory }
    }

    /// Keeps a component under a name and a tag, and answers the name of the image.
    async fn push_component(&self, name: &str, tag: &str, content: Vec<u8>) -> String {
        let layer = self.push_content(name, "application/wasm", content).await;
        self.push(name, tag, "application/vnd.wasm.config.v0+json", &layer).await
    }

    /// Keeps a manifest of one layer.
    async fn push(&self, name: &str, tag: &str, kind: &str, layer: &Value) -> String {
        let config = self.push_content(name, kind, b"{}".to_vec()).await;
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                              "layers": [layer]});
        let url = format!("http://{}/v2/{name}/manifests/{tag}", self.address);
        let request = self.http.put(url).header("content-type", MANIFEST);
        let kept = request.body(manifest.to_string()).send().await.expect("it answers");
        assert_eq!(kept.status(), 201, "{:?}", kept.text().await);
        format!("{}/{name}:{tag}", self.address)
    }

    /// Keeps content, and answers its descriptor.
    async fn push_content(&self, name: &str, kind: &str, content: Vec<u8>) -> Value {
        let url = format!("http://{}/v2/{name}/blobs/uploads/", self.address);
        let begun = self.http.post(url).send().await.expect("it answers");
        let place = begun.headers()["location"].to_str().expect("an address").to_owned();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&content)));
        let size = content.len();
        let request = self.http.put(format!("{place}&digest={digest}"));
        let kept = request.header("content-type", "application/octet-stream").body(content);
        assert_eq!(kept.send().await.expect("it answers").status(), 201);
        json!({"mediaType": kind, "digest": digest, "size": size})
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn server(networks: &str) -> Server {
    let mut options = ServerOptions::on(Database::Sqlite);
    options.environment = vec![("WINDLASS_OUTBOUND_ALLOW".to_owned(), networks.to_owned())];
    Server::start_with(options)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_a_registry_is_deployed_and_put_back_without_it() {
    let mut registry = Registry::start();
    let server = server("[\"127.0.0.1\"]");
    let tenant = Tenant::new(&server, "Harbour").await;
    let image = registry.push_component("acme/shop", "1", fixture("workload_blue")).await;
    let service = tenant.service("web", "web", &image).await;
    let first = tenant.deploy(&service).await;
    let visitor = server.visitor("web-harbour.localhost");
    assert_eq!(visitor.get("/").await.expect(200).text(), "blue");

    registry.push_component("acme/shop", "1", fixture("workload_green")).await;
    tenant.deploy(&service).await;
    assert_eq!(visitor.get("/").await.expect(200).text(), "green", "the tag has moved");

    registry.stop();
    let path = format!("/api/v1/deployments/{first}/rollback");
    let back = tenant.client().post(&path, &json!({})).await.expect(201).json();
    let ended = tenant.ended(text(&back["deployment"], "id")).await;
    assert_eq!(ended["status"], "deployed", "{ended}");
    assert_eq!(visitor.get("/").await.expect(200).text(), "blue", "the content was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registry_does_not_have_or_is_no_component_fails_and_says_so() {
    let registry = Registry::start();
    let server = server("[\"127.0.0.1\"]");
    let tenant = Tenant::new(&server, "Harbour").await;
    let layer = registry.push_content("box", "application/vnd.oci.image.layer.v1.tar", vec![0]);
    let layer = layer.await;
    let container =
        registry.push("box", "1", "application/vnd.oci.image.config.v1+json", &layer).await;
    let missing = format!("{}/none:1", registry.address);
    for (name, image, said) in [
        ("container", container, "image of a container"),
        ("missing", missing, "there is no image"),
    ] {
        let service = tenant.service(name, "web", &image).await;
        let ended = tenant.ended(&tenant.ask(&service).await).await;
        assert_eq!(ended["status"], "failed");
        assert!(text(&ended, "error").contains(said), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_on_this_machine_is_not_asked_unless_the_operator_says_so() {
    let registry = Registry::start();
    let server = server("[]");
    let tenant = Tenant::new(&server, "Harbour").await;
    let image = registry.push_component("shop", "1", fixture("workload_blue")).await;
    let service = tenant.service("web", "web", &image).await;
    let ended = tenant.ended(&tenant.ask(&service).await).await;
    assert_eq!(ended["status"], "failed");
    assert!(text(&ended, "error").contains("outbound_allow"), "{ended}");
}
