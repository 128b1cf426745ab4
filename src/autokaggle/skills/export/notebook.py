"""A notebook that runs a run's published code on Kaggle; this file writes it as nbformat 4.

It holds everything but the data: each file of the code once, folds, and the types of the tables. It uses no network
and only packages that Kaggle's image has (``missing_packages`` names the others).
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autokaggle.skills.export.bundle import READER, Bundle

# What the code of a run may ask for and Kaggle's Python image has.
KAGGLE_PACKAGES = frozenset(
    (
        *("catboost", "joblib", "lightgbm", "numpy", "optuna", "pandas", "pillow", "polars", "pyarrow", "pyyaml"),
        *("scikit-learn", "scipy", "sentence-transformers", "statsmodels", "timm", "tokenizers", "torch"),
        *("torchvision", "transformers", "xgboost"),
    )
)
# A package's build for processors alone, which imports as the package does.
CPU_BUILD = "-cpu"
# Kaggle refuses larger sources.
LARGEST_BYTES = 1_000_000
PIPELINE = "pipeline"
# For a person with the whole run folder; no script needs them.
NEEDLESS = ("README.md", "importance.py")


def write_notebook(bundle: Bundle) -> bytes:
    """Return the notebook; the same run gives the same bytes."""
    cells = [_cell(kind, source, place) for place, (kind, source) in enumerate(_sources(bundle))]
    content = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "autokaggle": {"run": bundle.run.id, "submission_sha256": bundle.metrics.submission.sha256},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def missing_packages(bundle: Bundle) -> list[str]:
    """Return the packages that the code asks for and Kaggle's image does not have."""
    return sorted(name for name in bundle.packages if name.lower().removesuffix(CPU_BUILD) not in KAGGLE_PACKAGES)


def _sources(bundle: Bundle) -> Iterator[tuple[str, str]]:
    cv, metrics = bundle.metrics.cv, bundle.metrics
    expected = f"**{cv['mean']:.5g}** ({cv['low']:.5g} to {cv['high']:.5g}, 95 %)"
    made = f"Made by AutoKaggle, run `{bundle.run.id}`. It expects {metrics.metric} {expected}."
    yield "markdown", f"# {_plain(bundle.title)}\n\n{made}\n\n{_HOW_TO}"
    yield "code", _SETTINGS.format(slug=bundle.run.slug, pipeline=PIPELINE, folders=_folders(bundle))
    yield "code", _VERSIONS.format(packages=json.dumps(dict(bundle.packages), indent=4), cpu=CPU_BUILD)
    yield "markdown", "## The code\n\nEvery file once; models of an ensemble share what is the same in all of them."
    copies: dict[str, list[str]] = {}
    for paths, text in _distinct(bundle):
        yield "code", f"%%writefile {PIPELINE}/{paths[0]}\n{text}"
        if paths[1:]:
            copies[paths[0]] = paths[1:]
    if copies:
        yield "code", _COPIES.format(copies=json.dumps(copies, indent=4))
    yield "markdown", "## The data\n\nThe same tables and the same folds as when the code was made."
    yield "code", _TABLES
    yield "code", _FOLDS.format(packed=_packed_folds(bundle), repeats=bundle.folds.shape[0])
    yield "markdown", "## Train and predict"
    yield "code", _RUN
    yield "code", _RESULT.format(sha256=metrics.submission.sha256)


def _folders(bundle: Bundle) -> list[str]:
    """Return every folder of the pipeline: the magic that writes files makes none."""
    parents = {f"code/{path}".rpartition("/")[0] for path in bundle.code}
    return sorted({*parents, "input", "output"})


def _distinct(bundle: Bundle) -> Iterator[tuple[list[str], str]]:
    """Yield each different text with the paths under the pipeline's folder that hold it."""
    files = {f"code/{path}": text for path, text in bundle.code.items() if Path(path).name not in NEEDLESS}
    files |= {READER.name: READER.read_text("utf-8"), "tables.json": bundle.tables_json}
    by_text: dict[str, list[str]] = {}
    for path, text in files.items():
        by_text.setdefault(text, []).append(path)
    for text, paths in by_text.items():
        yield paths, text


def _packed_folds(bundle: Bundle) -> str:
    packed = lzma.compress(bundle.folds.astype(np.int16).tobytes(), format=lzma.FORMAT_XZ, preset=6)
    text = base64.b64encode(packed).decode()
    return "\n".join(text[start : start + 100] for start in range(0, len(text), 100))


def _cell(kind: str, source: str, place: int) -> dict[str, Any]:
    name = hashlib.sha256(f"{place} {source}".encode()).hexdigest()[:12]
    cell: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": {}, "source": source.splitlines(keepends=True)}
    return cell if kind == "markdown" else {**cell, "execution_count": None, "outputs": []}


def _plain(text: str) -> str:
    """Return a title without what Markdown or HTML would take for markup."""
    return "".join(" " if sign in "\n\r" else f"\\{sign}" if sign in "\\`*_[]<>&#!|$" else sign for sign in text)


_HOW_TO = (
    "Add the competition's data to this notebook, switch the internet off, run all cells: "
    "the last one leaves `submission.csv`."
)

_SETTINGS = """\
import os
from pathlib import Path

SLUG = "{slug}"
places = [os.environ.get("AUTOKAGGLE_DATA", ""), f"/kaggle/input/{{SLUG}}", f"/kaggle/input/competitions/{{SLUG}}"]
DATA = next((Path(place) for place in places if place and Path(place).is_dir()), None)
assert DATA, f"Add the data of {{SLUG}} to this notebook: none of {{places[1:]}} is there."

PIPELINE = Path("{pipeline}").absolute()
for folder in {folders}:
    (PIPELINE / folder).mkdir(parents=True, exist_ok=True)
if not (PIPELINE / "input/data").exists():
    (PIPELINE / "input/data").symlink_to(DATA.absolute(), target_is_directory=True)
print(DATA)"""

_VERSIONS = """\
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

MADE_WITH = {packages}
for name, then in MADE_WITH.items():
    now = "not installed"
    for build in (name.removesuffix("{cpu}"), name):
        with suppress(PackageNotFoundError):
            now = version(build)
    print(f"{{name}} {{now}}" + ("" if now == then else f" (made with {{then}}: predictions may differ slightly)"))"""

_COPIES = """\
import shutil

COPIES = {copies}
for source, targets in COPIES.items():
    for target in targets:
        (PIPELINE / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PIPELINE / source, PIPELINE / target)"""

_TABLES = '''\
import subprocess
import sys


def run(*command):
    """Run one script and show what it says."""
    process = subprocess.Popen([sys.executable, *command], cwd=PIPELINE, text=True, env=VARIABLES,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        print(line, end="")
    if process.wait():
        raise SystemExit(f"{command[0]} failed with exit code {process.returncode}")


VARIABLES = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
VARIABLES |= {"AUTOKAGGLE_INPUT": str(PIPELINE / "input"), "AUTOKAGGLE_OUTPUT": str(PIPELINE / "output")}
run("read_tables.py", str(DATA), "input/tables")'''

_FOLDS = '''\
import base64
import lzma

import numpy as np
import pandas as pd

FOLDS = """
{packed}
"""
folds = np.frombuffer(lzma.decompress(base64.b64decode(FOLDS)), dtype=np.int16).reshape({repeats}, -1)
repeats, rows = folds.shape
table = pd.DataFrame({{
    "repeat": np.repeat(np.arange(repeats), rows), "row": np.tile(np.arange(rows), repeats),
    "fold": folds.ravel().astype(np.int64),
}})
table.to_parquet(PIPELINE / "input/folds.parquet", index=False)
print(f"{{rows:,}} rows, {{folds.max() + 1}} folds")'''

_RUN = """\
run("code/train.py")
run("code/predict.py")"""

_RESULT = """\
import hashlib
import shutil

shutil.copyfile(PIPELINE / "output/submission.csv", "submission.csv")
sha256 = hashlib.sha256(Path("submission.csv").read_bytes()).hexdigest()
SHA256_OF_RUN = "{sha256}"
print("the same submission as the run's" if sha256 == SHA256_OF_RUN else "not byte for byte the run's submission")
shutil.rmtree(PIPELINE / "output")
pd.read_csv("submission.csv").head()"""
