#!/usr/bin/env python3
"""Starts the LangGraph Python server for this folder's graph (or --project's) and says when it answers: without auth, or with the handler that
--auth FILE holds as `auth`. What stands beside that file is copied with it.

The server writes its state into the project folder, so it gets a fresh temporary copy each time: the repository stays clean and
every start is an empty server.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
# A cold start on two busy cores takes about ten seconds.
START_SECONDS_MAX = 120
END_SECONDS_MAX = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ok", timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


def stop(*_: object) -> None:
    raise SystemExit(0)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--auth", type=Path)
    parser.add_argument("--project", type=Path, default=HERE, help="another folder with langgraph.json and its .py files")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    port = options.port or free_port()
    url = f"http://{HOST}:{port}"
    python = os.environ.get("POSTERN_PYTHON", sys.executable)

    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, stop)
    with tempfile.TemporaryDirectory(prefix="postern-agent-python-", ignore_cleanup_errors=True) as folder:
        for file in options.project.glob("*.py"):
            if file.name != Path(__file__).name:
                shutil.copy(file, folder)
        settings = json.loads((options.project / "langgraph.json").read_text())
        if options.auth:
            shutil.copytree(options.auth.parent, folder, dirs_exist_ok=True)
            settings["auth"] = {"path": f"./{options.auth.name}:auth"}
        (Path(folder) / "langgraph.json").write_text(json.dumps(settings))
        log_path = Path(folder) / "server.log"
        command = [python, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--host", HOST, "--port", str(port)]
        with log_path.open("wb") as log:
            child = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=None if options.verbose else log,
                stderr=None if options.verbose else log,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "HOME": folder,
                    "LANG": "C.UTF-8",
                    "BROWSER": "none",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "LANGGRAPH_CLI_NO_ANALYTICS": "1",
                    "LANGSMITH_TRACING": "false",
                    "AGENT_WORD_DELAY_MS": os.environ.get("AGENT_WORD_DELAY_MS", "40"),
                    **{name: value for name, value in os.environ.items() if name.startswith("POSTERN_ASSERTION_")},
                },
            )
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while not answers(url):
                if child.poll() is not None or time.monotonic() > deadline:
                    tail = log_path.read_bytes()[-8000:].decode(errors="replace")
                    print(f"agent-python: no answer on {url}/ok\n{tail}", file=sys.stderr)
                    return 1
                time.sleep(0.2)
            print(json.dumps({"ready": True, "url": url, "pid": child.pid}), flush=True)
            child.wait()
            print("agent-python: the server ended", file=sys.stderr)
            return 1
        finally:
            # It stays in this process's group: whoever ends the group ends both. Ended alone, this process ends the server.
            child.terminate()
            try:
                child.wait(timeout=END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


if __name__ == "__main__":
    sys.exit(main())
