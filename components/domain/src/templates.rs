//! Templates: what is deployed often, described once.
//!
//! The catalogue is a part of the program: everybody sees the same, and nobody changes it. A template
//! of a service makes a service that is stopped, like any new one, with the template's commands and
//! variables. A template of a database makes a managed database.
//!
//! A value of a variable that the template calls secret is sealed when it comes in.

pub mod catalogue;

use std::collections::BTreeMap;

use crate::context::Context;
use crate::databases::{self, Database, Engine, NewDatabase, Plan};
use crate::error::{Error, Kind, Result};
use crate::events::Change;
use crate::projects;
use crate::services::build::check_variables;
use crate::services::{self, BuildConfig, NewService, Service, ServiceKind, Source, SourceKind};
use crate::text::Violations;
use crate::time::Timestamp;

pub use catalogue::CATALOGUE;

/// The longest word to filter by.
pub const MAXIMUM_CATEGORY: usize = 64;
/// The longest region of a database.
pub const MAXIMUM_REGION: usize = 64;

/// The plan of a database when none is said.
const DEFAULT_PLAN: &str = "hobby";
/// The region of a database when none is said.
const DEFAULT_REGION: &str = "us-east";

/// Says which image a template runs; not a variable of the service.
pub const IMAGE: &str = "IMAGE";
/// The tag of that image.
pub const TAG: &str = "TAG";
/// Says which repository a template is built from; not a variable of the service.
pub const REPOSITORY: &str = "REPOSITORY";
/// The branch of that repository.
pub const BRANCH: &str = "BRANCH";

/// What is deployed often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Its id, which is not a UUID.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What it is listed under.
    pub category: &'static str,
    /// What it is made of.
    pub config: TemplateConfig,
    /// What may be said when it is deployed, beside any other variable.
    pub variables: &'static [TemplateVariable],
    /// When it came into the catalogue.
    pub created_at: Timestamp,
}

/// What a template is made of. Empty texts are not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateConfig {
    /// What becomes of it.
    pub kind: ServiceKind,
    /// The language, image or engine.
    pub runtime: &'static str,
    /// Replaces the builder's own command.
    pub build_command: &'static str,
    /// Replaces the image's own command.
    pub start_command: &'static str,
    /// Where it answers; zero for what does not.
    pub port: u16,
    /// The path that says whether it works.
    pub health_check: &'static str,
    /// Variables it starts with.
    pub environment: &'static [(&'static str, &'static str)],
}

/// A variable of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateVariable {
    /// Its name.
    pub key: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// What it is when nothing is said; may be empty.
    pub default: &'static str,
    /// Whether it must have a value.
    pub required: bool,
    /// Whether its value must not be seen again.
    pub secret: bool,
    /// What it is for.
    pub description: &'static str,
}

/// What a template is deployed with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TemplateDeployment {
    /// Into which project.
    pub project_id: String,
    /// The name of what is made.
    pub name: String,
    /// The plan of a database; its own default when it is empty.
    pub plan: String,
    /// The region of a database; its own default when it is empty.
    pub region: String,
    /// Values of the template's variables, and further variables. Blank ones are none.
    pub variables: BTreeMap<String, String>,
}

/// What a template became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deployed {
    /// A service, stopped.
    Service(Box<Service>),
    /// A managed database, which is being made.
    Database(Box<Database>),
}

/// The templates of a category, or all of them.
///
/// # Errors
/// `Unauthenticated`; `Invalid`.
pub async fn list(ctx: &Context<'_>, category: Option<&str>) -> Result<Vec<&'static Template>> {
    ctx.user()?;
    let category = category.filter(|category| !category.is_empty());
    let mut violations = Violations::default();
    violations.line("category", category.unwrap_or_default(), MAXIMUM_CATEGORY);
    violations.finish()?;
    let fits = |template: &&Template| category.is_none_or(|category| template.category == category);
    Ok(CATALOGUE.iter().filter(fits).collect())
}

/// The template with this id.
///
/// # Errors
/// `Unauthenticated`; `NotFound`.
pub async fn view(ctx: &Context<'_>, id: &str) -> Result<&'static Template> {
    ctx.user()?;
    let found = CATALOGUE.iter().find(|template| template.id == id);
    found.ok_or_else(|| Error::not_found(Kind::Template, id))
}

/// Makes what a template describes in a project.
///
/// # Errors
/// `Unauthenticated`; `Invalid`; `NotFound` for the template or the project; `MissingVariables`;
/// `Forbidden` for a viewer; `QuotaExceeded` for a full project; `AlreadyExists` when the name is
/// taken.
pub async fn deploy(
    ctx: &Context<'_>,
    id: &str,
    mut deployment: TemplateDeployment,
) -> Result<Deployed> {
    ctx.user()?;
    check(&deployment)?;
    let template = view(ctx, id).await?;
    let values = values(template, std::mem::take(&mut deployment.variables))?;
    match template.config.kind {
        ServiceKind::Database => {
            let database = create_database(ctx, template, deployment, values).await?;
            Ok(Deployed::Database(Box::new(database)))
        }
        ServiceKind::Web | ServiceKind::Worker | ServiceKind::Cron => {
            let (project_id, name) = (&deployment.project_id, deployment.name);
            let service = create_service(ctx, template, project_id, name, values).await?;
            Ok(Deployed::Service(Box::new(service)))
        }
    }
}

async fn create_service(
    ctx: &Context<'_>,
    template: &Template,
    project_id: &str,
    name: String,
    mut values: BTreeMap<String, String>,
) -> Result<Service> {
    let source = source(&mut values);
    let is_secret = |key: &str| template.variables.iter().any(|one| one.key == key && one.secret);
    let (secrets, variables) = values.into_iter().partition(|(key, _)| is_secret(key));
    let config = &template.config;
    let new_service = NewService {
        name,
        kind: config.kind,
        source,
        build: BuildConfig {
            build_command: config.build_command.to_owned(),
            start_command: config.start_command.to_owned(),
            variables,
            ..BuildConfig::default()
        },
        resources: Default::default(),
    };
    let origin =
        Change { field: "template".to_owned(), before: None, after: Some(template.id.to_owned()) };
    services::create_with(ctx, project_id, new_service, secrets, vec![origin]).await
}

/// A managed database belongs to whoever makes it. The project only says that the caller may.
async fn create_database(
    ctx: &Context<'_>,
    template: &Template,
    deployment: TemplateDeployment,
    values: BTreeMap<String, String>,
) -> Result<Database> {
    let or = |text: String, default: &str| match text.is_empty() {
        true => default.to_owned(),
        false => text,
    };
    let engine = Engine::parse(template.config.runtime)
        .ok_or_else(|| Error::internal_fault(format!("{} names no engine", template.id)))?;
    let plan = Plan::parse(&or(deployment.plan, DEFAULT_PLAN))
        .ok_or_else(|| Error::invalid("plan", "must be hobby, starter, standard or business"))?;
    let access = projects::access(ctx, &deployment.project_id).await?;
    projects::require(access.role.may_write(), "a viewer may not create databases")?;
    let new_database = NewDatabase {
        name: deployment.name,
        engine,
        plan,
        region: or(deployment.region, DEFAULT_REGION),
        variables: values,
    };
    databases::create(ctx, new_database).await
}

/// What can be said before the template is known.
fn check(deployment: &TemplateDeployment) -> Result<()> {
    let mut violations = Violations::default();
    violations.name("name", &deployment.name, 1, services::MAXIMUM_NAME);
    violations.require(!deployment.project_id.is_empty(), "project_id", "must not be empty");
    violations.line("region", &deployment.region, MAXIMUM_REGION);
    check_variables("variables", &deployment.variables, &mut violations);
    violations.finish()
}

/// What the template starts with, under the defaults of its variables, under what was given. What is
/// blank in the end is no variable.
fn values(
    template: &Template,
    given: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let own = template.config.environment.iter().copied();
    let defaults = template.variables.iter().map(|variable| (variable.key, variable.default));
    let mut values: BTreeMap<String, String> =
        own.chain(defaults).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    values.extend(given);
    values.retain(|_, value| !value.trim().is_empty());
    let is_missing = |one: &&TemplateVariable| one.required && !values.contains_key(one.key);
    let missing: Vec<&str> =
        template.variables.iter().filter(is_missing).map(|one| one.key).collect();
    if missing.is_empty() { Ok(values) } else { Err(Error::MissingVariables(missing)) }
}

/// Takes what says where the service comes from out of the values.
fn source(values: &mut BTreeMap<String, String>) -> Source {
    let mut take = |key| values.remove(key).map(|value| value.trim().to_owned());
    let (image, tag) = (take(IMAGE), take(TAG));
    let (repository, branch) = (take(REPOSITORY), take(BRANCH));
    if let Some(image) = image {
        let image = tag.map_or(image.clone(), |tag| tagged(&image, &tag));
        return Source { kind: Some(SourceKind::Image), image, ..Source::default() };
    }
    Source {
        kind: repository.is_some().then_some(SourceKind::Git),
        repository: repository.unwrap_or_default(),
        branch: branch.unwrap_or_default(),
        ..Source::default()
    }
}

/// An image that names a tag or its content already stays as it is.
fn tagged(image: &str, tag: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:{tag}") }
}

#[cfg(test)]
mod tests;
