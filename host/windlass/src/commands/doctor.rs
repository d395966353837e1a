//! `windlass doctor`: looks at everything a host needs, and says what to do about what is wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::fs::Access;
use serde_json::Value;

use super::host::Host;
use crate::configuration::Configuration;
use crate::data::DataDirectory;
use crate::installed::Map;
use crate::pages::Reference;
use crate::{printer, records, tls};

/// What an examination found.
enum Finding {
    Fine(String),
    Warning(String),
    Wrong(String),
}

/// Examines everything; the exit code is 1 when something is wrong. Nothing is made or changed:
/// what the first start will make is named and not made.
pub(crate) fn run(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut findings = vec![Finding::Fine("configuration: every value is usable".to_owned())];
    if configuration.tls.is_some() {
        let usable = Finding::Fine("the certificate and its key fit each other".to_owned());
        findings.push(examine("tls", tls::acceptor(configuration).map(|_| usable)));
    }
    findings.push(examine("manifest", manifest(configuration)));
    findings.extend(runtime.block_on(data(configuration)));
    findings.push(running(configuration));
    let mut wrong = 0;
    for finding in &findings {
        match finding {
            Finding::Fine(text) => printer::line(format!("ok       {text}")),
            Finding::Warning(text) => printer::line(format!("warning  {text}")),
            Finding::Wrong(text) => {
                wrong += 1;
                printer::line(format!("wrong    {text}"));
            }
        }
    }
    if wrong == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    printer::note(format!("{wrong} of {} need mending", findings.len()));
    Ok(ExitCode::FAILURE)
}

/// The data directory and what is kept in it or, on PostgreSQL, needs keys from it.
async fn data(configuration: &Configuration) -> Vec<Finding> {
    let shown = configuration.data_dir.display();
    match DataDirectory::look(&configuration.data_dir) {
        Ok(Some(data)) if data.has_keys() => {
            let directory = Finding::Fine(format!("data directory: {}", data.path().display()));
            let database = examine("database", database(configuration, &data).await);
            vec![directory, database, examine("keys", keys(configuration, &data).await)]
        }
        Ok(None) if !can_be_made(&configuration.data_dir) => vec![Finding::Wrong(format!(
            "data directory: {shown} is not there and cannot be made; name a directory we can write"
        ))],
        Ok(_) => vec![Finding::Warning(format!(
            "data directory: the first `windlass serve` makes {shown}, its keys and the database"
        ))],
        Err(error) => vec![Finding::Wrong(format!("data directory: {error:#}"))],
    }
}

/// Whether the nearest directory above that is there lets us make something in it.
fn can_be_made(directory: &Path) -> bool {
    let named = |above: &Path| if above.as_os_str().is_empty() { ".".into() } else { above.into() };
    let mut above = directory.ancestors().skip(1).map(named);
    let present = above.find(|above: &PathBuf| above.exists());
    present.is_some_and(|present| rustix::fs::access(&present, Access::WRITE_OK).is_ok())
}

fn examine(what: &str, outcome: anyhow::Result<Finding>) -> Finding {
    let with_name = |text: String| format!("{what}: {text}");
    match outcome {
        Ok(Finding::Fine(text)) => Finding::Fine(with_name(text)),
        Ok(Finding::Warning(text)) => Finding::Warning(with_name(text)),
        Ok(Finding::Wrong(text)) => Finding::Wrong(with_name(text)),
        Err(error) => Finding::Wrong(with_name(format!("{error:#}"))),
    }
}

fn manifest(configuration: &Configuration) -> anyhow::Result<Finding> {
    let map = Map::read(&configuration.manifest)?;
    Reference::load(map.base(), map.openapi())?;
    let count = map.named().len();
    Ok(Finding::Fine(format!("{} names {count} components, all built", map.file().display())))
}

async fn database(configuration: &Configuration, data: &DataDirectory) -> anyhow::Result<Finding> {
    if is_unmade(configuration, data) {
        return Ok(Finding::Warning("made by the next `windlass serve`".to_owned()));
    }
    let database = records::open(configuration, data).await?;
    let pending = records::pending(&database).await?;
    if pending.is_empty() {
        return Ok(Finding::Fine("reachable, and its schema is up to date".to_owned()));
    }
    Ok(Finding::Warning(format!(
        "reachable; {} migrations will be applied by the next `windlass serve` or `windlass migrate`",
        pending.len()
    )))
}

async fn keys(configuration: &Configuration, data: &DataDirectory) -> anyhow::Result<Finding> {
    if is_unmade(configuration, data) {
        return Ok(Finding::Warning("looked at once the database is there".to_owned()));
    }
    let database = records::open(configuration, data).await?;
    if !records::pending(&database).await?.is_empty() {
        return Ok(Finding::Warning("looked at once the database is migrated".to_owned()));
    }
    records::identity(&database.into(), data).await?;
    Ok(Finding::Fine("readable by their owner alone".to_owned()))
}

/// Whether the database is a file that is not there: opening it would make it.
fn is_unmade(configuration: &Configuration, data: &DataDirectory) -> bool {
    let file = configuration.database.strip_prefix("sqlite:");
    let file = file.map(|file| file.strip_prefix("//").unwrap_or(file));
    file.is_some_and(|file| !data.path().join(file).exists())
}

fn running(configuration: &Configuration) -> Finding {
    let answer = Host::connect(configuration).and_then(|host| host.get("/v1/components"));
    match answer {
        Ok(Value::Object(answer)) => {
            let count = answer.get("components").and_then(Value::as_array).map_or(0, Vec::len);
            Finding::Fine(format!(
                "host: answers at {}, with {count} components",
                configuration.manage
            ))
        }
        Ok(_) => {
            Finding::Warning(format!("host: what answers at {} is no host", configuration.manage))
        }
        Err(error) => Finding::Warning(format!("host: {error:#}")),
    }
}
