//! Services that run as containers, on a Docker engine of the test's own.

mod crashes;
mod isolation;
mod registry;
mod story;

use windlass_harness::{Database, DockerEngine, Server, ServerOptions, TestImage};

/// Says what it is, on both outputs and to visitors, and serves files on the port it is told.
const APP: &str = r#"#!/bin/sh
mkdir -p /tmp/www/cgi-bin
echo "$VERSION $COLOUR" > /tmp/www/index.html
printf '#!/bin/sh\necho "said $QUERY_STRING" >&2\nprintf "content-type: text/plain\\r\\n\\r\\n"\nenv\n' \
    > /tmp/www/cgi-bin/say
chmod 755 /tmp/www/cgi-bin/say
echo "up as $VERSION"
echo "listening on $PORT" >&2
exec httpd -f -p "$PORT" -h /tmp/www
"#;

/// Makes an image that serves as this version.
fn make_app(engine: &DockerEngine, name: &str, version: &str) {
    let version = format!("ENV VERSION={version}");
    engine.make_image(&TestImage {
        name,
        files: &[("/app", APP, true)],
        changes: &[r#"CMD ["/app"]"#, "ENV PATH=/bin", &version],
    });
}

/// Makes an image that ends right after it said why.
fn make_broken(engine: &DockerEngine, name: &str) {
    engine.make_image(&TestImage {
        name,
        files: &[("/app", "#!/bin/sh\necho 'there is no database' >&2\nexit 3\n", true)],
        changes: &[r#"CMD ["/app"]"#, "ENV PATH=/bin"],
    });
}

/// A host over this engine.
fn start(engine: &DockerEngine, database: Database) -> Server {
    let environment = vec![("WINDLASS_DOCKER_HOST".to_owned(), engine.host())];
    Server::start_with(ServerOptions { environment, ..ServerOptions::on(database) })
}

/// The ids of the containers of this engine, with how each is doing, in order.
fn containers(engine: &DockerEngine) -> Vec<String> {
    let listed = engine.run(&["ps", "--all", "--no-trunc", "--format", "{{.Names}} {{.State}}"]);
    let mut found: Vec<String> = listed.lines().map(str::to_owned).collect();
    found.sort_unstable();
    found
}
