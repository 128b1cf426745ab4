"""Each template is typed, as strictly as the program, together with the files that it takes from the tabular one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).resolve().parents[1] / "src" / "autokaggle" / "templates"


@pytest.fixture(scope="module")
def typing_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was found out about the libraries that templates use is found out once.

    PyTorch is not looked into: most machines do not have it, and to read it takes long.
    """
    folder = tmp_path_factory.mktemp("typing")
    (folder / "mypy.ini").write_text("[mypy]\n[mypy-torch.*]\nfollow_imports = skip\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("template", ["tabular", "ensemble", "image", "text", "timeseries"])
def test_templates_are_typed(template: str, typing_cache: Path) -> None:
    folder = TEMPLATES / template
    command = [sys.executable, "-m", "mypy", f"--config-file={typing_cache / 'mypy.ini'}"]
    command += ["--strict", "--explicit-package-bases"]
    command += ["--python-version=3.11", "--disable-error-code=import-untyped", "--disable-error-code=import-not-found"]
    result = subprocess.run(
        [*command, f"--cache-dir={typing_cache}", str(folder)],
        env={"MYPYPATH": f"{folder}:{TEMPLATES / 'tabular'}", "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
