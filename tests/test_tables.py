"""Reading any table: encodings, separators, archives, awkward names and rows, strict types."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autokaggle.skills.dataset.archives import unpack_tables
from autokaggle.skills.dataset.column_types import ColumnType, infer
from autokaggle.skills.dataset.tables import (
    Table,
    UnreadableTable,
    connect,
    open_table,
    write_parquet,
)

ROWS = [("1", "Zoë", "3.5"), ("2", "Müller; K.", "4"), ("3", 'say "so", he', "")]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def connection(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(scratch) as opened:
        yield opened


def csv_text(delimiter: str, end: str = "\n") -> str:
    lines = [delimiter.join(("id", "name", "size"))]
    for row in ROWS:
        cells = ['"' + cell.replace('"', '""') + '"' if delimiter in cell or '"' in cell else cell for cell in row]
        lines.append(delimiter.join(cells))
    return end.join(lines) + end


def read(connection: duckdb.DuckDBPyConnection, table: Table, scratch: Path) -> tuple[Table, list[tuple[Any, ...]]]:
    """Write the table with inferred types and read all of it back."""
    target = scratch.parent / "out.parquet"
    types = {name: infer(values) for name, values in table.sample.items()}
    written, _ = write_parquet(connection, table, types, target, scratch)
    return written, connection.execute(f"FROM '{target}'").fetchall()


EXPECTED = [(1, "Zoë", 3.5), (2, "Müller; K.", 4.0), (3, 'say "so", he', None)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_every_encoding_and_separator_reads_the_same(
    delimiter: str, encoding: str, connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(csv_text(delimiter).encode(encoding))

    table = open_table(connection, path, "train.csv", scratch)

    assert table.columns == ("id", "name", "size")
    assert table.delimiter == delimiter
    assert read(connection, table, scratch)[1] == EXPECTED


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_reads_the_same(
    end: str, connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(csv_text(",", end).encode())

    assert read(connection, open_table(connection, path, "train.csv", scratch), scratch)[1] == EXPECTED


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.bz2", ".csv.xz"])
def test_compressed_text_is_read(
    suffix: str, connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    content = csv_text(",").encode()
    packed = {".csv.gz": gzip.compress(content), ".csv.bz2": bz2.compress(content), ".csv.xz": lzma.compress(content)}
    path = tmp_path / f"train{suffix}"
    path.write_bytes(packed[suffix])

    assert read(connection, open_table(connection, path, path.name, scratch), scratch)[1] == EXPECTED


def test_gzip_of_another_encoding_is_read(connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path) -> None:
    path = tmp_path / "train.csv.gz"
    path.write_bytes(gzip.compress(csv_text(";").encode("cp1252")))

    assert read(connection, open_table(connection, path, path.name, scratch), scratch)[1] == EXPECTED


def test_parquet_and_json_lines_are_read(connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path) -> None:
    values = "(VALUES (1, 'Zoë', 3.5), (2, 'Müller; K.', 4.0), (3, 'say \"so\", he', NULL)) t(id, name, size)"
    connection.execute(f"COPY (FROM {values}) TO '{tmp_path / 'a.parquet'}'")
    connection.execute(f"COPY (FROM {values}) TO '{tmp_path / 'a.jsonl'}' (FORMAT json)")
    connection.execute(f"COPY (FROM {values}) TO '{tmp_path / 'a.json'}' (FORMAT json, ARRAY true)")

    for name in ("a.parquet", "a.jsonl", "a.json"):
        assert read(connection, open_table(connection, tmp_path / name, name, scratch), scratch)[1] == EXPECTED, name


def test_ragged_rows_are_filled_or_cut_and_counted_with_their_line(
    connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("a,b,c\n1,2,3\n4,5\n6,7,8,9\n1,1,1,\n")

    table, rows = read(connection, open_table(connection, path, "train.csv", scratch), scratch)

    assert rows == [(1, 2, 3), (4, 5, None), (6, 7, 8), (1, 1, 1)]
    assert (table.ragged_rows, table.first_ragged_line) == (2, 3)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("inside", ["\n", "\r\n"])
def test_line_break_in_a_name_need_not_be_that_of_the_lines(
    connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path, inside: str, end: str
) -> None:
    path = tmp_path / "train.csv"
    path.write_text(end.join(['a,"net' + inside + 'weight",b', "1,2,3", '4,5,"x' + inside + 'y"', ""]), newline="")

    table, rows = read(connection, open_table(connection, path, "train.csv", scratch), scratch)

    assert table.columns == ("a", f"net{inside}weight", "b")
    assert rows == [(1, 2, "3"), (4, 5, f"x{inside}y")]


def test_ragged_row_far_behind_the_first_rows_is_found_while_writing(
    connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("a,b\n" + "1,2\n" * 40_000 + "3\n" + "5,6\n")

    opened = open_table(connection, path, "train.csv", scratch)
    table, rows = read(connection, opened, scratch)

    assert opened.ragged_rows == 0
    assert (table.ragged_rows, table.first_ragged_line) == (1, 40_002)
    assert rows[-2:] == [(3, None), (5, 6)]
    assert len(rows) == 40_002


def test_wrong_bytes_far_behind_the_first_rows_are_read_as_western_text(
    connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"a,b\n" + b"1,x\n" * 40_000 + b"2,caf\xe9\n")

    _, rows = read(connection, open_table(connection, path, "train.csv", scratch), scratch)

    assert rows[-1] == (2, "café")


def test_quoted_line_breaks_stay_in_their_cell(
    connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_text('"te\nxt",n\n"a\n\nb",1\n"c,\r\nd",2\n', newline="")

    table, rows = read(connection, open_table(connection, path, "train.csv", scratch), scratch)

    assert table.columns == ("te\nxt", "n")
    assert rows == [("a\n\nb", 1), ("c,\r\nd", 2)]


def test_strange_column_names_survive_and_unusable_ones_are_renamed(
    connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_text('id,,"a ""b""",😀,Age,age,\n1,2,3,4,5,6,7\n')

    table, _ = read(connection, open_table(connection, path, "train.csv", scratch), scratch)

    target = scratch.parent / "out.parquet"
    found = tuple(row[0] for row in connection.execute(f"DESCRIBE FROM '{target}'").fetchall())
    assert found == table.columns == ("id", "unnamed", 'a "b"', "😀", "Age", "age_2", "unnamed_2")
    assert len(table.warnings) == 3


def test_a_file_without_header_gets_numbered_columns(
    connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("0.5,1.25,3\n0.7,1.5,4\n")

    table, rows = read(connection, open_table(connection, path, "train.csv", scratch), scratch)

    assert table.columns == ("column_1", "column_2", "column_3")
    assert rows == [(0.5, 1.25, 3), (0.7, 1.5, 4)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "0 bytes"),
        ("a.csv", b"  \n\n", "nothing"),
        ("a.csv", b"\x00\x01\x02\x03" * 99 + b"\x89PNG", "binary"),
        ("a.csv.gz", b"not a gzip file", "unpacked"),
        ("a.parquet", b"PAR1 but broken", "parquet"),
        ("a.jsonl", b"{'no': json", "json"),
    ],
)
def test_files_that_are_no_tables_are_refused_with_a_reason(
    name: str, content: bytes, said: str, connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UnreadableTable, match=said):
        open_table(connection, path, name, scratch)


def test_zip_gives_its_tables_and_nothing_leaves_the_scratch_folder(scratch: Path, tmp_path: Path) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("deep/train.csv", "a\n1\n")
        content.writestr("../escaped.csv", "a\n1\n")
        content.writestr("/absolute.csv", "a\n1\n")
        content.writestr("C:\\windows.csv", "a\n1\n")
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = 0o120777 << 16
        content.writestr(link, "/etc/passwd")
        content.writestr("bomb.csv", b"0" * (64 << 20), zipfile.ZIP_DEFLATED)

    found, refused = unpack_tables(archive, "data.zip", scratch)

    assert [name for name, _ in found] == ["data.zip/deep/train.csv"]
    assert found[0][1].parent == scratch
    assert len(refused) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.zip", "scratch"]


def test_a_damaged_zip_is_reported(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(b"PK\x03\x04 broken")

    found, refused = unpack_tables(tmp_path / "data.zip", "data.zip", scratch)

    assert found == []
    assert "data.zip cannot be unpacked" in refused[0]


@pytest.mark.parametrize(
    ("first", "late", "kind", "value"),
    [
        ("1", "5.5", "DOUBLE", 5.5),
        ("1", "5e-1", "DOUBLE", 0.5),
        ("1", "many", "VARCHAR", "many"),
        ("1", "None", "BIGINT", None),
        ("1", "9007199254740993", "BIGINT", 9007199254740993),
        ("1.5", "-", "DOUBLE", None),
        ("1.5", "x", "VARCHAR", "x"),
        ("2024-01-31", "soon", "VARCHAR", "soon"),
        ("31.01.2024", "soon", "VARCHAR", "soon"),
        ("a", "NA", "VARCHAR", None),
    ],
)
def test_a_late_value_widens_the_type_instead_of_being_rounded_or_lost(
    first: str,
    late: str,
    kind: str,
    value: object,
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("x\n" + f"{first}\n" * 30_000 + f"{late}\n")

    table = open_table(connection, path, "train.csv", scratch)
    _, held = write_parquet(connection, table, {"x": infer(table.sample["x"])}, tmp_path / "out.parquet", scratch)

    rows = connection.execute(f"FROM '{tmp_path / 'out.parquet'}'").fetchall()
    assert held["x"].name == kind
    assert (len(rows), rows[-1]) == (30_001, (value,))


def test_an_exact_column_stays_text_when_a_late_value_would_print_differently(
    connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("id\n" + "".join(f"{number}\n" for number in range(30_000)) + "007\n")

    table = open_table(connection, path, "train.csv", scratch)
    guessed = {"id": infer(table.sample["id"], exact=True)}
    _, held = write_parquet(connection, table, guessed, tmp_path / "out.parquet", scratch)

    assert (guessed["id"].name, held["id"].name) == ("BIGINT", "VARCHAR")
    assert connection.execute(f"FROM '{tmp_path / 'out.parquet'}'").fetchall()[-1] == ("007",)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    names=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8), min_size=2, max_size=4
    ),
    cells=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8), min_size=2, max_size=4
    ),
)
def test_any_names_and_cells_come_back_as_written(
    names: list[str], cells: list[str], connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path
) -> None:
    width = min(len(names), len(cells))
    quoted = [",".join('"' + text.replace('"', '""') + '"' for text in row[:width]) for row in (names, cells)]
    path = tmp_path / "any.csv"
    path.write_text("\n".join(quoted) + "\n", encoding="utf-8", newline="")

    table = open_table(connection, path, "any.csv", scratch)
    exact = dict.fromkeys(table.columns, ColumnType("VARCHAR", exact=True))
    write_parquet(connection, table, exact, tmp_path / "out.parquet", scratch)

    if table.text and table.text[1].header:
        found = connection.execute(f"FROM '{tmp_path / 'out.parquet'}'").fetchall()
        assert [tuple(cell or "" for cell in row) for row in found] == [tuple(cells[:width])]
        assert [name for name in table.columns if name not in names] == [
            new for new, old in zip(table.columns, names, strict=False) if new != old
        ]


@pytest.mark.parametrize("mark", ["NA", "null", "nan", "None"])
def test_an_exact_column_keeps_a_text_that_elsewhere_means_missing(tmp_path: Path, mark: str) -> None:
    columns = {"country": ["FR", mark, "DE"], "size": ["1", mark, "3"]}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with connect(scratch) as connection:
        path = tmp_path / "a.csv"
        path.write_text("".join(",".join(row) + "\n" for row in [list(columns), *zip(*columns.values(), strict=True)]))
        table = open_table(connection, path, "a.csv", scratch)
        types = {"country": ColumnType("VARCHAR", exact=True), "size": ColumnType("BIGINT")}
        write_parquet(connection, table, types, tmp_path / "a.parquet", scratch)
        found = connection.execute(f"SELECT * FROM read_parquet('{tmp_path / 'a.parquet'}')").fetchall()
    assert found == [("FR", 1), (mark, None), ("DE", 3)]


def test_thousands_of_columns_are_written(connection: duckdb.DuckDBPyConnection, scratch: Path, tmp_path: Path) -> None:
    columns = [f"f{number}" for number in range(3_000)]
    cells = [[str(1 / (1 + row + number)) for number in range(len(columns))] for row in range(150)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join(",".join(line) for line in [columns, *cells]))
    table = open_table(connection, path, "wide.csv", scratch)
    types = {name: infer(values) for name, values in table.sample.items()}
    written, _ = write_parquet(connection, table, types, tmp_path / "wide.parquet", scratch)
    assert written.columns == tuple(columns)
    found = connection.execute(f"SELECT f2999 FROM read_parquet('{tmp_path}/wide.parquet')").fetchall()
    assert found == [(float(row[2999]),) for row in cells]
