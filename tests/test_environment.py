"""Environments: locks with hashes, wheels only, built once, checked before use, pruned; and what may be asked for."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autokaggle.errors import OutsideWorldError, UsageError
from autokaggle.records.event import Progress
from autokaggle.skills.sandbox import environment_store, uv_program
from autokaggle.skills.sandbox.environment import Environment, build_environment
from autokaggle.skills.sandbox.environment_store import check_environment, prune_environments
from autokaggle.skills.sandbox.requirements import KNOWN_PACKAGES, check_lock, check_requirements, plain_requirement
from tests.sandbox_jobs import STRONG, make_job, run

DAY = dt.date(2026, 6, 1)


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str], needs: str = "") -> Path:
    """Write a small pure wheel, as a registry would serve it."""
    facts = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (
        f"Requires-Dist: {needs}\n" if needs else ""
    )
    content = {
        **files,
        f"{facts}/METADATA": metadata,
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text)}")
    content[f"{facts}/RECORD"] = "\n".join([*lines, f"{facts}/RECORD,,"]) + "\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return wheel


def make_source_package(folder: Path, name: str) -> None:
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, text in {
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            "setup.py": "open('/tmp/built-from-source', 'w')",
        }.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that serves as the package index, with two packages in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, "alpha", "1.0", {"alpha.py": "VALUE = 1\n"}, needs="beta>=1")
    make_wheel(folder, "beta", "1.2", {"beta/__init__.py": "VALUE = 2\n", "beta/tests/test_it.py": "X = 1\n"})
    serve(folder, monkeypatch)
    return folder


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``folder`` the only index that uv knows."""
    settings = folder.with_suffix(".toml")
    settings.write_text(f'no-index = true\nfind-links = ["{folder}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def build(store: Path, *requirements: str, **options: object) -> Environment:
    return build_environment(requirements or ("alpha",), store, **options)  # type: ignore[arg-type]


def test_an_environment_is_locked_with_hashes_and_works_in_the_sandbox(
    tmp_path: Path, index: Path, store: Path
) -> None:
    environment = build(store)
    assert not environment.reused
    assert "alpha==1.0" in environment.lock_text
    assert "beta==1.2" in environment.lock_text
    assert environment.lock_text.count("--hash=sha256:") == 2
    assert environment.lock_sha256 == hashlib.sha256(environment.lock_text.encode()).hexdigest()
    text = "import alpha, beta, sys\nprint(alpha.VALUE + beta.VALUE, sys.prefix, beta.__cached__)"
    result, log = run(make_job(tmp_path, text, environment=environment.folder), STRONG)
    assert result.exit_code == 0
    assert log.startswith("3 /env /env/lib/python")
    compiled = [path.name for path in environment.folder.rglob("*.pyc")]
    assert any(name.startswith("alpha.") for name in compiled)
    assert not any(name.startswith("test_it.") for name in compiled)


def test_a_warm_environment_takes_a_tenth_of_a_second_and_no_uv(
    index: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(store, "alpha", "beta", exclude_newer=None)
    monkeypatch.setattr(uv_program, "run_uv", None)
    monkeypatch.setattr("autokaggle.skills.sandbox.environment.run_uv", None)
    seconds = []
    for _ in range(5):  # a machine that is busy elsewhere may be late once
        began = time.perf_counter()
        second = build(store, "beta", "alpha", exclude_newer=None)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.1
    assert second.reused
    assert (second.folder, second.lock_text) == (first.folder, first.lock_text)


def test_concurrent_builds_of_one_environment_build_once(index: Path, store: Path) -> None:
    seen: list[Progress] = []
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda _: build(store, on_progress=seen.append), range(4)))
    assert len({environment.folder for environment in built}) == 1
    assert [environment.reused for environment in built].count(False) == 1
    assert [progress.text for progress in seen].count("installing packages") == 1
    assert list(store.glob(".building-*")) == []


def test_code_in_a_wheel_does_not_run_while_it_is_installed(index: Path, store: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    make_wheel(index, "alpha", "1.1", {"alpha.py": "", "evil.pth": f"import os; open({str(marker)!r}, 'w')\n"})
    environment = build(store, "alpha==1.1")
    assert list(environment.folder.rglob("evil.pth"))
    assert build(store, "alpha==1.1").reused
    assert not marker.exists()
    subprocess.run([environment.folder / "bin" / "python", "-c", ""], check=True)
    assert marker.exists(), "the wheel is harmless, so this test shows nothing"


def test_a_package_without_a_wheel_is_refused(index: Path, store: Path) -> None:
    make_source_package(index, "gamma")
    with pytest.raises(UsageError, match="gamma"):
        build(store, "gamma")
    assert not Path("/tmp/built-from-source").exists()


def test_a_package_that_does_not_exist_is_refused(index: Path, store: Path) -> None:
    with pytest.raises(UsageError, match="no-such-package"):
        build(store, "no-such-package")


def test_a_lock_with_another_hash_is_refused_and_leaves_nothing(index: Path, store: Path) -> None:
    lock = build(store).lock_text
    digest = lock.split("sha256:")[1][:64]
    with pytest.raises(UsageError, match=r"[Hh]ash") as caught:
        build(store, lock=lock.replace(digest, "0" * 64))
    assert "\n" not in caught.value.message
    assert len([path for path in store.iterdir() if path.is_dir() and path.name != "resolutions"]) == 1


@pytest.mark.parametrize(
    "line",
    [
        "alpha==1.0",
        "alpha>=1.0 --hash=sha256:" + "0" * 64,
        "alpha==1.* --hash=sha256:" + "0" * 64,
        "alpha @ file:///tmp/alpha.whl --hash=sha256:" + "0" * 64,
        "alpha==1.0 --hash=md5:" + "0" * 32,
        "--index-url http://127.0.0.1/",
        "-e .",
        "../alpha",
    ],
)
def test_a_lock_is_pins_with_hashes_and_nothing_else(index: Path, store: Path, line: str) -> None:
    with pytest.raises(UsageError):
        build(store, lock=f"{line}\n")


def test_a_lock_of_uv_passes_its_check(index: Path, store: Path) -> None:
    lock = build(store).lock_text
    assert "--hash=sha256:" in lock
    check_lock(lock)


def test_a_lock_alone_rebuilds_the_same_environment(index: Path, store: Path, tmp_path: Path) -> None:
    first = build(store)
    second = build(tmp_path / "elsewhere", lock=first.lock_text)
    assert (second.key, second.lock_sha256) == (first.key, first.lock_sha256)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: (folder / "bin" / "python").unlink(), "its Python was removed"),
        (
            lambda folder: next(folder.rglob("alpha-1.0.dist-info/RECORD")).write_text("x"),
            "alpha-1.0.dist-info was changed",
        ),
        (lambda folder: next(folder.rglob("beta-1.2.dist-info/RECORD")).unlink(), "a package was removed"),
        (lambda folder: (folder / "autokaggle.json").write_text("{"), "it is damaged"),
        (lambda folder: (folder / "autokaggle.json").unlink(), "it is not built"),
    ],
    ids=["python", "changed", "removed", "marker", "unfinished"],
)
def test_a_damaged_environment_is_noticed_and_built_again(
    index: Path, store: Path, damage: object, problem: str
) -> None:
    folder = build(store).folder
    assert check_environment(folder) == ""
    assert callable(damage)
    damage(folder)
    assert check_environment(folder) == problem
    again = build(store)
    assert (again.folder, again.reused, check_environment(folder)) == (folder, False, "")


def test_a_build_that_fails_leaves_no_part_behind(index: Path, store: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.text == "compiling packages":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(store, on_progress=interrupt)
    assert [path.name for path in store.iterdir() if path.is_dir()] == ["resolutions"]
    assert not build(store).reused


def test_what_a_killed_build_left_is_cleared_by_the_next(index: Path, store: Path, tmp_path: Path) -> None:
    key = build(tmp_path / "elsewhere").key
    for name in (f".building-{key}-a1b2", ".building-another-c3d4"):
        (store / name / "venv").mkdir(parents=True)
    build(store)
    assert [path.name for path in store.glob(".building-*")] == [".building-another-c3d4"]


def test_offline_the_store_is_enough(index: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    online = build(store, exclude_newer=None)
    assert build(store, offline=True).folder == online.folder
    with pytest.raises(OutsideWorldError, match="never resolved") as caught:
        build(store, "beta", offline=True)
    assert "without --offline" in caught.value.next_step


def test_offline_a_later_day_uses_the_last_resolution(
    index: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = build(store)
    later = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)
    assert build(store, offline=True, exclude_newer=later).folder == online.folder
    with pytest.raises(OutsideWorldError):
        build(store, offline=True, exclude_newer=dt.date(2020, 1, 1))


def test_an_index_that_cannot_be_reached_is_the_outside_worlds_fault(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:pass" + "word@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(OutsideWorldError) as caught:
        build(store)
    assert "SSL_CERT_FILE" in caught.value.next_step
    assert "password" not in str(caught.value)
    assert uv_program.index_trouble("alpha")


def test_uv_sees_index_settings_and_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(program))
    keys = ["KAGGLE_API_TOKEN", "KAGGLE_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY", "AUTOKAGGLE_MODEL_KEY"]
    for name in keys:
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("UV_INDEX_MINE_PASSWORD", "needed")
    seen = uv_program.run_uv(["pip"], purpose="look", folder=tmp_path, timeout_seconds=30)
    assert "planted" not in seen
    assert "UV_INDEX_MINE_PASSWORD=needed" in seen


def test_another_index_setting_resolves_anew(index: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(store)
    other = index.parent / "other"
    other.mkdir()
    make_wheel(other, "alpha", "2.0", {"alpha.py": "VALUE = 5\n"})
    serve(other, monkeypatch)
    assert "alpha==2.0" in build(store).lock_text


@pytest.mark.parametrize(
    "line", ["-r other.txt", "--index-url http://127.0.0.1", "alpha @ http://127.0.0.1/a.whl", "./alpha"]
)
def test_a_requirement_is_a_name_and_versions(index: Path, store: Path, line: str) -> None:
    with pytest.raises(UsageError):
        build(store, line)


def test_pruning_removes_what_was_not_used_for_long(index: Path, store: Path) -> None:
    old, young = build(store, "beta"), build(store, "alpha")
    part = store / ".building-killed"
    (part / "venv").mkdir(parents=True)
    past = time.time() - 40 * 86_400
    os.utime(old.folder / "autokaggle.json", (past, past))
    os.utime(part, (past, past))
    pruned = prune_environments(store, unused_days=30)
    assert pruned.environments == 2
    assert pruned.bytes > 0
    assert not old.folder.exists()
    assert not part.exists()
    assert check_environment(young.folder) == ""
    assert prune_environments(store.parent / "none", unused_days=0).environments == 0


def test_pruning_leaves_an_environment_that_is_being_built(index: Path, store: Path) -> None:
    environment = build(store)
    with environment_store.environment_lock(store, environment.key):
        assert prune_environments(store, unused_days=0).environments == 0
    assert prune_environments(store, unused_days=0).environments == 1


def test_another_python_gets_another_environment(index: Path, store: Path) -> None:
    first = build(store)
    assert environment_store.environment_key(first.lock_text, "3.0.0") != first.key
    with pytest.raises(UsageError, match="cannot be run as Python"):
        build(store, python=Path("/bin/false"))


def test_the_registry_gives_the_same_lock_for_the_same_day(tmp_path: Path) -> None:
    if trouble := uv_program.index_trouble("threadpoolctl"):
        pytest.skip(f"the package index does not answer: {trouble[:200]}")
    locks = {build(tmp_path / name, "threadpoolctl", exclude_newer=DAY).lock_text for name in ("a", "b")}
    assert len(locks) == 1
    assert "threadpoolctl==" in locks.pop()


# ---------------------------------------------------------------- what generated code may ask for


def test_known_packages_are_accepted_within_their_versions() -> None:
    accepted, refused = check_requirements(["LightGBM", "scikit_learn>=1.5", "torch"])
    assert refused == ()
    assert accepted == ("lightgbm<5,>=4", "scikit-learn<2,>=1.4,>=1.5", "torch<3,>=2.2")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("scikit-lern", "looks like scikit-learn"),
        ("nunpy==1.0", "looks like numpy"),
        ("lightgbn", "looks like lightgbm"),
        ("sklearn", "the name of an import; its package is scikit-learn"),
        ("cv2", "the name of an import; its package is opencv-python-headless"),
        ("quite-unheard-of", "not on the list"),
        ("lightgbm==3.3.5", "knows lightgbm in versions <5,>=4"),
        ("torch[opt,extra]>=2", "ask for torch alone"),
        ("evil @ http://127.0.0.1/x.whl", "an address"),
        ("-r /etc/passwd", "no requirement"),
        ("numpy; import os", "no requirement"),
    ],
)
def test_what_is_refused_is_explained(line: str, words: str) -> None:
    accepted, (refusal,) = check_requirements([line])
    assert accepted == ()
    assert words in refusal.reason
    assert refusal.requirement == line


def test_the_list_is_written_in_normal_form() -> None:
    assert check_requirements(KNOWN_PACKAGES)[1] == ()
    for name, bounds in KNOWN_PACKAGES.items():
        assert plain_requirement(f"{name}{bounds}").startswith(name)


def test_python_itself_is_never_started_from_an_environment(index: Path, store: Path) -> None:
    environment = build(store)
    python = environment.folder / "bin" / "python"
    assert python.resolve() == Path(sys.executable).resolve()
