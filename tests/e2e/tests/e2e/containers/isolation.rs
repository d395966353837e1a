//! What separates containers: from those of other projects, from the machine, and from what somebody
//! else runs on the same engine.

use serde_json::json;
use windlass_harness::{Database, DockerEngine};

use super::{containers, make_app, start};
use crate::check::eventually;
use crate::deployments::Tenant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_a_project_reach_each_other_by_name_and_nobody_elses() {
    let engine = DockerEngine::start();
    make_app(&engine, "shop:1", "blue");
    let server = start(&engine, Database::Sqlite);
    let one = Tenant::new(&server, "One").await;
    let other = Tenant::new(&server, "Other").await;
    for (tenant, name) in [(&one, "backend"), (&one, "frontend"), (&other, "stranger")] {
        let service = tenant.service(name, "web", "shop:1").await;
        tenant.deploy(&service).await;
    }
    let container = |name: &str| {
        let found = engine.run(&["ps", "--quiet", "--filter", &format!("network={name}")]);
        found.lines().next().map(str::to_owned)
    };
    let network = |tenant: &Tenant| {
        let label = format!("label=windlass.network={}", tenant.project);
        engine.run(&["network", "ls", "--quiet", "--filter", &label])
    };
    let (ours, theirs) = (network(&one), network(&other));
    let inside = container(&ours).expect("it is on its network");
    let look_up = |name: &str| {
        let script = format!("nslookup {name} | sed -n 's/^Address: *\\([0-9.]*\\)$/\\1/p'");
        engine.run(&["exec", &inside, "sh", "-c", &script])
    };
    let fetch = |address: &str| {
        let request = r"GET / HTTP/1.0\r\n\r\n";
        let script = format!(
            "answer=$(printf '{request}' | nc -w 3 {address} 8080); \
             echo \"${{answer:-unreachable}}\" | sed -n '$p'"
        );
        engine.run(&["exec", &inside, "sh", "-c", &script])
    };
    for name in ["backend", "frontend"] {
        let address = look_up(name);
        assert_eq!(fetch(&address), "blue", "{name} is a neighbour, at {address:?}");
    }
    assert_eq!(look_up("stranger"), "", "it has no such name here");
    let stranger = container(&theirs).expect("it is on its network");
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = engine.run(&["inspect", "--format", format, &stranger]);
    assert_eq!(fetch(&address), "unreachable", "nor by address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_has_no_more_than_it_was_given() {
    let engine = DockerEngine::start();
    make_app(&engine, "shop:1", "blue");
    // Somebody else's, under a name and with labels that could be taken for ours.
    engine.run(&[
        "run",
        "--detach",
        "--network=none",
        "--name=windlass-0-somebody",
        "--label=windlass.installation=another",
        "--label=windlass.workload=0190b5a4-7c3e-7d2f-8a1b-00ff12345678",
        "shop:1",
        "sleep",
        "1000",
    ]);
    let server = start(&engine, Database::Sqlite);
    let tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant
        .service_with(&json!({
            "name": "web",
            "type": "web",
            "source": {"type": "image", "image": "shop:1"},
            "resources": {"cpu": "250m", "memory": "64Mi"},
        }))
        .await;
    let deployment = tenant.deploy(&service).await;
    let id = engine.run(&["ps", "--quiet", "--filter", &format!("name={deployment}")]);
    let said = |format: &str| engine.run(&["inspect", "--format", format, &id]);
    assert_eq!(said("{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}"), "67108864 67108864");
    assert_eq!(said("{{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}"), "250000000 1024");
    assert_eq!(said("{{.HostConfig.Privileged}} {{.HostConfig.Binds}}"), "false []");
    assert_eq!(said("{{.HostConfig.CapDrop}} {{.HostConfig.PidMode}}"), "[ALL]");
    assert_eq!(said("{{.HostConfig.SecurityOpt}}"), "[no-new-privileges:true]");
    assert_eq!(said("{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");
    let published = said("{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}}{{end}}{{end}}");
    assert_eq!(published, "127.0.0.1", "nobody outside reaches it past the ingress");
    let privileges = engine.run(&["exec", &id, "cat", "/proc/1/status"]);
    let line = |name: &str| {
        let line = privileges.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().last().unwrap_or_default().to_owned()
    };
    // CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID and NET_BIND_SERVICE.
    assert_eq!((line("CapBnd:").as_str(), line("NoNewPrivs:").as_str()), ("00000000000004eb", "1"));

    let path = format!("/api/v1/services/{service}");
    tenant.client().delete(&path).await.expect(204);
    let only_theirs = async || containers(&engine) == ["windlass-0-somebody running"];
    eventually("the end of our container, and of nobody else's", only_theirs).await;
    let networks = async || {
        engine.run(&["network", "ls", "--quiet", "--filter", "label=windlass.network"]).is_empty()
    };
    eventually("the end of a network that nobody is on", networks).await;
}
