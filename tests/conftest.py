"""What every test gets: a home of its own and no outside network; and what many share, made once."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from autokaggle.practice.accounts import DEMO_TOKEN
from autokaggle.practice.kaggle_server import PracticeKaggle
from autokaggle.skills.sandbox.limits import available_cores
from autokaggle.storage.artifacts import RunFolder
from tests.kaggle_servers import BOTH_SERVERS, KaggleServer, serve, write_competition
from tests.killable_world import FLAGS, World, killable_world
from tests.sandbox_jobs import STRONG, need
from tests.scripted_lifecycle import ScriptedLifecycle, call

SECRET_PREFIXES = ("KAGGLE_", "AUTOKAGGLE_", "GOOGLE_", "GEMINI_", "OPENAI_", "ANTHROPIC_", "OLLAMA_")
LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", ""}


@pytest.fixture(autouse=True)
def isolated_world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test an empty home and no credentials, and refuse connections beyond loopback."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(SECRET_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    connect = socket.socket.connect

    def loopback_only(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", loopback_only)
    yield home


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder with a terminal of a known width."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def lifecycle() -> ScriptedLifecycle:
    return ScriptedLifecycle()


@pytest.fixture
def finished(capsys: pytest.CaptureFixture[str], workplace: Path) -> RunFolder:
    """A run that is done; it was scripted, and nothing was trained."""
    assert call("run", "titanic") == 0
    capsys.readouterr()
    (folder,) = (workplace / "runs").iterdir()
    return RunFolder(folder)


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    """The small competition as both servers read it."""
    return write_competition(tmp_path / "served")


@pytest.fixture(params=BOTH_SERVERS)
def server(request: pytest.FixtureRequest, competition: Path) -> Iterator[KaggleServer]:
    """Each of the two servers in turn, with that competition."""
    with serve(request.param, request, competition.parent) as running:
        yield running


@pytest.fixture
def kaggle(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeKaggle]:
    """A loopback Kaggle that commands ask, with a competition that was joined and one that was not."""
    root = tmp_path_factory.mktemp("kaggle")
    write_competition(root)
    write_competition(root, "not-joined", userHasEntered=False, deadline="2020-01-01T00:00:00Z")
    with PracticeKaggle(root) as server:
        monkeypatch.setenv("AUTOKAGGLE_KAGGLE_URL", server.url)
        yield server


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", DEMO_TOKEN)


@pytest.fixture
def shared_folder() -> Path:
    """Return the folder of measuring material that stands beside a checkout; skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "cases").is_dir():
        pytest.skip("the measuring cases do not stand beside this checkout")
    return folder


# ---------------------------------------------------------------- made once and shared by all processes of a session


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Let ``-n auto`` use all that this machine lends; by itself it takes two threads of a core for one."""
    return max(2, available_cores())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests: whoever has done the others takes of them, and nobody is left alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session that all its test processes see."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of the program whose built environments tests share: they are content-addressed and read-only.

    AUTOKAGGLE_TEST_HOME names one that is kept.
    """
    chosen = os.environ.get("AUTOKAGGLE_TEST_HOME")
    home = Path(chosen) if chosen else tmp_path_factory.getbasetemp().parent / "shared-home"
    (home / "environments").mkdir(parents=True, exist_ok=True)
    return home


@pytest.fixture(scope="session")
def undisturbed(shared_home: Path, session_folder: Path) -> dict[str, Any]:
    """The answer of a run of FLAGS that nobody touched; the first process that needs it carries the run out."""
    need(STRONG)
    folder = session_folder / "undisturbed"
    with FileLock(session_folder / "undisturbed.lock"):
        kept = folder / "answer.json"
        if not kept.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            world = World(folder, shared_home)
            kept.write_text(json.dumps(world.finish(world.start("run", "orchard", *FLAGS))))
        answer: dict[str, Any] = json.loads(kept.read_text())
        return answer


@pytest.fixture
def world(tmp_path: Path, shared_home: Path) -> Iterator[World]:
    """A folder in which the program can be started and killed; skip where code cannot be isolated."""
    need(STRONG)
    with killable_world(tmp_path, shared_home) as found:
        yield found
