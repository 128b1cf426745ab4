"""Parquet through DuckDB: rows are copied in their order, with their types."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np

from autokaggle.storage.parquet_tables import column_types, copy_rows, read_columns, row_count


def test_chosen_rows_are_copied_in_their_order_with_every_type(tmp_path: Path) -> None:
    source, target = tmp_path / "all.parquet", tmp_path / "some.parquet"
    query = """SELECT range AS "a b", range % 3 = 0 AS flag, DATE '2026-01-01' + range::INT AS day,
        CASE WHEN range % 2 = 0 THEN 'x' || range END AS word FROM range(200000)"""
    duckdb.sql(f"COPY ({query}) TO '{source}' (FORMAT parquet)")
    rows = np.sort(np.random.default_rng(1).choice(200_000, 5_000, replace=False))
    copy_rows(source, target, rows)
    assert column_types(target) == column_types(source)
    assert row_count(target) == 5_000
    found = read_columns(target, {"place": '"a b"', "word": "word"})
    assert found["place"].tolist() == rows.tolist()
    assert [word is np.ma.masked for word in found["word"]] == [bool(row % 2) for row in rows]


def test_no_columns_are_asked_for_and_none_given(tmp_path: Path) -> None:
    duckdb.sql(f"COPY (SELECT 1 AS id) TO '{tmp_path / 'ids.parquet'}' (FORMAT parquet)")
    assert read_columns(tmp_path / "ids.parquet", {}) == {}
