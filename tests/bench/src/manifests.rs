//! Manifests the measurements need: copies of `spin.toml`, and ones of their own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

/// Where the checkout was when this program was built.
pub(crate) fn checkout() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// A component that `tools/build-components --fixtures` makes.
pub(crate) fn fixture(name: &str) -> Result<PathBuf> {
    let path = checkout().join("target/wasm32-wasip2/release/examples").join(name);
    let path = path.with_extension("wasm");
    let hint = "is missing: run `tools/build-components --fixtures`";
    fs::exists(&path)?.then_some(()).with_context(|| format!("{} {hint}", path.display()))?;
    Ok(path)
}

/// `spin.toml` of the checkout, with absolute paths so that copies of it work elsewhere.
pub(crate) fn shipped() -> Result<Table> {
    let file = checkout().join("spin.toml");
    let mut manifest: Table = fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read", file.display()))?
        .parse()?;
    for (_, component) in table(&mut manifest, "component")?.iter_mut() {
        let component = component.as_table_mut().context("a component is a table")?;
        let source = component.get("source").and_then(Value::as_str).context("a source")?;
        let source = checkout().join(source);
        component.insert("source".to_owned(), path_value(&source));
    }
    let application = table(table(&mut manifest, "application")?, "tool")?;
    let documents = table(application, "windlass")?.get_mut("openapi");
    for document in documents.and_then(Value::as_array_mut).into_iter().flatten() {
        let path = document.as_str().context("openapi lists paths")?;
        *document = path_value(&checkout().join(path));
    }
    Ok(manifest)
}

/// The same with a fresh instance for each request.
pub(crate) fn fresh_instances() -> Result<Table> {
    let mut manifest = shipped()?;
    for (_, component) in table(&mut manifest, "component")?.iter_mut() {
        let component = component.as_table_mut().context("a component is a table")?;
        let ours = table(table(component, "tool")?, "windlass")?;
        let limits = ours.entry("limits").or_insert_with(|| Table::new().into());
        let limits = limits.as_table_mut().context("limits is a table")?;
        limits.insert("reuse".to_owned(), 1.into());
    }
    Ok(manifest)
}

/// One component that says hello at `/hello`, by the name of its fixture.
pub(crate) fn hello(name: &str) -> Result<Table> {
    small("hello", "/hello", &fixture(name)?)
}

/// One component that answers when it is told to, at `/slow`.
pub(crate) fn slow() -> Result<Table> {
    small("slow", "/slow", &fixture("slow")?)
}

fn small(name: &str, route: &str, source: &Path) -> Result<Table> {
    let source = path_value(source);
    let text = format!(
        "spin_manifest_version = 2\n\
         application = {{ name = \"bench\" }}\n\
         trigger.http = [{{ route = \"{route}\", component = \"{name}\" }}]\n\
         component.{name} = {{ source = {source}, tool.windlass.canary = \"{route}\" }}\n"
    );
    Ok(text.parse()?)
}

/// The controllers of `spin.toml` and copies of them under other names and routes, so many in
/// all. Each copy's file differs in its last bytes, so that it is compiled for itself.
pub(crate) fn many(controllers: usize, directory: &Path) -> Result<Table> {
    let mut manifest = shipped()?;
    let triggers = http_triggers(&mut manifest)?.clone();
    let mut originals = table(&mut manifest, "component")?.clone();
    let shipped = originals.len();
    // What no request wakes is no controller, and there can be only one of it.
    originals.retain(|name, _| {
        triggers.iter().any(|trigger| trigger["component"].as_str() == Some(name))
    });
    for serial in shipped..controllers {
        let original = originals.iter().nth(serial % originals.len());
        let (name, original) = original.context("the manifest has components")?;
        let mut copy = original.as_table().context("a component is a table")?.clone();
        let source = copy.get("source").and_then(Value::as_str).context("a source")?;
        let file = directory.join(format!("{name}-{serial}.wasm"));
        fs::write(&file, distinct(fs::read(source)?, serial))?;
        copy.insert("source".to_owned(), path_value(&file));
        // The canary of the original is one of its own routes.
        table(table(&mut copy, "tool")?, "windlass")?.remove("canary");
        let copy_name = format!("{name}-{serial}");
        for trigger in &triggers {
            let trigger = trigger.as_table().context("a trigger is a table")?;
            if trigger.get("component").and_then(Value::as_str) != Some(name) {
                continue;
            }
            let route = trigger.get("route").and_then(Value::as_str).context("a route")?;
            let mut moved = Table::new();
            moved.insert("route".to_owned(), format!("/copy-{serial}{route}").into());
            moved.insert("component".to_owned(), copy_name.clone().into());
            http_triggers(&mut manifest)?.push(moved.into());
        }
        table(&mut manifest, "component")?.insert(copy_name, copy.into());
    }
    Ok(manifest)
}

/// The same component with a custom section at its end.
pub(crate) fn distinct(mut wasm: Vec<u8>, serial: usize) -> Vec<u8> {
    let name = format!("copy-{serial:04}");
    // A section is its kind (0), its size and its content, here a name and nothing else; both
    // sizes are below 128 and so one byte.
    let length = name.len() as u8;
    wasm.extend_from_slice(&[0, length + 1, length]);
    wasm.extend_from_slice(name.as_bytes());
    wasm
}

fn http_triggers(manifest: &mut Table) -> Result<&mut Vec<Value>> {
    let triggers = table(manifest, "trigger")?.get_mut("http").and_then(Value::as_array_mut);
    triggers.context("the manifest has no [[trigger.http]]")
}

fn table<'t>(parent: &'t mut Table, key: &str) -> Result<&'t mut Table> {
    let value = parent.get_mut(key).and_then(Value::as_table_mut);
    value.with_context(|| format!("the manifest has no table {key}"))
}

fn path_value(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_copy_differs_by_a_custom_section() {
        let copy = distinct(b"wasm".to_vec(), 7);
        assert_eq!(copy, b"wasm\x00\x0a\x09copy-0007");
    }

    #[test]
    fn fresh_instances_are_asked_of_every_controller() {
        let manifest = fresh_instances().unwrap();
        let components = manifest["component"].as_table().unwrap();
        assert!(!components.is_empty());
        for (name, component) in components {
            let reuse = &component["tool"]["windlass"]["limits"]["reuse"];
            assert_eq!(reuse.as_integer(), Some(1), "{name}");
        }
    }

    #[test]
    fn small_manifests_are_toml() {
        let manifest = small("hello", "/hello", Path::new("/a/b.wasm")).unwrap();
        assert_eq!(manifest["component"]["hello"]["source"].as_str(), Some("/a/b.wasm"));
        assert_eq!(manifest["trigger"]["http"][0]["route"].as_str(), Some("/hello"));
    }
}
