"""The exported notebook: valid, the same each time, every file once, and no text from outside becomes markup."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from autokaggle.skills.export.archive import write_archive
from autokaggle.skills.export.bundle import Bundle
from autokaggle.skills.export.notebook import missing_packages, write_notebook
from tests.test_report_writer import material

CODE = {
    "predict.py": "print('predict')\n",
    "members/c001/files.py": "SAME = 1\n",
    "members/c002/files.py": "SAME = 1\n",
    "members/c001/config.yaml": "seed: 1\n",
    "members/c002/config.yaml": "seed: 2\n",
    "README.md": "# for people\n",
}


@pytest.fixture
def bundle() -> Bundle:
    base = material()
    assert base.metrics is not None
    return Bundle(
        run=base.run,
        title="Orchard",
        metrics=base.metrics,
        code=CODE,
        folds=np.arange(30).reshape(1, 30) % 5,
        tables={"tables": []},
        packages={"lightgbm": "4.6.0", "odd-package": "1.0", "xgboost-cpu": "3.2.0"},
        requirements="lightgbm>=4.6\n",
        lock="lightgbm==4.6.0\n",
        report=b"<html></html>",
    )


def sources(bundle: Bundle) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(write_notebook(bundle))["cells"]]


def test_the_same_run_gives_the_same_bytes(bundle: Bundle) -> None:
    assert write_notebook(bundle) == write_notebook(bundle)
    assert write_archive(bundle) == write_archive(bundle)


def test_every_cell_has_a_name_of_its_own(bundle: Bundle) -> None:
    names = [cell["id"] for cell in json.loads(write_notebook(bundle))["cells"]]
    assert len(set(names)) == len(names)


def test_what_members_share_is_written_once_and_copied(bundle: Bundle) -> None:
    found = sources(bundle)
    assert sum("SAME = 1" in source for source in found) == 1
    assert any('"code/members/c001/files.py": [\n        "code/members/c002/files.py"' in source for source in found)


def test_a_written_file_is_the_cell_without_its_first_line(bundle: Bundle) -> None:
    cell = next(source for source in sources(bundle) if source.startswith("%%writefile pipeline/code/predict.py\n"))
    assert cell.partition("\n")[2] == CODE["predict.py"]


def test_every_code_cell_but_the_files_is_python(bundle: Bundle) -> None:
    cells = json.loads(write_notebook(bundle))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    plain = [source for source in code if not source.startswith("%%")]
    assert plain
    for source in plain:
        compile(source, "cell", "exec")


def test_a_hostile_title_is_plain_text(bundle: Bundle) -> None:
    hostile = dataclasses.replace(bundle, title="<img src=x onerror=alert(1)>\n# [a](javascript:b)")
    first = sources(hostile)[0].splitlines()[0]
    assert "<img" not in first.replace("\\<", "")
    assert "](" not in first.replace("\\](", "")


def test_packages_that_kaggle_lacks_are_named(bundle: Bundle) -> None:
    assert missing_packages(bundle) == ["odd-package"]
