//! A client for the management listener.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// Talks to the management listener with its token.
#[derive(Clone, Debug)]
pub struct Management {
    /// The client that carries the token.
    pub client: Client,
}

impl Management {
    /// What runs.
    pub async fn components(&self) -> Vec<Value> {
        let body = self.client.get("/v1/components").await.expect(200).json();
        body["components"].as_array().expect("a list of components").clone()
    }

    /// One of what runs.
    pub async fn component(&self, id: &str) -> Value {
        let components = self.components().await;
        let found = components.iter().find(|component| component["id"] == id).cloned();
        found.unwrap_or_else(|| panic!("{id} is not among {components:?}"))
    }

    /// Installs or swaps everything in `components` at once. See [`install`] and [`swap`].
    pub async fn release(&self, components: &[Value]) -> Answer {
        self.client.post("/v1/releases", &json!({"components": components})).await
    }

    /// Gives a share of the traffic to new builds and watches their errors.
    pub async fn canary(
        &self,
        components: &[Value],
        share: f64,
        error_rate: f64,
        requests: u32,
    ) -> Answer {
        let canary = json!({"share": share, "error_rate": error_rate, "requests": requests});
        self.client.post("/v1/releases", &json!({"components": components, "canary": canary})).await
    }

    /// Puts the previous build back.
    pub async fn rollback(&self, id: &str) -> Answer {
        self.client.post(&format!("/v1/components/{id}/rollback"), &json!({})).await
    }

    /// Ends a canary in favour of the new build.
    pub async fn promote(&self, id: &str) -> Answer {
        self.client.post(&format!("/v1/components/{id}/promote"), &json!({})).await
    }

    /// Removes a component that was installed.
    pub async fn remove(&self, id: &str) -> Answer {
        self.client.delete(&format!("/v1/components/{id}")).await
    }

    /// Keeps a component as the image `local/<name>`, where the name ends in a tag.
    pub async fn push_image(&self, name: &str, wasm: &[u8]) -> Answer {
        let body = json!({"name": name, "wasm": STANDARD.encode(wasm)});
        self.client.post("/v1/images", &body).await
    }

    /// What Prometheus would be told.
    pub async fn metrics(&self) -> String {
        self.client.get("/metrics").await.expect(200).text()
    }

    /// A token for a subject that ends after so many seconds, with its id.
    pub async fn issue_token(&self, subject: &str, lifetime_seconds: u64) -> (String, String) {
        let body = json!({"subject": subject, "lifetime_seconds": lifetime_seconds});
        let issued = self.client.post("/v1/tokens", &body).await.expect(200).json();
        let text = |name: &str| issued[name].as_str().expect("an issued token has it").to_owned();
        (text("token"), text("id"))
    }

    /// Revokes one token.
    pub async fn revoke_token(&self, id: &str) {
        self.client.post("/v1/tokens/revoke", &json!({"token_id": id})).await.expect(204);
    }

    /// Revokes every token of a subject.
    pub async fn revoke_subject(&self, subject: &str) {
        self.client.post("/v1/tokens/revoke", &json!({"subject": subject})).await.expect(204);
    }
}

/// A new component for [`Management::release`]: serves everything under `/<id>/`, with nothing
/// granted.
pub fn install(id: &str, wasm: &[u8]) -> Value {
    install_with(id, wasm, &json!({}))
}

/// The same with more keys of a manifest.
pub fn install_with(id: &str, wasm: &[u8], more: &Value) -> Value {
    let mut manifest = json!({"routes": [format!("/{id}/...")], "canary": format!("/{id}/canary")});
    let (keys, more) = (manifest.as_object_mut(), more.as_object());
    keys.expect("written as one").extend(more.expect("a manifest is an object").clone());
    json!({"id": id, "wasm": STANDARD.encode(wasm), "manifest": manifest})
}

/// Another build of a component that runs, its manifest kept.
pub fn swap(id: &str, wasm: &[u8]) -> Value {
    json!({"id": id, "wasm": STANDARD.encode(wasm)})
}
