"""Where everything lies; this file finds the input and output folders, reads the tables and writes predictions.

Tables come back with rows in file order. Labels and ids are text exactly as in the file; everything else has the
type that its column has in the data. An infinite number, of which no model makes anything, is missing. Read once per
process: the scripts may run one after another in one interpreter.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

HERE = Path(__file__).resolve().parent
USUAL_NAMES = {
    "train": ("train", "training", "train_set", "training_set"),
    "test": ("test", "testing", "test_set"),
    "original": ("original",),
    "sample_submission": ("sample_submission", "samplesubmission", "sample", "submission_format"),
}
# What pandas calls a column whose header is empty.
NAMELESS = re.compile(r"Unnamed: \d+")


@cache
def config() -> dict[str, Any]:
    """Read ``config.yaml`` beside this file."""
    content = yaml.safe_load((HERE / "config.yaml").read_text("utf-8"))
    assert isinstance(content, dict)
    return content


@cache
def input_folder() -> Path:
    """``AUTOKAGGLE_INPUT``, else the nearest folder named input beside or above the code."""
    if given := os.environ.get("AUTOKAGGLE_INPUT"):
        return Path(given)
    candidates = [HERE.parent / "input", HERE.parents[2] / "input"]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise SystemExit(f"No input folder: looked for {', '.join(map(str, candidates))}. Set AUTOKAGGLE_INPUT.")


@cache
def output_folder() -> Path:
    """``AUTOKAGGLE_OUTPUT``, else ``../output``; made when absent."""
    folder = Path(os.environ.get("AUTOKAGGLE_OUTPUT") or HERE.parent / "output")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def threads() -> int:
    """How many fits may run at once."""
    return max(1, int(os.environ.get("AUTOKAGGLE_THREADS") or config().get("threads") or os.cpu_count() or 1))


@cache
def load_table(role: str) -> pd.DataFrame:
    """Read ``train``, ``test`` or ``sample_submission``: the parsed table when there, else the CSV file."""
    parsed = input_folder() / "tables" / str(config()["tables"].get(role, f"{role}.parquet"))
    if parsed.is_file():
        return _finite(_to_pandas(pq.read_table(parsed)))
    return _finite(_read_csv(_find_csv(role), everything_as_text=role == "sample_submission"))


def load_folds() -> pd.DataFrame:
    """Read ``repeat``, ``row`` (position in train) and ``fold``."""
    return _to_pandas(pq.read_table(input_folder() / "folds.parquet"))


def write_predictions(name: str, rows: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
    """Write ``row`` and one column per prediction; ``values`` is (n_rows, n_prediction_columns)."""
    columns = [pa.array(rows, pa.int64())]
    columns += [pa.array(np.ascontiguousarray(column), pa.float64()) for column in values.T]
    pq.write_table(pa.table(columns, names=["row", *config()["prediction_columns"]]), output_folder() / name)


def read_limits() -> dict[str, dict[str, Any]] | None:
    """Return what the clock decided of each fit when this pipeline first ran; None when it never did.

    ``limits.json`` beside the code holds them.
    """
    path = HERE / "limits.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


# What limits.json calls decisions that hold for all fits, and those of this process.
FOR_ALL_FITS = "all fits"
_noted: dict[str, Any] = {}


def known_limit(name: str) -> Any:
    """Return what ``note_limit`` remembered when this pipeline first ran, None when it did not."""
    return (read_limits() or {}).get(FOR_ALL_FITS, {}).get(name)


def note_limit(name: str, value: int) -> int:
    """Remember what the clock decided for all fits, for ``write_limits``; return it."""
    _noted[name] = value
    return value


def write_limits(limits: dict[str, dict[str, Any]]) -> None:
    """Write what the clock decided of each fit: beside the code, the file makes the next run do the same."""
    limits = {name: decided for name, decided in {FOR_ALL_FITS: _noted, **limits}.items() if decided}
    (output_folder() / "limits.json").write_text(json.dumps(limits, ensure_ascii=False, indent=1), "utf-8")


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Convert so that every column is a number, a time or a string; missing values become NaN, NaT or None."""
    columns = [_simple(column) for column in table.columns]
    converted: pd.DataFrame = pa.table(columns, names=_different(table.column_names)).to_pandas(date_as_object=False)
    return converted


def _finite(table: pd.DataFrame) -> pd.DataFrame:
    numbers = [str(name) for name, column in table.items() if pd.api.types.is_float_dtype(column)]
    infinite = [name for name in numbers if np.isinf(table[name].to_numpy(np.float64, na_value=np.nan)).any()]
    return table.assign(**{name: table[name].where(np.isfinite(table[name])) for name in infinite})


def _simple(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_boolean(column.type):
        return column.cast(pa.float64() if column.null_count else pa.int8())
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column


def _different(names: list[str]) -> list[str]:
    """Tell columns of the same name apart; the first keeps its name."""
    return [name if name not in names[:place] else f"{name} ({place})" for place, name in enumerate(names)]


def _find_csv(role: str) -> Path:
    """Find the file by the name in the configuration, else by its usual name, else by its columns."""
    named = input_folder() / "data" / str(_csv().get(role) or "")
    if named.is_file():
        return named
    found = sorted(path for path in input_folder().rglob("*.csv*") if path.is_file())
    for path in found:
        if path.name.lower().split(".")[0] in USUAL_NAMES[role]:
            return path
    for path in found:
        if _fits(role, set(_read_csv(path, nrows=0).columns)):
            return path
    raise SystemExit(f"No {role} table under {input_folder()}: neither tables/{role}.parquet nor a CSV that fits.")


def _fits(role: str, header: set[str]) -> bool:
    targets, features = set(config()["target_columns"]), set(config()["columns"])
    if role == "sample_submission":
        return set(config()["submission"]["header"]) == header
    has_targets = targets <= header if role == "train" else not targets & header
    return features <= header and has_targets


def _read_csv(path: Path, everything_as_text: bool = False, nrows: int | None = None) -> pd.DataFrame:
    exact = dict.fromkeys([*config()["id_columns"], *config().get("classes", {})], str)
    table: pd.DataFrame = pd.read_csv(
        path,
        sep=_csv().get("delimiter", ","),
        encoding=_csv().get("encoding", "utf-8"),
        dtype=str if everything_as_text else exact,
        keep_default_na=not everything_as_text,
        nrows=nrows,
    )
    return table.rename(columns=lambda name: "" if NAMELESS.fullmatch(name) else name)


def _csv() -> dict[str, Any]:
    """How the original files are named and written; needed only where the parsed tables are absent."""
    found = config().get("csv", {})
    assert isinstance(found, dict)
    return found
