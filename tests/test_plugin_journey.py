"""The example plugin, installed into an environment as a user would, and used by the real program in a real run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tests.csv_folder import write_csv

pytestmark = pytest.mark.slow
PLUGIN = Path(__file__).resolve().parents[1] / "examples" / "plugin"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment that sees this one's packages and has the plugin installed; return its Python."""
    environment = tmp_path_factory.mktemp("plugged") / "venv"
    uv = [sys.executable, "-m", "uv", "-q"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "program.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    subprocess.run(
        [*uv, "pip", "install", "--python", str(environment), "--no-deps", str(PLUGIN)], check=True, timeout=120
    )
    return environment / "bin" / "python"


def autokaggle(python: Path, *arguments: str, home: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AUTOKAGGLE_HOME": str(home)}
    command = [str(python), "-m", "autokaggle", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def test_the_installed_plugin_is_listed_with_its_version(python: Path, shared_home: Path, tmp_path: Path) -> None:
    done = autokaggle(python, "plugins", "--json", home=shared_home, folder=tmp_path)
    listed = {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}
    assert (listed["orchard"]["package"], listed["orchard"]["version"]) == ("autokaggle-orchard", "0.1.0")
    assert listed["orchard"]["gives"] == {"metrics": ["within_ten_percent"], "model_families": ["neighbours"]}


def test_a_run_uses_its_metric_and_its_model_family(python: Path, shared_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "trees"
    random = np.random.default_rng(7)
    x = random.uniform(1, 9, (400, 2)).round(3)
    height = (x[:, 0] * 3 + x[:, 1] + random.normal(0, 0.5, 400)).round(3)
    names = ("girth", "age")
    ids = np.arange(400)
    train = {"id": ids[:300], **{name: x[:300, i] for i, name in enumerate(names)}, "height": height[:300]}
    write_csv(folder / "train.csv", train)
    write_csv(folder / "test.csv", {"id": ids[300:], **{name: x[300:, i] for i, name in enumerate(names)}})
    write_csv(folder / "sample_submission.csv", {"id": ids[300:], "height": np.zeros(100)})
    chosen = ("--metric", "within_ten_percent", "--model-family", "neighbours", "--max-candidates", "1")
    done = autokaggle(
        python, "run", str(folder), "--time-budget", "8m", *chosen, "--json", home=shared_home, folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metric"] == "within_ten_percent"
    assert result["cv"]["mean"] > 0.5
    (record,) = Path(result["run_dir"]).glob("candidates/*/candidate.json")
    candidate = json.loads(record.read_text())
    assert (candidate["status"], candidate["proposal"]["family"]) == ("scored", "neighbours")
    assert candidate["proposal"]["author"] == "plugin"
    assert list((Path(result["run_dir"]) / "code").rglob("model_neighbours.py"))
    published = np.genfromtxt(result["submission"]["path"], delimiter=",", skip_header=1)
    assert np.mean(np.abs(published[:, 1] - height[300:]) <= 0.1 * height[300:]) > 0.5
