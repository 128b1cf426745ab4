"""A run's environment when the package index is no help: the run says why, and uses what is there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from autokaggle.config import Settings
from autokaggle.errors import OutsideWorldError
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.journal import Journal
from autokaggle.orchestrator.run_environment import RunEnvironments, prepare_environment
from autokaggle.plugins.manager import Plugins
from autokaggle.records.run import Run, RunOptions
from autokaggle.skills.sandbox.limits import MEMORY_VARIABLE
from autokaggle.storage.artifacts import RunFolder
from tests.test_environment import make_wheel


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    settings = Settings(home=tmp_path / "home", runs_dir=tmp_path / "runs")
    folder = RunFolder.create(settings.runs_dir, "orchard-20260601-000000-abcd")
    options = RunOptions(target="orchard")
    now = "2026-06-01T00:00:00Z"
    run = Run(
        id=folder.id, slug="orchard", target="orchard", options=options, status="running", created=now, updated=now
    )
    budget = Budget(120)
    budget.start()
    return RunContext(folder, settings, run, Journal(folder), Plugins(found=[]), budget)


def test_as_many_jobs_run_at_once_as_have_the_memory_that_was_asked_for(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "1000")
    assert context.steps_at_once(16) == 16
    context.settings = dataclasses.replace(context.settings, memory_bytes=100)
    assert context.steps_at_once(16) == 8
    context.save(options=RunOptions(target="orchard", memory_bytes=200))
    assert context.steps_at_once(16) == 4
    context.cluster_width = 12
    assert context.steps_at_once(16) == 16


def test_what_kept_the_environment_from_being_built_is_what_is_said(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(OutsideWorldError) as caught:
        prepare_environment(context, ["alpha"])
    assert "127.0.0.1:9" in str(caught.value)
    # Nobody asked for --offline: that it was tried after all is no advice to a person.
    assert "--offline" not in str(caught.value)
    assert not context.folder.requirements_lock.exists()


def test_packages_that_would_come_too_late_are_not_fetched_and_named(context: RunContext) -> None:
    context.budget = Budget(10)
    context.budget.start()
    environments = RunEnvironments(context, (), {"alpha": "alpha", "beta": ""})
    environments.build_rest()
    assert not environments.is_building
    assert environments.too_late == ("alpha",)


class PackageIndex(SimpleHTTPRequestHandler):
    """Serve the wheels of a folder as a package index does that says when each was uploaded."""

    def do_GET(self) -> None:
        if not self.path.endswith("/alpha/"):
            super().do_GET()
            return
        files = [
            {
                "filename": wheel.name,
                "url": f"/{wheel.name}",
                "hashes": {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
                "upload-time": "2026-01-01T00:00:00Z",
            }
            for wheel in Path(self.directory).glob("*.whl")
        ]
        page = json.dumps({"meta": {"api-version": "1.1"}, "name": "alpha", "versions": ["1.0"], "files": files})
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None: ...


@contextmanager
def package_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let packages come from an index that has one of them, as long as the block lasts, and then from nowhere."""
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv-cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    make_wheel(folder, "alpha", "1.0", {"alpha.py": "VALUE = 1\n"})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(PackageIndex, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_without_an_index_an_environment_that_was_built_before_is_used(
    context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with package_index(tmp_path, monkeypatch):
        first = prepare_environment(context, ["alpha"])
    context.run = msgspec.structs.replace(context.run, created="2026-06-02T00:00:00Z")
    shutil.rmtree(tmp_path / "uv-cache")
    again = prepare_environment(context, ["alpha"])
    assert again.folder == first.folder
    assert "An environment that was built earlier is used." in context.folder.run_log.read_text()


def test_where_packages_for_a_gpu_cannot_be_had_those_for_the_processor_are_installed(
    context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with package_index(tmp_path, monkeypatch):
        later, without_gpu = {"beta": "beta"}, {"alpha": "alpha"}
        environments = RunEnvironments(context, (), later, without_gpu)
        assert environments.missing == ("beta",)
        assert not environments.leaves_gpu
        environments.build_rest()
        while environments.is_building:
            environments.take(1.0)
    assert environments.leaves_gpu
    assert environments.missing == ("beta",)
    assert environments.current.requirements == ("alpha",)
    said = context.folder.run_log.read_text()
    assert said.count("The run goes on on the processor, without beta: ") == 1
    assert "alpha" not in said


def test_packages_for_a_gpu_that_may_not_be_installed_are_left_at_once(context: RunContext) -> None:
    environments = RunEnvironments(context, (), {"beta": ""}, {"alpha": "alpha"})
    assert environments.leaves_gpu
    assert set(environments.missing) == {"alpha", "beta"}
