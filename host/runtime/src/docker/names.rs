//! How what is ours is told from everything else on the same engine: by labels, and by names that
//! carry the installation.
//!
//! Labels say whose something is and what the driver must know of it after a restart; names only
//! keep it apart. What has our name and not our label is somebody else's.

use std::collections::HashMap;

use crate::driver::{Error, Health, Kind, Volume, Workload, WorkloadId};

/// The label with the id of the installation; on everything that is ours.
const INSTALLATION: &str = "windlass.installation";
/// The label with the id of the workload a container carries.
const WORKLOAD: &str = "windlass.workload";
/// The label with the id of the job a container carries.
const JOB: &str = "windlass.job";
/// The label with the service or database a container belongs to; for people.
const SERVICE: &str = "windlass.service";
const KIND: &str = "windlass.kind";
const NETWORK: &str = "windlass.network";
const VOLUME: &str = "windlass.volume";
const HEALTH: &str = "windlass.health";
const SCHEDULE: &str = "windlass.schedule";
const PORT: &str = "windlass.port";
/// Hexadecimal digits of the installation in names.
const SHORT: usize = 8;
/// Characters of the name of a volume or a network.
const NAME_LENGTH: usize = 100;

/// One control plane among those that may share an engine.
pub(super) struct Installation {
    id: String,
}

/// What the labels of a container say of its workload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: WorkloadId,
    pub(super) kind: Kind,
    pub(super) network: String,
    pub(super) health: Health,
    pub(super) schedule: String,
    /// The port inside that is published; 0 for none.
    pub(super) port: u16,
}

type Labels = HashMap<String, String>;

impl Installation {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    pub(super) fn container(&self, id: WorkloadId) -> String {
        format!("{}-{id}", self.prefix())
    }

    pub(super) fn job(&self, id: WorkloadId) -> String {
        format!("{}-job-{id}", self.prefix())
    }

    pub(super) fn network(&self, network: &str) -> Result<String, Error> {
        check("network", network)?;
        Ok(format!("{}-{network}", self.prefix()))
    }

    pub(super) fn volume(&self, volume: &str) -> Result<String, Error> {
        check("volume", volume)?;
        Ok(format!("{}-{volume}", self.prefix()))
    }

    fn prefix(&self) -> String {
        let digits = self.id.chars().filter(char::is_ascii_hexdigit).take(SHORT);
        format!("windlass-{}", digits.collect::<String>())
    }

    /// Whether something with these labels is ours.
    pub(super) fn owns(&self, labels: Option<&Labels>) -> bool {
        labels.and_then(|labels| labels.get(INSTALLATION)) == Some(&self.id)
    }

    /// Refuses what is not ours.
    pub(super) fn check_owns(&self, name: &str, labels: Option<&Labels>) -> Result<(), Error> {
        let foreign = || {
            Error::Conflict(format!(
                "something on this host's Docker is named {name} and is not of this installation; \
                 the operator has to rename or remove it"
            ))
        };
        self.owns(labels).then_some(()).ok_or_else(foreign)
    }

    /// Filters for everything that is ours and has a label.
    fn filter(&self, label: String) -> HashMap<String, Vec<String>> {
        let ours = format!("{INSTALLATION}={}", self.id);
        HashMap::from([("label".to_owned(), vec![ours, label])])
    }

    /// Filters for the containers of workloads.
    pub(super) fn workloads(&self) -> HashMap<String, Vec<String>> {
        self.filter(WORKLOAD.to_owned())
    }

    /// Filters for all containers on a network, by whatever brought them there.
    pub(super) fn on_network(&self, network: &str) -> HashMap<String, Vec<String>> {
        self.filter(format!("{NETWORK}={network}"))
    }

    /// Filters for volumes.
    pub(super) fn volumes(&self) -> HashMap<String, Vec<String>> {
        self.filter(VOLUME.to_owned())
    }

    pub(super) fn volume_labels(&self, volume: &Volume) -> Labels {
        self.labels([(VOLUME, volume.name.clone())])
    }

    pub(super) fn network_labels(&self, network: &str) -> Labels {
        self.labels([(NETWORK, network.to_owned())])
    }

    pub(super) fn job_labels(&self, id: WorkloadId, network: &str) -> Labels {
        self.labels([(JOB, id.to_string()), (NETWORK, network.to_owned())])
    }

    pub(super) fn container_labels(&self, workload: &Workload, port: u16) -> Labels {
        let health = match &workload.health {
            Health::Http => "http".to_owned(),
            Health::Unasked => "unasked".to_owned(),
            Health::Command(command) => serde_json::json!(command).to_string(),
        };
        self.labels([
            (WORKLOAD, workload.id.to_string()),
            (SERVICE, workload.service.clone()),
            (KIND, workload.kind.as_str().to_owned()),
            (NETWORK, workload.network.clone()),
            (HEALTH, health),
            (SCHEDULE, workload.schedule.clone()),
            (PORT, port.to_string()),
        ])
    }

    fn labels<const N: usize>(&self, more: [(&str, String); N]) -> Labels {
        let ours = [(INSTALLATION, self.id.clone())];
        ours.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The name of a volume, by its labels.
pub(super) fn volume_name(labels: &Labels) -> Option<String> {
    labels.get(VOLUME).cloned()
}

/// What labels say of a workload; `None` when they were not written by this driver.
pub(super) fn known(labels: &Labels) -> Option<Known> {
    let label = |name: &str| labels.get(name).map(String::as_str);
    Some(Known {
        id: WorkloadId::parse(label(WORKLOAD)?).ok()?,
        kind: match label(KIND)? {
            "web" => Kind::Web,
            "worker" => Kind::Worker,
            "cron" => Kind::Cron,
            "database" => Kind::Database,
            _ => return None,
        },
        network: label(NETWORK)?.to_owned(),
        health: match label(HEALTH)? {
            "http" => Health::Http,
            "unasked" => Health::Unasked,
            command => Health::Command(serde_json::from_str(command).ok()?),
        },
        schedule: label(SCHEDULE)?.to_owned(),
        port: label(PORT)?.parse().ok()?,
    })
}

/// `^[A-Za-z0-9][A-Za-z0-9-]*$`, so that a name is one segment of a path and of nothing more.
fn check(what: &str, name: &str) -> Result<(), Error> {
    let fits = name.len() <= NAME_LENGTH
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let wrong = || {
        Error::Invalid(format!(
            "{name:?} is no name of a {what}: use up to {NAME_LENGTH} letters, digits and hyphens"
        ))
    };
    fits.then_some(()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn workload(health: Health) -> Workload {
        Workload {
            id: WorkloadId::parse("00000000-0000-7000-8000-000000000001").unwrap(),
            service: "service-1".to_owned(),
            name: "web".to_owned(),
            network: "project-1".to_owned(),
            kind: Kind::Database,
            image: String::new(),
            command: Vec::new(),
            variables: Vec::new(),
            cpu_millis: 0,
            memory_bytes: 0,
            schedule: "0 * * * *".to_owned(),
            volumes: Vec::new(),
            health,
            port: 0,
        }
    }

    #[test]
    fn what_must_be_known_after_a_restart_stands_in_labels() {
        let ours = Installation::new("12345678-aaaa");
        let command = Health::Command(vec!["pg_isready".to_owned(), "-q \"x\"".to_owned()]);
        for health in [Health::Http, Health::Unasked, command] {
            let workload = workload(health.clone());
            let labels = ours.container_labels(&workload, 5_432);
            assert!(ours.owns(Some(&labels)));
            let expected = Known {
                id: workload.id,
                kind: Kind::Database,
                network: "project-1".to_owned(),
                health,
                schedule: "0 * * * *".to_owned(),
                port: 5_432,
            };
            assert_eq!(known(&labels), Some(expected));
        }
    }

    #[test]
    fn what_another_installation_made_is_not_ours() {
        let ours = Installation::new("12345678-aaaa");
        let others = Installation::new("12345678-bbbb");
        let labels = others.network_labels("project-1");
        assert!(!ours.owns(Some(&labels)) && !ours.owns(None));
        assert!(!ours.owns(Some(&HashMap::new())));
        let refused = ours.check_owns("windlass-12345678-project-1", Some(&labels)).unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    }

    #[test]
    fn names_are_one_segment_and_nothing_more() {
        let ours = Installation::new("12345678-aaaa");
        assert_eq!(ours.volume("data-1").unwrap(), "windlass-12345678-data-1");
        for name in ["", "a/b", "..", "-a", "/etc", "a b", "a?force=1", &"a".repeat(101)] {
            assert!(ours.volume(name).is_err() && ours.network(name).is_err(), "{name}");
        }
    }
}
