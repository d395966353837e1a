//! `windlass doctor`: looks at everything a host needs, and says what to do about what is wrong.

use std::process::ExitCode;

use serde_json::Value;

use super::host::Host;
use crate::configuration::Configuration;
use crate::data::DataDirectory;
use crate::installed::Map;
use crate::pages::Reference;
use crate::{printer, records};

/// What an examination found.
enum Finding {
    Fine(String),
    Warning(String),
    Wrong(String),
}

/// Examines everything; the exit code is 1 when something is wrong.
pub(crate) fn run(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut findings = vec![Finding::Fine("configuration: every value is usable".to_owned())];
    findings.push(examine("manifest", manifest(configuration)));
    match DataDirectory::open(&configuration.data_dir) {
        Ok(data) => {
            findings.push(Finding::Fine(format!("data directory: {}", data.path().display())));
            let database = runtime.block_on(database(configuration, &data));
            findings.push(examine("database", database));
            let keys = runtime.block_on(keys(configuration, &data));
            findings.push(examine("keys", keys));
        }
        Err(error) => findings.push(Finding::Wrong(format!("data directory: {error:#}"))),
    }
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
    let count = map.digests().len();
    Ok(Finding::Fine(format!("{} names {count} components, all built", map.file().display())))
}

async fn database(configuration: &Configuration, data: &DataDirectory) -> anyhow::Result<Finding> {
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
    let database = records::open(configuration, data).await?;
    if !records::pending(&database).await?.is_empty() {
        return Ok(Finding::Warning("looked at once the database is migrated".to_owned()));
    }
    records::identity(&database.into(), data).await?;
    Ok(Finding::Fine("readable by their owner alone".to_owned()))
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
