"""What is released: the wheel and the source archive hold what they should, and the wheel alone runs the demo."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import BytesParser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from scripts import write_lock

from autokaggle import __version__
from tests.killable_world import make_orchard

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
UV = [sys.executable, "-m", "uv", "-q"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both, from a copy of what git holds where there is one: nothing that lies about may slip in."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([*UV, "build", "--out-dir", str(folder), str(ROOT)], check=True, timeout=300)
    return folder


def wheel_names(built: Path) -> list[str]:
    (wheel,) = built.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_holds_the_program_and_nothing_else(built: Path) -> None:
    names = wheel_names(built)
    assert [name for name in names if not name.startswith(("autokaggle/", "autokaggle_pilot-"))] == []
    assert [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".part"))] == []
    source = ROOT / "src" / "autokaggle"
    kept = {f"autokaggle/{path.relative_to(source).as_posix()}" for path in source.rglob("*") if path.is_file()}
    assert {name for name in kept if "/__pycache__/" not in name and "/." not in name} <= set(names)
    for needed in ("templates/tabular/train.py", "skills/dialogue/prompts/decide.md", "practice/demo_pages/rules.md"):
        assert f"autokaggle/{needed}" in names
    assert "autokaggle/py.typed" in names


def test_the_wheel_says_its_name_version_licence_and_command(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (about,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = BytesParser().parsebytes(archive.read(about))
        (points,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        assert "autokaggle = autokaggle.cli:start" in archive.read(points).decode()
    found = (metadata["Name"], metadata["Version"], metadata["License-Expression"])
    assert found == ("autokaggle-pilot", __version__, "MIT")


def test_the_source_archive_holds_tests_docs_and_what_they_need(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    for needed in (
        "README.md",
        "LICENSE",
        "mkdocs.yml",
        "docs/tutorial.md",
        "tests/test_release.py",
        "constraints.txt",
        "uv.lock",
    ):
        assert needed in names
    assert "examples/plugin/pyproject.toml" in names
    assert [name for name in names if "__pycache__" in name or name.startswith((".venv", "runs/", "site/"))] == []


def test_the_wheel_in_a_fresh_environment_runs_the_demo_and_scores_a_candidate(
    built: Path, shared_home: Path, tmp_path: Path
) -> None:
    (wheel,) = built.glob("*.whl")
    environment = tmp_path / "venv"
    subprocess.run([*UV, "venv", "--python", sys.executable, str(environment)], check=True)
    install = ["pip", "install", "--python", str(environment), "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*UV, *install, str(wheel)], check=True, timeout=600)

    def answer(*arguments: str) -> dict[str, Any]:
        command = [str(environment / "bin" / "autokaggle"), *arguments, "--json"]
        variables = {**os.environ, "AUTOKAGGLE_HOME": str(shared_home)}
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    # In so little time it hands in a constant answer.
    demo = answer("demo", "--time-budget", "2s")
    assert (demo["status"], demo["sent"]["public_score"]) == ("done", 0.5)
    make_orchard(tmp_path / "orchard")
    run = answer("run", "orchard", "--no-chat", "--model", "none", "--max-candidates", "1", "--time-budget", "10m")
    assert run["cv"]["mean"] > 0.6


def test_the_lock_names_no_registry_and_pins_what_pip_is_given() -> None:
    text = (ROOT / "uv.lock").read_text("utf-8")
    assert {urlsplit(address).hostname for address in re.findall(r'https?://[^"]+', text)} == {"registry.invalid"}
    assert locked(text) - {("autokaggle-pilot", "")} == pinned()
    asked = {Requirement(line).name for line in dependencies_of_the_project()}
    assert asked <= {name for name, _ in pinned()}


def test_a_lock_of_ones_own_registry_keeps_the_pinned_versions(tmp_path: Path) -> None:
    subprocess.run([*UV, "lock"], cwd=write_lock.copied(tmp_path), check=True, timeout=300)
    text = (tmp_path / "uv.lock").read_text("utf-8")
    assert "registry.invalid" not in text
    assert locked(text) - {("autokaggle-pilot", "")} == pinned()
    assert locked(write_lock.without_registry(text)) == locked(text)


def locked(lock: str) -> set[tuple[str, str]]:
    return {(package["name"], package.get("version", "")) for package in tomllib.loads(lock)["package"]}


def pinned() -> set[tuple[str, str]]:
    lines = map(Requirement, (ROOT / "constraints.txt").read_text("utf-8").splitlines())
    return {(line.name, str(line.specifier).removeprefix("==")) for line in lines}


def dependencies_of_the_project() -> list[str]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["cluster"]]


def test_the_program_imports_nothing_that_its_installation_does_not_bring() -> None:
    from scripts.write_reference import DISTRIBUTION, dependencies

    # The extra is what `--cluster` asks for by name where it is missing.
    brought = {name.lower().replace("-", "_") for name in dependencies(DISTRIBUTION, "cluster")}
    owners = packages_distributions()
    source, foreign = ROOT / "src" / "autokaggle", {"keyring"}
    missing = set()
    for path in source.rglob("*.py"):
        # What runs in a run's environment: templates, and scripts that are copied beside generated code.
        text = path.read_text("utf-8")
        if "templates" in path.parts or "imports nothing of autokaggle" in text.lower().replace("\n", " "):
            continue
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - foreign - {"autokaggle"}:
                known = {owner.lower().replace("-", "_") for owner in owners.get(top, [])}
                if known and not known & brought:
                    missing.add(f"{path.relative_to(source)}: {top}")
    assert sorted(missing) == []
