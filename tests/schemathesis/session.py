"""Starts a server, makes a user, and lets Schemathesis loose on it.

Fails on every answer of 5xx and on every difference between an answer and the document. The seed
and the number of cases are fixed, so that a failure can be had again.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = "60"
SEED = "20260101"
PASSWORD = "correct horse battery"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="windlass-schemathesis-") as data:
        log_file = pathlib.Path(data, "server.log")
        with log_file.open("wb") as log:
            server, base = start(data, log)
            try:
                status = examine(base)
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
    arguments = ["serve", "--listen", "127.0.0.1:0", "--manage", "127.0.0.1:0", "--data-dir", data]
    server = subprocess.Popen(
        [ROOT / "target/debug/windlass", *arguments, "--manifest", ROOT / "spin.toml"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
    )
    for line in server.stdout:
        if line.startswith("listening on "):
            return server, line.removeprefix("listening on ").strip()
    sys.exit(f"the server ended with {server.wait()}: {pathlib.Path(log.name).read_text()}")


def examine(base: str) -> int:
    """Runs Schemathesis as a user who has something; answers its exit status."""
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
            "run", f"{base}/openapi.json", "--checks", "all", "--header", authorization,
            "--max-examples", EXAMPLES, "--seed", SEED, "--generation-deterministic",
            "--generation-database", "none", "--workers", "1", "--no-color", *sys.argv[1:],
        ],
        cwd=ROOT, check=False,
    ).returncode


sys.exit(main())
