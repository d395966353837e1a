//! Configuration: flags over `WINDLASS_*` over a TOML file over defaults. A wrong value is an
//! error that names its key and the fix, before anything listens.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use url::Url;
use windlass_gateway::{Cors, GatewayLimits};
use windlass_outbound::Outbound;
use windlass_source::Addresses;

use crate::command::{ServeSettings, Settings};
use crate::telemetry;

/// The file that is read when it is there and none is named.
const DEFAULT_FILE: &str = "windlass.toml";

/// The configuration, checked.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// Where the APIs are served.
    pub(crate) listen: SocketAddr,
    /// Where the management interface is served.
    pub(crate) manage: SocketAddr,
    /// Directory of keys, compiled code and the embedded database.
    pub(crate) data_dir: PathBuf,
    /// The database.
    pub(crate) database: String,
    /// The map of the running system.
    pub(crate) manifest: PathBuf,
    /// What is logged.
    pub(crate) log: String,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
    /// Where traces are sent, if anywhere.
    pub(crate) otlp_endpoint: Option<String>,
    /// Certificate chain and key (PEM), if the APIs are served over TLS.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// Origins browsers may call from.
    pub(crate) cors: Cors,
    /// Proxies that are believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// What clients may ask of the gateway.
    pub(crate) limits: GatewayLimits,
    /// How long requests may take to end when the host stops.
    pub(crate) drain: Duration,
    /// Under which domain what tenants deploy is reached.
    pub(crate) base_domain: String,
    /// Where the host connects to for tenants.
    pub(crate) outbound: Outbound,
    /// Where git providers are.
    pub(crate) git: Addresses,
    /// The socket of what runs containers; `None` when this host runs none.
    pub(crate) docker_host: Option<String>,
    /// Images in the places of those that are asked for.
    pub(crate) image_substitutes: BTreeMap<String, String>,
}

/// The configuration as written. Every key is also a flag (with hyphens) and a variable:
/// `WINDLASS_` and the key in capitals.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: String,
    manage: String,
    data_dir: PathBuf,
    database: String,
    manifest: PathBuf,
    log: String,
    log_format: String,
    otlp_endpoint: String,
    tls_certificate: String,
    tls_key: String,
    cors_origins: Vec<String>,
    trusted_proxies: Vec<String>,
    body_limit_kib: u32,
    connections: u32,
    receive_seconds: u32,
    stall_seconds: u32,
    drain_seconds: u32,
    base_domain: String,
    outbound_allow: Vec<String>,
    git_github_url: String,
    git_gitlab_url: String,
    git_bitbucket_url: String,
    docker_host: String,
    image_substitutes: Vec<String>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            manage: "127.0.0.1:8081".to_owned(),
            data_dir: "data".into(),
            database: "sqlite:windlass.db".to_owned(),
            manifest: "spin.toml".into(),
            log: "info".to_owned(),
            log_format: "text".to_owned(),
            otlp_endpoint: String::new(),
            tls_certificate: String::new(),
            tls_key: String::new(),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            body_limit_kib: 1_024,
            connections: 10_000,
            receive_seconds: 10,
            stall_seconds: 30,
            drain_seconds: 30,
            base_domain: "localhost".to_owned(),
            outbound_allow: Vec::new(),
            git_github_url: "https://api.github.com".to_owned(),
            git_gitlab_url: "https://gitlab.com".to_owned(),
            git_bitbucket_url: "https://api.bitbucket.org".to_owned(),
            docker_host: "unix:///var/run/docker.sock".to_owned(),
            image_substitutes: Vec::new(),
        }
    }
}

/// Names of all keys, which are also the variables that are read.
const KEYS: [&str; 24] = [
    "listen",
    "manage",
    "data_dir",
    "database",
    "manifest",
    "log",
    "log_format",
    "otlp_endpoint",
    "tls_certificate",
    "tls_key",
    "cors_origins",
    "trusted_proxies",
    "body_limit_kib",
    "connections",
    "receive_seconds",
    "stall_seconds",
    "drain_seconds",
    "base_domain",
    "outbound_allow",
    "git_github_url",
    "git_gitlab_url",
    "git_bitbucket_url",
    "docker_host",
    "image_substitutes",
];

impl Configuration {
    /// Reads and checks everything; commands other than `serve` and `doctor` have no flags for
    /// what only a serving host needs.
    pub(crate) fn load(
        settings: &Settings,
        serving: Option<&ServeSettings>,
    ) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Raw::default()));
        if let Some(file) = file(settings)? {
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment
            .merge(Env::prefixed("WINDLASS_").only(&KEYS))
            .merge(Serialized::defaults(settings));
        if let Some(serving) = serving {
            figment = figment.merge(Serialized::defaults(serving));
        }
        let raw: Raw = figment.extract().map_err(|error| explain(&error))?;
        raw.check()
    }
}

/// The configuration file to read, if there is one.
fn file(settings: &Settings) -> anyhow::Result<Option<PathBuf>> {
    let variable = std::env::var_os("WINDLASS_CONFIG").map(PathBuf::from);
    match settings.config.clone().or(variable) {
        Some(file) if !file.is_file() => {
            bail!("config: there is no file {}; name one that exists", file.display())
        }
        Some(file) => Ok(Some(file)),
        None => Ok(Path::new(DEFAULT_FILE).is_file().then(|| DEFAULT_FILE.into())),
    }
}

fn explain(error: &figment::Error) -> anyhow::Error {
    // An unknown key comes with the list of known ones from serde.
    let key = error.path.join(".");
    let place = error.metadata.as_ref().map_or_else(String::new, |metadata| {
        let source = metadata.source.as_ref().map(|source| format!(" ({source})"));
        format!(" in {}{}", metadata.name, source.unwrap_or_default())
    });
    if key.is_empty() {
        anyhow!("configuration{place}: {}", error.kind)
    } else {
        anyhow!("{key}{place}: {}; see `windlass serve --help` for what it may be", error.kind)
    }
}

impl Raw {
    fn check(self) -> anyhow::Result<Configuration> {
        let limits = GatewayLimits {
            body_bytes: within("body_limit_kib", self.body_limit_kib, 1, 1_048_576)? * 1_024,
            receive_time: seconds("receive_seconds", self.receive_seconds)?,
            stall_time: seconds("stall_seconds", self.stall_seconds)?,
            connections: within("connections", self.connections, 1, 1_000_000)?,
            ..GatewayLimits::default()
        };
        let limits =
            GatewayLimits { bodies_bytes: limits.bodies_bytes.max(limits.body_bytes), ..limits };
        let tls = self.tls()?;
        telemetry::filter(&self.log)?;
        Ok(Configuration {
            listen: address("listen", &self.listen)?,
            manage: address("manage", &self.manage)?,
            data_dir: self.data_dir,
            database: database(self.database)?,
            manifest: self.manifest,
            log_json: match self.log_format.as_str() {
                "text" => false,
                "json" => true,
                other => bail!("log_format is {other:?}; use \"text\" or \"json\""),
            },
            log: self.log,
            otlp_endpoint: url("otlp_endpoint", self.otlp_endpoint)?,
            tls,
            cors: Cors { origins: origins(self.cors_origins)? },
            trusted_proxies: proxies(&self.trusted_proxies)?,
            limits,
            drain: seconds("drain_seconds", self.drain_seconds)?,
            base_domain: domain(self.base_domain)?,
            outbound: outbound(&self.outbound_allow)?,
            git: Addresses {
                github: provider("git_github_url", &self.git_github_url)?,
                gitlab: provider("git_gitlab_url", &self.git_gitlab_url)?,
                bitbucket: provider("git_bitbucket_url", &self.git_bitbucket_url)?,
            },
            docker_host: socket(&self.docker_host)?,
            image_substitutes: substitutes(&self.image_substitutes)?,
        })
    }

    fn tls(&self) -> anyhow::Result<Option<(PathBuf, PathBuf)>> {
        match (self.tls_certificate.as_str(), self.tls_key.as_str()) {
            ("", "") => Ok(None),
            (certificate, "") => {
                bail!("tls_certificate is {certificate:?} without a tls_key; set both, or neither")
            }
            ("", key) => {
                bail!("tls_key is {key:?} without a tls_certificate; set both, or neither")
            }
            (certificate, key) => Ok(Some((certificate.into(), key.into()))),
        }
    }
}

fn address(key: &str, text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().with_context(|| {
        format!("{key} is {text:?}; use an address and a port, such as 127.0.0.1:8080")
    })
}

fn database(text: String) -> anyhow::Result<String> {
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(text);
    }
    bail!("database is {text:?}; use sqlite:FILE or postgres://USER@HOST/DATABASE")
}

fn url(key: &str, text: String) -> anyhow::Result<Option<String>> {
    match text.as_str() {
        "" => Ok(None),
        _ if text.starts_with("http://") || text.starts_with("https://") => Ok(Some(text)),
        _ => bail!("{key} is {text:?}; use a URL such as http://127.0.0.1:4318"),
    }
}

fn socket(text: &str) -> anyhow::Result<Option<String>> {
    if text == "none" {
        return Ok(None);
    }
    let path = text.strip_prefix("unix://").unwrap_or(text);
    if path.starts_with('/') {
        return Ok(Some(path.to_owned()));
    }
    bail!(
        "docker_host is {text:?}; use the socket of Docker or Podman on this machine, such as \
         unix:///var/run/docker.sock, or none"
    )
}

fn origins(texts: Vec<String>) -> anyhow::Result<Vec<String>> {
    for text in &texts {
        let scheme = text.split_once("://").map(|(scheme, host)| (scheme, host.contains('/')));
        let fits = text == "*" || matches!(scheme, Some(("http" | "https", false)));
        if !fits {
            bail!("cors_origins has {text:?}; use origins such as https://console.example, or *");
        }
    }
    Ok(texts)
}

fn domain(text: String) -> anyhow::Result<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if text.len() <= 190 && text.split('.').all(is_label) {
        return Ok(text.to_ascii_lowercase());
    }
    bail!("base_domain is {text:?}; use a domain such as apps.example.com")
}

fn outbound(networks: &[String]) -> anyhow::Result<Outbound> {
    Outbound::allowing(networks).map_err(|wrong| {
        anyhow!("outbound_allow has {wrong:?}; use networks such as 10.0.0.0/8, or addresses")
    })
}

/// The address of a git provider. Whatever a user of it may see goes there, so that credentials in
/// it, and what is no base of other addresses, are mistakes.
fn provider(key: &str, text: &str) -> anyhow::Result<Url> {
    let is_base = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let url = text.parse().ok().filter(is_base);
    url.with_context(|| format!("{key} is {text:?}; use a URL such as https://git.example.com"))
}

fn proxies(texts: &[String]) -> anyhow::Result<Vec<IpAddr>> {
    let parse = |text: &String| {
        text.parse().with_context(|| format!("trusted_proxies has {text:?}; use IP addresses"))
    };
    texts.iter().map(parse).collect()
}

fn substitutes(texts: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let parse = |text: &String| match text.split_once('=') {
        Some((name, other)) if !name.is_empty() && !other.is_empty() => {
            Ok((name.to_owned(), other.to_owned()))
        }
        _ => bail!(
            "image_substitutes has {text:?}; use the name of an image, = and the one in its \
             place, such as postgres:16-alpine=mirror.example/postgres:16-alpine"
        ),
    };
    texts.iter().map(parse).collect()
}

fn within(key: &str, value: u32, least: u32, most: u32) -> anyhow::Result<usize> {
    if (least..=most).contains(&value) {
        return Ok(value as usize);
    }
    bail!("{key} is {value}; use a number from {least} to {most}")
}

fn seconds(key: &str, value: u32) -> anyhow::Result<Duration> {
    within(key, value, 1, 3_600).map(|value| Duration::from_secs(value as u64))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use serde_json::Value;

    use super::*;
    use crate::command::Windlass;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Raw), expected: &str) {
        let mut raw = Raw::default();
        change(&mut raw);
        match (raw.check(), expected) {
            (Ok(_), "") => {}
            (Ok(_), names) => panic!("was accepted, should name {names}"),
            (Err(error), "") => panic!("{error:#}"),
            (Err(error), names) => assert!(error.to_string().contains(names), "{error:#}"),
        }
    }

    #[test]
    fn wrong_values_name_their_key() {
        check(|_| {}, "");
        check(|raw| raw.listen = "8080".to_owned(), "listen");
        check(|raw| raw.database = "mysql://x".to_owned(), "database");
        check(|raw| raw.log = "windlass=loud".to_owned(), "log is");
        check(|raw| raw.log_format = "xml".to_owned(), "log_format");
        check(|raw| raw.tls_key = "key.pem".to_owned(), "tls_certificate");
        check(|raw| raw.cors_origins = vec!["console.example".to_owned()], "cors_origins");
        check(|raw| raw.cors_origins = vec!["https://console.example".to_owned()], "");
        check(|raw| raw.trusted_proxies = vec!["proxy".to_owned()], "trusted_proxies");
        check(|raw| raw.image_substitutes = vec!["postgres".to_owned()], "image_substitutes");
        check(|raw| raw.image_substitutes = vec!["a:1=b.example/a:1".to_owned()], "");
        check(|raw| raw.drain_seconds = 0, "drain_seconds");
        check(|raw| raw.otlp_endpoint = "localhost".to_owned(), "otlp_endpoint");
        check(|raw| raw.outbound_allow = vec!["intranet".to_owned()], "outbound_allow");
        check(|raw| raw.outbound_allow = vec!["10.0.0.0/8".to_owned()], "");
        check(|raw| raw.git_github_url = "github.com".to_owned(), "git_github_url");
        check(|raw| raw.git_gitlab_url = "https://a:b@gitlab.example".to_owned(), "git_gitlab_url");
        check(|raw| raw.git_bitbucket_url = "https://x.example/a?b".to_owned(), "git_bitbucket");
    }

    #[test]
    fn every_key_is_a_variable() -> anyhow::Result<()> {
        let keys = serde_json::to_value(Raw::default())?;
        let keys: Vec<_> = keys.as_object().context("an object")?.keys().cloned().collect();
        let mut known = KEYS.map(str::to_owned).to_vec();
        known.sort();
        let mut keys = keys;
        keys.sort();
        assert_eq!(keys, known);
        Ok(())
    }

    #[test]
    fn every_key_is_a_flag_of_serve_and_a_row_of_the_manual() -> anyhow::Result<()> {
        let command = Windlass::command();
        let serve = command.find_subcommand("serve").context("it can serve")?;
        let flags: Vec<_> = command.get_arguments().chain(serve.get_arguments()).collect();
        let manual = include_str!("../../../docs/operators.md");
        let defaults = serde_json::to_value(Raw::default())?;
        for key in KEYS {
            let flag = key.replace('_', "-");
            let is_flag = |argument: &&clap::Arg| argument.get_long() == Some(flag.as_str());
            assert!(flags.iter().any(is_flag), "serve has no --{flag}");
            let default = match &defaults[key] {
                Value::String(text) if !text.is_empty() => format!("`{text}`"),
                Value::Number(number) => number.to_string(),
                _ => "none".to_owned(),
            };
            let row = format!("| `{key}` | `--{flag}` | {default} |");
            assert!(manual.contains(&row), "docs/operators.md has no row {row}");
        }
        Ok(())
    }
}
