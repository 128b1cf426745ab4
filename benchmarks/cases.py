"""Serve a folder of competition cases on a loopback Kaggle, run the program on some, and score what it hands in.

A cases folder holds one folder per competition (competition.json, pages/, data/, private/); a tools folder beside it
holds serve_cases.py and score.py. The program under test sees only what the loopback server serves.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

USERNAME, KEY = "tester", "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Outcome:
    """One run of one case: the program's own JSON, its exit code, wall seconds, and the private score."""

    slug: str
    exit_code: int
    seconds: float
    answer: dict[str, Any] = field(default_factory=dict)
    scored: dict[str, Any] = field(default_factory=dict)
    errors: str = ""


@contextmanager
def serving(cases: Path, tools: Path, slugs: Sequence[str], log: Path) -> Iterator[str]:
    """Serve the cases on a free loopback port and give the base URL; the server ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(tools / "serve_cases.py"), *(str(cases / slug) for slug in slugs)]
    command += ["--port", str(port), "--key", KEY, "--log", str(log)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=10)


def run_case(slug: str, url: str, cases: Path, tools: Path, work: Path, flags: Sequence[str], home: Path) -> Outcome:
    """Run the program on one case as a person would and score its submission."""
    command = [sys.executable, "-m", "autokaggle", "run", f"https://www.kaggle.com/competitions/{slug}"]
    command += ["--no-chat", "--model", "none", "--json", "--runs-dir", str(work / "runs"), *flags]
    environment = {**os.environ, "AUTOKAGGLE_KAGGLE_URL": url, "AUTOKAGGLE_HOME": str(home), "HOME": str(work)}
    environment |= {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}
    started = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, stdin=subprocess.DEVNULL
    )
    seconds = time.monotonic() - started
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        return Outcome(slug, done.returncode, seconds, errors=(done.stderr or done.stdout)[-2000:])
    submission = (answer.get("submission") or {}).get("path")
    scored = score(slug, Path(submission), cases, tools) if submission else {}
    return Outcome(slug, done.returncode, seconds, answer, scored, done.stderr[-2000:])


def score(slug: str, submission: Path, cases: Path, tools: Path) -> dict[str, Any]:
    """Score a submission with the case's private labels."""
    command = [sys.executable, str(tools / "score.py"), str(cases / slug), str(submission)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise SystemExit("serve_cases.py ended at once; run it by hand to see why")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("serve_cases.py does not answer after 30 s")
