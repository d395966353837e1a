//! What the host serves by itself: the OpenAPI documents of all surfaces merged into one, and a
//! page to browse it, without any resource from outside.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use windlass_gateway::{Page, Pages};

/// Where the merged document is served.
const DOCUMENT: &str = "/openapi.json";
/// Where the page to browse it is served.
const REFERENCE: &str = "/reference";

/// The document and the page.
pub(crate) struct Reference {
    document: Bytes,
    browser: Arc<utoipa_swagger_ui::Config<'static>>,
}

impl Reference {
    /// Reads and merges the documents, named relative to the manifest.
    pub(crate) fn load(base: &Path, documents: &[String]) -> anyhow::Result<Self> {
        let mut merged = Merged::default();
        for name in documents {
            let path = base.join(name);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("openapi document {}", path.display()))?;
            let document: Value = serde_yaml_ng::from_str(&text)
                .with_context(|| format!("openapi document {}", path.display()))?;
            merged.add(document).with_context(|| format!("openapi document {name}"))?;
        }
        Ok(Self {
            document: serde_json::to_vec(&merged.finish())?.into(),
            browser: Arc::new(utoipa_swagger_ui::Config::from(DOCUMENT)),
        })
    }

    fn browser_file(&self, path: &str) -> Option<Page> {
        let name = path.strip_prefix(REFERENCE)?;
        let index = name.is_empty() || name == "/";
        let name = if index { "index.html" } else { name.strip_prefix('/')? };
        let file = utoipa_swagger_ui::serve(name, Arc::clone(&self.browser)).ok()??;
        let bytes = match file.bytes {
            // The page is also served without the final slash, where relative links go astray.
            bytes if index => {
                Bytes::from(String::from_utf8_lossy(&bytes).replace("\"./", "\"/reference/"))
            }
            // Megabytes that are part of the binary: all answers share them.
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Some(Page { content_type: media_type(name), bytes })
    }
}

impl Pages for Reference {
    fn page(&self, path: &str) -> Option<Page> {
        if path == DOCUMENT {
            let bytes = self.document.clone();
            return Some(Page { content_type: "application/json", bytes });
        }
        self.browser_file(path)
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("png") => "image/png",
        Some("json" | "map") => "application/json",
        _ => "application/octet-stream",
    }
}

/// Several documents becoming one. Paths carry the path of their server; a name that two
/// documents define differently is an error, never a silent choice.
#[derive(Default)]
struct Merged {
    paths: Map<String, Value>,
    components: Map<String, Value>,
    tags: Vec<Value>,
    titles: BTreeSet<String>,
}

impl Merged {
    fn add(&mut self, document: Value) -> anyhow::Result<()> {
        let base = server_path(&document);
        let Value::Object(mut document) = document else { bail!("is no object") };
        if let Some(Value::String(title)) = document.get("info").and_then(|info| info.get("title"))
        {
            self.titles.insert(title.clone());
        }
        for (path, item) in object(document.remove("paths")) {
            insert(&mut self.paths, format!("{base}{path}"), item)?;
        }
        for (kind, members) in object(document.remove("components")) {
            let all = self.components.entry(kind).or_insert_with(|| json!({}));
            let Value::Object(all) = all else { bail!("components are no object") };
            for (name, member) in object(Some(members)) {
                insert(all, name, member)?;
            }
        }
        if let Some(Value::Array(tags)) = document.remove("tags") {
            self.tags.extend(tags);
        }
        Ok(())
    }

    fn finish(self) -> Value {
        json!({
            "openapi": "3.0.3",
            "info": {
                "title": "Windlass",
                "version": env!("CARGO_PKG_VERSION"),
                "description": format!(
                    "The APIs this host serves: {}.",
                    self.titles.into_iter().collect::<Vec<_>>().join(", ")
                ),
            },
            "servers": [{ "url": "/" }],
            "tags": self.tags,
            "paths": self.paths,
            "components": self.components,
        })
    }
}

/// The path of the first server: `/api/v1` of `http://localhost:8080/api/v1`.
fn server_path(document: &Value) -> String {
    let url = document["servers"][0]["url"].as_str().unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => url.trim_start_matches('/'),
    };
    let path = path.trim_end_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

fn insert(all: &mut Map<String, Value>, name: String, member: Value) -> anyhow::Result<()> {
    match all.get(&name) {
        Some(present) if *present != member => {
            bail!("{name} is defined differently by another document; rename one of them")
        }
        _ => {
            all.insert(name, member);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_merged_under_their_server_path() -> anyhow::Result<()> {
        let mut merged = Merged::default();
        merged.add(json!({
            "info": { "title": "A" },
            "servers": [{ "url": "http://localhost:8080/api/v1" }],
            "paths": { "/x": { "get": {} } },
            "components": { "schemas": { "X": { "type": "string" } } },
        }))?;
        merged.add(json!({ "info": { "title": "B" }, "paths": { "/y": {} } }))?;
        let whole = merged.finish();
        assert!(whole["paths"]["/api/v1/x"]["get"].is_object());
        assert!(whole["paths"]["/y"].is_object());
        assert_eq!(whole["components"]["schemas"]["X"]["type"], "string");
        Ok(())
    }

    #[test]
    fn a_name_with_two_meanings_is_an_error() -> anyhow::Result<()> {
        let document =
            |kind: &str| json!({ "components": { "schemas": { "X": { "type": kind } } } });
        let mut merged = Merged::default();
        merged.add(document("string"))?;
        merged.add(document("string"))?;
        assert!(merged.add(document("integer")).is_err());
        Ok(())
    }

    #[test]
    fn large_files_are_shared_and_not_copied() -> anyhow::Result<()> {
        let reference = Reference::load(Path::new("."), &[])?;
        for path in [DOCUMENT, "/reference/swagger-ui-bundle.js", "/reference/swagger-ui.css"] {
            let pages = [reference.page(path).context(path)?, reference.page(path).context(path)?];
            let [one, other] = pages.map(|page| page.bytes.as_ptr());
            assert_eq!(one, other, "{path}");
        }
        Ok(())
    }

    #[test]
    fn the_reference_needs_nothing_from_outside() -> anyhow::Result<()> {
        let reference = Reference::load(Path::new("."), &[])?;
        let page = reference.page(REFERENCE).context("the page")?;
        let html = String::from_utf8_lossy(&page.bytes).into_owned();
        assert!(!html.contains("https://"), "{html}");
        let resources = html.split('"').filter(|part| part.starts_with("/reference/"));
        let resources: Vec<_> = resources.collect();
        assert!(resources.len() >= 3, "{html}");
        for resource in resources {
            assert!(reference.page(resource).is_some(), "{resource}");
        }
        Ok(())
    }
}
