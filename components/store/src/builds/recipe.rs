//! What an image is made from, as the JSON of two columns: the small part, which lists show, and
//! the large one, which only the builder needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_domain::builders::{Method, Recipe};
use windlass_domain::{Error, Result};

/// The column `recipe`. Keys are only ever added.
#[derive(Serialize, Deserialize)]
struct Sources {
    method: String,
    repository: String,
    branch: String,
    commit: String,
    root_directory: String,
    dockerfile: String,
    prebuilt_image: String,
    registry_url: String,
}

/// The column `settings`. Keys are only ever added.
#[derive(Default, Serialize, Deserialize)]
struct Settings {
    build_command: String,
    start_command: String,
    variables: BTreeMap<String, String>,
    arguments: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

pub(super) fn to_texts(recipe: &Recipe) -> Result<(String, String)> {
    let sources = Sources {
        method: recipe.method.map(Method::as_str).unwrap_or_default().to_owned(),
        repository: recipe.repository.clone(),
        branch: recipe.branch.clone(),
        commit: recipe.commit.clone(),
        root_directory: recipe.root_directory.clone(),
        dockerfile: recipe.dockerfile.clone(),
        prebuilt_image: recipe.prebuilt_image.clone(),
        registry_url: recipe.registry_url.clone(),
    };
    let settings = Settings {
        build_command: recipe.build_command.clone(),
        start_command: recipe.start_command.clone(),
        variables: recipe.variables.clone(),
        arguments: recipe.arguments.clone(),
        labels: recipe.labels.clone(),
    };
    let failed = |error| Error::internal_fault(format!("a recipe does not become JSON: {error}"));
    Ok((
        serde_json::to_string(&sources).map_err(failed)?,
        serde_json::to_string(&settings).map_err(failed)?,
    ))
}

/// `None` for anything [`to_texts`] never wrote. Settings that were not read are the empty text.
pub(super) fn from_texts(recipe: &str, settings: &str) -> Option<Recipe> {
    let sources: Sources = serde_json::from_str(recipe).ok()?;
    let settings: Settings = match settings {
        "" => Settings::default(),
        text => serde_json::from_str(text).ok()?,
    };
    let method = match sources.method.as_str() {
        "" => None,
        word => Some(Method::parse(word)?),
    };
    Some(Recipe {
        method,
        repository: sources.repository,
        branch: sources.branch,
        commit: sources.commit,
        root_directory: sources.root_directory,
        dockerfile: sources.dockerfile,
        prebuilt_image: sources.prebuilt_image,
        registry_url: sources.registry_url,
        build_command: settings.build_command,
        start_command: settings.start_command,
        variables: settings.variables,
        arguments: settings.arguments,
        labels: settings.labels,
    })
}
