"""Raw data files as typed tables; this file travels with exported code and stands where AutoKaggle's profiler stood.

    python read_tables.py DATA_FOLDER TABLES_FOLDER

It reads the files that ``tables.json`` beside it lists, with the types that were found when the code was made, and
writes one parquet table each. It needs pandas and pyarrow, and imports nothing of AutoKaggle.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

WHOLE_NUMBER = r"[-+]?[0-9]+"
NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
# Of a moment with an offset what the clock showed there counts.
OFFSET = r"(\d:\d\d.*?) ?(?:Z|[+-]\d\d(?::?\d\d)?)$"
NAMELESS = "column_"
PARQUET_TYPES = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "TIMESTAMP": pa.timestamp("us"), "VARCHAR": pa.string()}

Mask = npt.NDArray[np.bool_]


def main(data: Path, tables: Path, known: Path) -> None:
    """Read every table that the file ``known`` lists from ``data`` and write it to ``tables``."""
    layout: dict[str, Any] = json.loads(known.read_text("utf-8"))
    tables.mkdir(parents=True, exist_ok=True)
    for table in layout["tables"]:
        path = find_file(data, table["source"])
        texts = read_texts(path, table)
        columns = [typed(texts[place], kind, exact, layout) for place, (_, kind, exact) in enumerate(table["columns"])]
        names = [name for name, _, _ in table["columns"]]
        pq.write_table(pa.table(columns, names=names), tables / table["file"])


def find_file(data: Path, name: str) -> Path:
    """Return the file of that path, or of that name anywhere below; Kaggle unpacks some archives and not others."""
    if (data / name).is_file():
        return data / name
    last = name.rsplit("/", 1)[-1]
    found = sorted(path for path in data.rglob("*") if path.is_file() and path.name in (last, f"{last}.zip"))
    if not found:
        raise SystemExit(f"There is no {name} under {data}.")
    return found[0]


def read_texts(path: Path, table: dict[str, Any]) -> pd.DataFrame:
    """Return every cell as its text; columns are numbered."""
    names = [name for name, _, _ in table["columns"]]
    is_nameless = all(name == f"{NAMELESS}{place + 1}" for place, name in enumerate(names))
    return pd.read_csv(
        path,
        sep=table["delimiter"],
        encoding=table["encoding"],
        header=None if is_nameless else 0,
        names=list(range(len(names))),
        index_col=False,
        dtype=str,
        na_filter=False,
    )


def typed(text: pd.Series, kind: str, exact: bool, layout: dict[str, Any]) -> pa.Array:
    """Return the column with its type; what stands for missing is null. ``exact`` columns keep all but empty text."""
    values = text.to_numpy(dtype=object)
    missing: Mask = text.isin([""] if exact else layout["missing"]).to_numpy()
    if kind == "VARCHAR":
        return pa.array(values, pa.string(), mask=missing)
    trimmed = text.str.strip()
    if not exact:
        missing = missing | trimmed.isin(layout["missing_numbers"]).to_numpy()
    if kind == "TIMESTAMP":
        return _times(trimmed.str.replace(OFFSET, r"\1", regex=True), missing, layout["time_formats"])
    if kind == "DOUBLE" and not trimmed[~missing].str.fullmatch(NUMBER).mean() > 0.5:
        trimmed = trimmed.str.replace(",", ".", regex=False)
    # A few words among numbers stand for missing too.
    missing = missing | ~trimmed.str.fullmatch(WHOLE_NUMBER if kind == "BIGINT" else NUMBER).to_numpy(dtype=bool)
    numbers = pa.array(trimmed.str.removeprefix("+").to_numpy(dtype=object), pa.string(), mask=missing)
    return pc.cast(numbers, PARQUET_TYPES[kind])


def _times(text: pd.Series, missing: Mask, formats: list[str]) -> pa.Array:
    moments = np.full(len(text), np.datetime64("NaT"), dtype="datetime64[us]")
    known = text[~missing]
    for pattern in ("ISO8601", *formats):
        try:
            found = pd.to_datetime(known, format=pattern, utc=True)
        except ValueError:
            continue
        moments[~missing] = found.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
        return pa.array(moments, PARQUET_TYPES["TIMESTAMP"], mask=missing)
    raise SystemExit(f"{text.iloc[0]!r} and others are no moments in any known form.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(__file__).with_name("tables.json"))
