//! Containers do not depend on the host: it may be killed at any moment, and finds them again. Nor
//! does the host depend on their engine.

use std::time::Duration;

use windlass_harness::{Account, Database, DockerEngine, Server};

use super::{containers, make_app, start};
use crate::check::{eventually, text};
use crate::deployments::{Tenant, push};

const HOST: &str = "web-harbour.localhost";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_outlive_kills_of_the_host_and_none_is_lost_or_there_twice() {
    let engine = DockerEngine::start();
    make_app(&engine, "shop:1", "blue");
    let mut server = start(&engine, Database::Sqlite);
    let mut tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant.service("web", "web", "shop:1").await;
    tenant.deploy(&service).await;
    let before = started_at(&engine);
    server.visitor(HOST).get("/cgi-bin/say?before").await.expect(200);
    let said = ("stderr".to_owned(), "said before".to_owned());
    let read = async || tenant.lines(&service).await.contains(&said);
    eventually("the line in the log", read).await;

    server.kill();
    assert_eq!(started_at(&engine), before, "it goes on without the host");
    restart(&mut server, &mut tenant).await;
    let served = async || server.visitor(HOST).get("/").await.text().trim() == "blue";
    eventually("what was live before the kill", served).await;
    assert_eq!(started_at(&engine), before, "nothing was started again");
    server.visitor(HOST).get("/cgi-bin/say?after").await.expect(200);
    let after = ("stderr".to_owned(), "said after".to_owned());
    let read = async || tenant.lines(&service).await.contains(&after);
    eventually("what it wrote after the kill", read).await;
    let lines = tenant.lines(&service).await;
    for line in ["up as blue", "said before", "said after"] {
        let times = lines.iter().filter(|(_, message)| message == line).count();
        assert_eq!(times, 1, "{line} is in the log once: {lines:?}");
    }

    // A deployment takes some tenths of a second, so that these fall on different steps.
    for (milliseconds, version) in [(0, "green"), (150, "lime"), (400, "olive"), (900, "teal")] {
        make_app(&engine, "shop:1", version);
        let next = tenant.ask(&service).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        server.kill();
        restart(&mut server, &mut tenant).await;
        assert_eq!(tenant.ended(&next).await["status"], "deployed", "after {milliseconds} ms");
        let served = async || server.visitor(HOST).get("/").await.text().trim() == version;
        eventually("the new release", served).await;
        let only_it = async || {
            let found = containers(&engine);
            found.len() == 1 && found[0].contains(&next) && found[0].ends_with("running")
        };
        eventually("one container, of the new release", only_it).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_down_costs_no_release_and_no_component() {
    let mut engine = DockerEngine::start();
    make_app(&engine, "shop:1", "blue");
    let server = start(&engine, Database::Sqlite);
    let component = push(&server, "other:1", "workload_green").await;
    let tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant.service("web", "web", "shop:1").await;
    tenant.deploy(&service).await;

    engine.pause();
    let asked = tenant.ask(&service).await;
    let tried = async || {
        let found = tenant.deployment(&asked).await;
        text(&found, "build_log").contains("trying again: Docker does not answer")
    };
    eventually("a deployment that waits for the engine", tried).await;
    let down = server.visitor(HOST).get("/").await.expect(502);
    assert_eq!(down.json()["code"], "bad_gateway");
    let other = tenant.service("other", "web", &component).await;
    tenant.deploy(&other).await;
    let host = "other-harbour.localhost";
    assert_eq!(server.visitor(host).get("/").await.expect(200).text(), "green");

    engine.resume();
    let served = async || server.visitor(HOST).get("/").await.text().trim() == "blue";
    eventually("the release from before", served).await;
    let ended = tenant.ended(&asked).await;
    assert_eq!(ended["status"], "deployed", "what was asked for is carried out: {ended}");
}

/// When the one container was started.
fn started_at(engine: &DockerEngine) -> String {
    let id = engine.run(&["ps", "--quiet"]);
    assert_eq!(id.lines().count(), 1, "one container runs: {id}");
    engine.run(&["inspect", "--format", "{{.State.StartedAt}} {{.RestartCount}}", &id])
}

/// The power comes back. Tokens outlive it; ports do not.
async fn restart(server: &mut Server, tenant: &mut Tenant) {
    server.restart();
    tenant.account = Account::login(&server.client(), &tenant.account.email).await;
}
