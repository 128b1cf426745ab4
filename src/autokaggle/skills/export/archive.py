"""A run's published code as one zip that runs anywhere; this file writes it with a README of its own."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import yaml

from autokaggle.skills.export.bundle import READER, Bundle
from autokaggle.skills.export.notebook import write_notebook

# The same run gives the same bytes.
MOMENT = (1980, 1, 1, 0, 0, 0)


def write_archive(bundle: Bundle) -> bytes:
    """Return the zip: code, environment, report, notebook, folds and a README; no data of the competition."""
    files: dict[str, bytes] = {f"code/{path}": text.encode() for path, text in bundle.code.items()}
    files |= {
        "README.md": _readme(bundle).encode(),
        "run.yaml": yaml.safe_dump(_facts(bundle), sort_keys=False, allow_unicode=True).encode(),
        "env/requirements.txt": bundle.requirements.encode(),
        "env/requirements.lock": bundle.lock.encode(),
        "input/folds.csv": _folds_csv(bundle),
        "make_input.py": _MAKE_INPUT.encode(),
        READER.name: READER.read_bytes(),
        "tables.json": bundle.tables_json.encode(),
        "notebook.ipynb": write_notebook(bundle),
        "report.html": bundle.report,
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{bundle.run.id}/{name}", MOMENT)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _facts(bundle: Bundle) -> dict[str, object]:
    run, metrics = bundle.run, bundle.metrics
    return {
        "run": run.id,
        "competition": run.slug,
        "url": f"https://www.kaggle.com/competitions/{run.slug}",
        "seed": run.seed,
        "python": run.python,
        "metric": metrics.metric,
        "expected": {"mean": metrics.cv["mean"], "low": metrics.cv["low"], "high": metrics.cv["high"]},
        "ensemble": {member.candidate: member.weight for member in metrics.ensemble},
        "submission_sha256": metrics.submission.sha256,
        "data_sha256": run.data_sha256,
        "environment_sha256": run.lock_sha256,
    }


def _folds_csv(bundle: Bundle) -> bytes:
    repeats, rows = bundle.folds.shape
    columns = (np.repeat(np.arange(repeats), rows), np.tile(np.arange(rows), repeats), bundle.folds.ravel())
    text = io.StringIO()
    text.write("repeat,row,fold\n")
    text.writelines(f"{repeat},{row},{fold}\n" for repeat, row, fold in zip(*columns, strict=True))
    return text.getvalue().encode()


def _readme(bundle: Bundle) -> str:
    run, metrics = bundle.run, bundle.metrics
    return f"""\
# {run.slug}: the code of run {run.id}

It expects {metrics.metric} {metrics.cv["mean"]:.5g} on the test set ({metrics.cv["low"]:.5g} to
{metrics.cv["high"]:.5g}, 95 %). `report.html` says how it was found, `run.yaml` holds the facts.

To run it, with Python {run.python or "3.11"}:

1. Download the competition's data (https://www.kaggle.com/competitions/{run.slug}/data) into a folder `data`.
2. Make the environment: `python -m venv venv && venv/bin/pip install --require-hashes -r env/requirements.lock`
   (or `uv venv venv && uv pip sync --python venv/bin/python env/requirements.lock`).
3. Make the tables: `venv/bin/python make_input.py data`
4. Run it: `venv/bin/python code/train.py && venv/bin/python code/validate.py && venv/bin/python code/predict.py`

`output/submission.csv` should have the sha256 `{metrics.submission.sha256}`; on another number of cores or another
processor the last digits may differ. `code/README.md` says what each file decides. `notebook.ipynb` does the same on
Kaggle.
"""


_MAKE_INPUT = '''\
"""Turn the competition's raw files into the input of the code: python make_input.py DATA_FOLDER"""

import sys
from pathlib import Path

import pandas as pd

import read_tables

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "data").resolve()
    read_tables.main(data, HERE / "input" / "tables", HERE / "tables.json")
    pd.read_csv(HERE / "input" / "folds.csv").to_parquet(HERE / "input" / "folds.parquet", index=False)
    if not (HERE / "input" / "data").exists():
        (HERE / "input" / "data").symlink_to(data, target_is_directory=True)
'''
