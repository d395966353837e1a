//! What a container may be: the whole of what is asked of the engine, in one place.
//!
//! What cannot be said here cannot be had: no path of the host, no device, no privileges, and none of
//! the host's namespaces.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, ImageConfig, Mount,
    MountType, NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use super::names::Installation;
use crate::driver::{Error, Kind, Volume, Workload};
use crate::job::Job;

/// The port of what says nothing about it.
const DEFAULT_PORT: u16 = 8_080;
/// The variable that tells a program on which port it is reached.
const PORT_VARIABLE: &str = "PORT";
/// Processes and threads of one container: many for a server, few for one that makes them without
/// end.
const PROCESSES: i64 = 1_024;
/// The least memory of a container, in bytes: the engine starts nothing with less.
const LEAST_MEMORY: u64 = 6 * 1_048_576;
/// Processor time of a job, in thousandths of a core: it must not take the machine from what serves.
const JOB_CPU_MILLIS: u32 = 1_000;
/// What root inside may still do. An entry point prepares its directories (`CHOWN`, `DAC_OVERRIDE`,
/// `FOWNER`), becomes another user (`SETUID`, `SETGID`), listens below 1024 (`NET_BIND_SERVICE`) and
/// ends what it started under that user (`KILL`). The engine's default has more: raw sockets, with
/// which neighbours on a network could be impersonated, device files, and changes of capabilities.
const CAPABILITIES: [&str; 7] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

/// The port inside that is reached from outside; 0 for what is not.
///
/// A workload's own word comes first, then its variable `PORT`, then the image where it names
/// exactly one, then 8080.
pub(super) fn port(workload: &Workload, image: Option<&ImageConfig>) -> Result<u16, Error> {
    if !matches!(workload.kind, Kind::Web | Kind::Database) {
        return Ok(0);
    }
    if workload.port != 0 {
        return Ok(workload.port);
    }
    if let Some((_, text)) = workload.variables.iter().find(|(name, _)| name == PORT_VARIABLE) {
        let port = text.parse().ok().filter(|port| *port != 0);
        return port.ok_or_else(|| {
            Error::Invalid(format!("the variable {PORT_VARIABLE} is {text:?}: use 1 to 65535"))
        });
    }
    let named = image.and_then(|image| image.exposed_ports.as_ref());
    let mut ports = named.into_iter().flatten().filter_map(|port| port.strip_suffix("/tcp"));
    Ok(match (ports.next(), ports.next()) {
        (Some(only), None) => only.parse().unwrap_or(DEFAULT_PORT),
        _ => DEFAULT_PORT,
    })
}

/// The container of a workload.
pub(super) fn of_workload(
    ours: &Installation,
    workload: &Workload,
    image_id: &str,
    port: u16,
) -> Result<ContainerCreateBody, Error> {
    let mut variables = workload.variables.clone();
    if workload.kind == Kind::Web && variables.iter().all(|(name, _)| name != PORT_VARIABLE) {
        variables.push((PORT_VARIABLE.to_owned(), port.to_string()));
    }
    let limits = (workload.cpu_millis, workload.memory_bytes);
    let network = ours.network(&workload.network)?;
    let mut host = host_config(ours, &network, &workload.volumes, limits)?;
    if workload.kind != Kind::Cron {
        // The engine sees to it, so that a workload needs nobody to live on.
        host.restart_policy = Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        });
    }
    let inside = format!("{port}/tcp");
    if port != 0 {
        let loopback =
            PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
        host.port_bindings = Some(HashMap::from([(inside.clone(), Some(vec![loopback]))]));
    }
    Ok(ContainerCreateBody {
        image: Some(image_id.to_owned()),
        cmd: (!workload.command.is_empty()).then(|| workload.command.clone()),
        env: Some(environment(&variables)),
        exposed_ports: (port != 0).then(|| vec![inside]),
        labels: Some(ours.container_labels(workload, port)),
        host_config: Some(host),
        networking_config: Some(on_network(network, Some(&workload.name))),
        ..ContainerCreateBody::default()
    })
}

/// The container of a job. Its program is run as it is, without the image's entry point.
pub(super) fn of_job(
    ours: &Installation,
    job: &Job,
    image_id: &str,
) -> Result<ContainerCreateBody, Error> {
    let Some((program, arguments)) = job.command.split_first() else {
        return Err(Error::Invalid("a job needs a command".to_owned()));
    };
    let network = ours.network(&job.network)?;
    let limits = (JOB_CPU_MILLIS, job.memory_bytes);
    Ok(ContainerCreateBody {
        image: Some(image_id.to_owned()),
        entrypoint: Some(vec![program.clone()]),
        cmd: Some(arguments.to_vec()),
        env: Some(environment(&job.variables)),
        attach_stdin: Some(job.input.is_some()),
        open_stdin: Some(job.input.is_some()),
        stdin_once: Some(job.input.is_some()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        labels: Some(ours.job_labels(job.id, &job.network)),
        host_config: Some(HostConfig {
            // What it writes goes to whoever is attached, and must not fill the disk twice.
            log_config: Some(log("none", &[])),
            ..host_config(ours, &network, &job.volumes, limits)?
        }),
        networking_config: Some(on_network(network, None)),
        ..ContainerCreateBody::default()
    })
}

fn host_config(
    ours: &Installation,
    network: &str,
    volumes: &[Volume],
    (cpu_millis, memory_bytes): (u32, u64),
) -> Result<HostConfig, Error> {
    let memory = i64::try_from(memory_bytes.max(LEAST_MEMORY)).unwrap_or(i64::MAX);
    let mounts: Result<Vec<Mount>, Error> =
        volumes.iter().map(|volume| mount(ours, volume)).collect();
    Ok(HostConfig {
        network_mode: Some(network.to_owned()),
        mounts: Some(mounts?),
        memory: Some(memory),
        // The same again: swap would let it take what it was not given.
        memory_swap: Some(memory),
        nano_cpus: Some(i64::from(cpu_millis.max(1)) * 1_000_000),
        pids_limit: Some(PROCESSES),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        log_config: Some(log("json-file", &[("max-size", "10m"), ("max-file", "2")])),
        ..HostConfig::default()
    })
}

fn mount(ours: &Installation, volume: &Volume) -> Result<Mount, Error> {
    let path = &volume.path;
    if !path.starts_with('/') || path.split('/').any(|segment| segment == "..") || path == "/" {
        return Err(Error::Invalid(format!(
            "the volume {} is at {path:?}: use an absolute path below the root",
            volume.name
        )));
    }
    Ok(Mount {
        target: Some(path.clone()),
        source: Some(ours.volume(&volume.name)?),
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    })
}

fn on_network(network: String, alias: Option<&str>) -> NetworkingConfig {
    let endpoint = EndpointSettings {
        aliases: alias.map(|alias| vec![alias.to_owned()]),
        ..EndpointSettings::default()
    };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network, endpoint)])) }
}

fn environment(variables: &[(String, String)]) -> Vec<String> {
    variables.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn log(driver: &str, options: &[(&str, &str)]) -> HostConfigLogConfig {
    let option = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    HostConfigLogConfig {
        typ: Some(driver.to_owned()),
        config: Some(options.iter().map(option).collect()),
    }
}
