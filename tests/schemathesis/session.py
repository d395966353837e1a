"""Starts a server, makes a user, and lets Schemathesis loose on it.

Fails on every answer of 5xx and on every difference between an answer and the document. The seed
and the number of cases are fixed, so that a failure can be had again.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = "100"
SEED = "20260101"
VARIABLE = "^[A-Za-z_][A-Za-z0-9_]{0,254}$"
VARIABLES = [("BuildConfig", "environment_variables"), ("CreateDeploymentRequest", "env_vars"),
             ("DeployTemplateRequest", "variables")]
PASSWORD = "correct horse battery"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="windlass-schemathesis-") as data:
        log_file = pathlib.Path(data, "server.log")
        with log_file.open("wb") as log:
            # A directory of its own: the host takes none that others keep files in.
            server, base = start(os.path.join(data, "data"), log)
            try:
                status = examine(base, data)
            finally:
                server.send_signal(signal.SIGTERM)
                ended = server.wait(timeout=60)
        if status != 0 or ended != 0:
            lines = log_file.read_text(errors="replace").splitlines()
            serious = [line for line in lines if "ERROR" in line or "panicked" in line]
            print(f"the server ended with {ended}; what it logged as errors:", *serious[-20:], sep="\n")
        return status or ended


def start(data: str, log) -> tuple[subprocess.Popen, str]:
    """The server, and where it listens."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WINDLASS_")}
    environment |= git_providers()
    arguments = ["serve", "--listen", "127.0.0.1:0", "--manage", "127.0.0.1:0", "--data-dir", data]
    server = subprocess.Popen(
        [ROOT / "target/debug/windlass", *arguments, "--manifest", ROOT / "spin.toml"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
    )
    for line in server.stdout:
        if line.startswith("listening on "):
            return server, line.removeprefix("listening on ").strip()
    sys.exit(f"the server ended with {server.wait()}: {pathlib.Path(log.name).read_text()}")


class RefusesTokens(BaseHTTPRequestHandler):
    """A git provider that knows no token: a run reaches nobody outside."""

    def do_GET(self) -> None:  # noqa: N802 (the name is the library's)
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def git_providers() -> dict[str, str]:
    """What makes a server ask a git provider of ours."""
    provider = ThreadingHTTPServer(("127.0.0.1", 0), RefusesTokens)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{provider.server_port}"
    keys = ["GITHUB", "GITLAB", "BITBUCKET"]
    allowed = {"WINDLASS_OUTBOUND_ALLOW": '["127.0.0.1"]'}
    return {f"WINDLASS_GIT_{key}_URL": url for key in keys} | allowed


def examine(base: str, data: str) -> int:
    """Runs Schemathesis as a registered user; answers its exit status."""
    api = f"{base}/api/v1"
    user = {"email": "schemathesis@example.test", "password": PASSWORD, "name": "Schemathesis"}
    requests.post(f"{api}/auth/register", json=user, timeout=30).raise_for_status()
    session = requests.post(f"{api}/auth/login", json=user, timeout=30)
    session.raise_for_status()
    authorization = f"Authorization: Bearer {session.json()['token']}"
    return subprocess.run(
        [
            pathlib.Path(sys.executable).parent / "schemathesis",
            "--config-file", ROOT / "tests/schemathesis/schemathesis.toml",
            "run", document(base, data), "--url", base, "--checks", "all", "--header", authorization,
            "--max-examples", EXAMPLES, "--seed", SEED, "--generation-database", "none",
            "--workers", "1", "--no-color", *sys.argv[1:],
        ],
        # What it remembers of a run stays out of the next one.
        cwd=data, check=False,
    ).returncode


def document(base: str, data: str) -> pathlib.Path:
    """The served document, with what it says in words only because OpenAPI 3.0 has no word for it:
    what the names in a map look like."""
    served = requests.get(f"{base}/openapi.json", timeout=30)
    served.raise_for_status()
    content = served.json()
    for schema, name in VARIABLES:
        variables = content["components"]["schemas"][schema]["properties"][name]
        values = variables.pop("additionalProperties")
        variables |= {"patternProperties": {VARIABLE: values}, "additionalProperties": False}
    file = pathlib.Path(data, "openapi.json")
    file.write_text(json.dumps(content))
    return file


sys.exit(main())
