//! Windlass as it is measured: the released binary with a data directory of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use toml::Table;

use crate::connection::{Request, ask};
use crate::machine::Cores;
use crate::process::{Announcement, Process};

/// Projects on the page that is listed.
pub(crate) const PROJECTS: usize = 20;
/// What the host logs while it is measured.
pub(crate) const LOG: &str = "warn";

/// A data directory, and the manifest to serve with it.
pub(crate) struct Setup {
    directory: TempDir,
}

impl Setup {
    /// An empty one.
    pub(crate) fn new(manifest: &Table) -> Result<Self> {
        let setup = Self { directory: TempDir::with_prefix("windlass-bench-")? };
        fs::write(setup.manifest(), toml::to_string(manifest)?)?;
        Ok(setup)
    }

    /// One with a copy of another's data, of which no host may be running.
    pub(crate) fn with_data_of(other: &Self, manifest: &Table) -> Result<Self> {
        let setup = Self::new(manifest)?;
        copy(&other.data(), &setup.data())?;
        Ok(setup)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn manifest(&self) -> PathBuf {
        self.directory.path().join("spin.toml")
    }

    /// Starts the host.
    pub(crate) fn start(&self, cores: Cores) -> Result<Host> {
        let mut command = Command::new(binary()?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--manage", "127.0.0.1:0"]);
        command.args(["--log", LOG]).arg("--data-dir").arg(self.data());
        command.arg("--manifest").arg(self.manifest()).current_dir(self.directory.path());
        let process = Process::start(command, Announcement::Windlass, cores)?;
        let token = fs::read_to_string(self.data().join("management.token"))
            .context("the management token cannot be read")?;
        Ok(Host { process, token: token.trim().to_owned() })
    }
}

/// The released binary, beside this program.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("windlass");
    if !path.exists() {
        bail!("{} is missing: run `cargo build --release -p windlass`", path.display());
    }
    Ok(path)
}

/// A running host.
pub(crate) struct Host {
    pub(crate) process: Process,
    token: String,
}

impl Host {
    /// Where the APIs are.
    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Asks a controller of `spin.toml` how it is, and expects 200.
    pub(crate) async fn check_health(&self) -> Result<()> {
        let path = "/api/v1/health";
        expect(self.address(), &Request::get(path, None), 200, path).await?;
        Ok(())
    }

    /// Asks the management listener and expects 200.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.manage_expecting(200, method, path, body).await
    }

    /// Keeps a component as an image under a local name.
    pub(crate) async fn push_image(&self, name: &str, wasm: &[u8]) -> Result<()> {
        let body = json!({ "name": name, "wasm": STANDARD.encode(wasm) });
        self.manage_expecting(201, "POST", "/v1/images", &body).await?;
        Ok(())
    }

    async fn manage_expecting(
        &self,
        status: u16,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value> {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        let request = Request::json(method, path, Some(&self.token), &body);
        let address = self.process.management.context("windlass has a management listener")?;
        expect(address, &request, status, path).await
    }

    /// What a component came to, by name.
    pub(crate) async fn component(&self, id: &str) -> Result<Value> {
        let mut list = self.manage("GET", "/v1/components", &Value::Null).await?;
        let components = list["components"].as_array_mut().map(std::mem::take);
        let found = components.into_iter().flatten().find(|component| component["id"] == id);
        found.with_context(|| format!("{id} does not run"))
    }

    /// Registers a user with a page of projects, and answers a token.
    pub(crate) async fn seed(&self) -> Result<String> {
        let token = self.register().await?;
        for number in 1..=PROJECTS {
            let project = json!({
                "name": format!("Project {number}"),
                "description": format!("What project number {number} is for, in a sentence."),
            });
            self.create("/api/v1/projects", Some(&token), &project).await?;
        }
        Ok(token)
    }

    /// Registers a user and answers a token.
    pub(crate) async fn register(&self) -> Result<String> {
        let (email, password) = ("bench@example.test", "correct horse battery");
        let user = json!({"email": email, "password": password, "name": "Bench"});
        self.create("/api/v1/auth/register", None, &user).await?;
        let credentials = json!({"email": email, "password": password}).to_string();
        let login = "/api/v1/auth/login";
        let request = Request::json("POST", login, None, credentials.as_bytes());
        let session = expect(self.address(), &request, 200, login).await?;
        Ok(session["token"].as_str().context("a login answers a token")?.to_owned())
    }

    /// Creates something and answers what the API says of it.
    pub(crate) async fn create(
        &self,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<Value> {
        let request = Request::json("POST", path, token, body.to_string().as_bytes());
        expect(self.address(), &request, 201, path).await
    }
}

/// Asks once and returns the JSON of the answer, which must have a status.
pub(crate) async fn expect(
    address: SocketAddr,
    request: &Request,
    status: u16,
    what: &str,
) -> Result<Value> {
    let answer = ask(address, request).await.with_context(|| what.to_owned())?;
    if answer.status != status {
        bail!("{what} answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Copies a directory with everything in it, modes included.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
