//! Talking to the management interface of a running host.

use anyhow::{Context, bail};
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::Value;

use crate::configuration::Configuration;
use crate::data::MANAGEMENT_TOKEN;

/// The variable that carries the token where the data directory cannot be read.
const TOKEN_VARIABLE: &str = "WINDLASS_MANAGEMENT_TOKEN";

/// A running host.
pub(crate) struct Host {
    client: Client,
    base: String,
    token: String,
}

impl Host {
    /// Finds the host and the token.
    pub(crate) fn connect(configuration: &Configuration) -> anyhow::Result<Self> {
        let token = match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => token,
            Err(_) => {
                let file = configuration.data_dir.join(MANAGEMENT_TOKEN);
                std::fs::read_to_string(&file).with_context(|| {
                    format!(
                        "the management token {} cannot be read; name the host's --data-dir, or \
                         set {TOKEN_VARIABLE}",
                        file.display()
                    )
                })?
            }
        };
        // Compiling a large component takes the host longer than the client's usual patience.
        let client = Client::builder().timeout(None).no_proxy().build()?;
        let base = format!("http://{}", configuration.manage);
        Ok(Self { client, base, token: token.trim().to_owned() })
    }

    /// Asks for something.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.client.get(format!("{}{path}", self.base)))
    }

    /// Sends something.
    pub(crate) fn post(&self, path: &str, body: &impl serde::Serialize) -> anyhow::Result<Value> {
        self.send(self.client.post(format!("{}{path}", self.base)).json(body))
    }

    /// Removes something.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.client.delete(format!("{}{path}", self.base)))
    }

    fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.bearer_auth(&self.token).send().with_context(|| {
            format!(
                "no host answers at {}; start one with `windlass serve`, or set --manage",
                self.base
            )
        })?;
        let status = answer.status();
        let text = answer.text()?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        match body["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => bail!("the host answered {status}: {text}"),
        }
    }
}
