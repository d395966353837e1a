//! `ServiceTemplate` and what belongs to it.

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use windlass_domain::ids::{DatabaseId, ServiceId};
use windlass_domain::templates::{Deployed, Template, TemplateConfig, TemplateVariable};

use super::{Text, Time};

/// `{templates}`.
#[derive(Serialize)]
pub struct TemplatesView {
    templates: Vec<ServiceTemplateView>,
}

impl TemplatesView {
    /// These, in their order.
    pub fn new(templates: &[&Template]) -> Self {
        Self { templates: templates.iter().map(|template| (*template).into()).collect() }
    }
}

/// `ServiceTemplate`.
#[derive(Serialize)]
pub struct ServiceTemplateView {
    id: &'static str,
    name: &'static str,
    description: &'static str,
    category: &'static str,
    /// There are no pictures: they would have to be fetched from somewhere.
    logo: &'static str,
    config: Document<TemplateConfigView>,
    variables: Document<Vec<TemplateVariableView>>,
    is_official: bool,
    created_at: Time,
    updated_at: Time,
}

impl From<&Template> for ServiceTemplateView {
    fn from(template: &Template) -> Self {
        Self {
            id: template.id,
            name: template.name,
            description: template.description,
            category: template.category,
            logo: "",
            config: Document((&template.config).into()),
            variables: Document(variables(template)),
            is_official: true,
            created_at: Time(template.created_at),
            updated_at: Time(template.created_at),
        }
    }
}

/// `TemplateDetailResponse`.
#[derive(Serialize)]
pub struct TemplateDetailView {
    template: ServiceTemplateView,
    config: TemplateConfigView,
    variables: Vec<TemplateVariableView>,
}

impl From<&Template> for TemplateDetailView {
    fn from(template: &Template) -> Self {
        Self {
            template: template.into(),
            config: (&template.config).into(),
            variables: variables(template),
        }
    }
}

fn variables(template: &Template) -> Vec<TemplateVariableView> {
    template.variables.iter().map(TemplateVariableView::from).collect()
}

/// `TemplateConfig`.
#[derive(Serialize)]
pub(super) struct TemplateConfigView {
    #[serde(rename = "type")]
    kind: &'static str,
    runtime: &'static str,
    build_command: &'static str,
    start_command: &'static str,
    port: u16,
    health_check: &'static str,
    environment: Pairs,
    dockerfile: &'static str,
    nixpacks_config: Pairs,
}

impl From<&TemplateConfig> for TemplateConfigView {
    fn from(config: &TemplateConfig) -> Self {
        Self {
            kind: config.kind.as_str(),
            runtime: config.runtime,
            build_command: config.build_command,
            start_command: config.start_command,
            port: config.port,
            health_check: config.health_check,
            environment: Pairs(config.environment),
            dockerfile: "",
            nixpacks_config: Pairs(&[]),
        }
    }
}

/// `TemplateVariable`.
#[derive(Serialize)]
pub(super) struct TemplateVariableView {
    key: &'static str,
    label: &'static str,
    default: &'static str,
    required: bool,
    secret: bool,
    description: &'static str,
}

impl From<&TemplateVariable> for TemplateVariableView {
    fn from(variable: &TemplateVariable) -> Self {
        Self {
            key: variable.key,
            label: variable.label,
            default: variable.default,
            required: variable.required,
            secret: variable.secret,
            description: variable.description,
        }
    }
}

/// `DeployTemplateResponse`.
#[derive(Serialize)]
pub struct DeployTemplateView {
    resource: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_id: Option<Text<ServiceId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_id: Option<Text<DatabaseId>>,
    message: &'static str,
}

impl From<&Deployed> for DeployTemplateView {
    fn from(deployed: &Deployed) -> Self {
        match deployed {
            Deployed::Service(service) => Self {
                resource: "service",
                service_id: Some(Text(service.id)),
                database_id: None,
                message: "the service was created; deploy it to start it",
            },
            Deployed::Database(database) => Self {
                resource: "database",
                service_id: None,
                database_id: Some(Text(database.id)),
                message: "the database is being made",
            },
        }
    }
}

/// A JSON document inside of a text.
struct Document<T>(T);

impl<T: Serialize> Serialize for Document<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

/// Names and values.
struct Pairs(&'static [(&'static str, &'static str)]);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
