"""A run's published code for other places; this file gathers what leaves with it and tries the tables first."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml

from autokaggle.config import Settings
from autokaggle.errors import UsageError
from autokaggle.orchestrator.code_run import last_line
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.reopening import need_published_code, reopen_run
from autokaggle.records.data_profile import FileProfile
from autokaggle.skills.dataset.column_types import DAYS, MISSING_NUMBERS, MISSING_TEXTS, TIMES
from autokaggle.skills.export.archive import write_archive
from autokaggle.skills.export.bundle import READER, Bundle, read_code
from autokaggle.skills.export.notebook import LARGEST_BYTES, missing_packages, write_notebook
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.scoring.folds import read_folds
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.parquet_tables import column_types, open_reader, quote_identifier, quote_text
from autokaggle.storage.records_file import make_private_folder, write_atomically

Format = Literal["notebook", "zip"]

NAMES: dict[Format, str] = {"notebook": "notebook.ipynb", "zip": "export.zip"}
LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
READING_SECONDS = 600.0


def export(folder: RunFolder, settings: Settings, form: Format, path: Path) -> list[str]:
    """Write the notebook or the zip to ``path``; return what a person should know of it.

    Raises:
        UsageError: the run has no published code that made its submission, or a table is not read from text.
    """
    context = reopen_run(folder, settings)
    bundle = make_bundle(context)
    content = write_notebook(bundle) if form == "notebook" else write_archive(bundle)
    write_atomically(path, content)
    notes = list(_differing_tables(context, bundle))
    if form == "notebook" and len(content) > LARGEST_BYTES:
        notes.append(f"The notebook has {len(content):,} bytes; Kaggle takes {LARGEST_BYTES:,}. Use --format zip.")
    if missing := missing_packages(bundle):
        notes.append(f"Kaggle's image may lack {', '.join(missing)}: attach them as a data set.")
    return notes


def make_bundle(context: RunContext) -> Bundle:
    """Gather what leaves with the code.

    Raises:
        UsageError: the run has no published code that made its submission, or a table is not read from text.
    """
    run, folder = context.run, context.folder
    metrics = need_published_code(run, folder)
    code = read_code(folder.code)
    if any(_uses_original(text) for path, text in code.items() if path.endswith("config.yaml")):
        raise UsageError(
            f"Run {run.id} learned from the file of --original, which exported code would not find.",
            "Run the code in its run folder: autokaggle reproduce.",
        )
    lock = folder.requirements_lock.read_text("utf-8")
    locked = {name.lower(): version for name, version in LOCKED.findall(lock)}
    requirements = folder.requirements.read_text("utf-8")
    asked = [found[0].lower() for line in requirements.splitlines() if (found := NAME.match(line))]
    return Bundle(
        run=run,
        title=context.competition.title or run.slug,
        metrics=metrics,
        code=code,
        folds=read_folds(folder.folds).by_repeat,
        tables=_tables(context),
        packages={name: locked[name] for name in asked if name in locked},
        requirements=requirements,
        lock=lock,
        report=folder.report.read_bytes() if folder.report.is_file() else b"",
    )


def _uses_original(config: str) -> bool:
    features = (yaml.safe_load(config) or {}).get("features")
    return isinstance(features, dict) and bool(features.get("original"))


def _tables(context: RunContext) -> dict[str, Any]:
    plan, profile = context.plan, context.profile
    exact = {*plan.id_columns, *plan.classes}
    tables = []
    for file in profile.files:
        if not file.table:
            continue
        if file.format != "csv":
            raise UsageError(
                f"{file.name} is {file.format or 'no text'}: exported code reads tables from text files alone.",
                "Run the code in its run folder: autokaggle reproduce.",
            )
        types = column_types(context.folder.tables / file.table)
        all_exact = file.role == "sample_submission"
        columns = [[name, kind.split("(")[0], all_exact or name in exact] for name, kind in types.items()]
        tables.append(
            {
                "file": file.table,
                "source": file.name,
                "delimiter": file.delimiter or ",",
                "encoding": _encoding(file),
                "columns": columns,
            }
        )
    return {
        "missing": list(MISSING_TEXTS),
        "missing_numbers": list(MISSING_NUMBERS),
        "time_formats": [day + time for day in DAYS for time in TIMES],
        "tables": tables,
    }


def _encoding(file: FileProfile) -> str:
    # A byte order mark would become part of the first column's first value.
    return "utf-8-sig" if file.encoding.startswith("utf-8") or not file.encoding else file.encoding


def _differing_tables(context: RunContext, bundle: Bundle) -> Iterator[str]:
    """Read the raw data as the exported code will, in the sandbox, and yield which columns come out differently."""
    environment = context.folder.venv.resolve()
    if not environment.is_dir() or not context.folder.data.is_dir():
        yield "The exported reading of tables was not tried: environment or data are not here any more."
        return
    with tempfile.TemporaryDirectory(prefix="autokaggle-export-") as name:
        code, output = make_private_folder(Path(name) / "code"), make_private_folder(Path(name) / "output")
        log = Path(name) / "log"
        shutil.copyfile(READER, code / READER.name)
        (code / "tables.json").write_text(bundle.tables_json, "utf-8")
        step = context.run_job(
            Job(
                scripts=(READER.name,),
                code=code,
                input=context.folder.input,
                output=output,
                log=log,
                environment=environment,
                arguments=(str(context.folder.data.resolve()), str(output.resolve())),
                limits=context.limits(READING_SECONDS, output),
            )
        )
        if step.exit_code != 0:
            yield f"The exported reading of tables fails here: {last_line(log)}"
            return
        for table in bundle.tables["tables"]:
            mine, other = context.folder.tables / table["file"], output / table["file"]
            if columns := _differing_columns(mine, other):
                yield f"{table['source']} is read a little differently than by the run: {', '.join(columns[:8])}."


def _differing_columns(mine: Path, other: Path) -> list[str]:
    """Return the columns whose values, in the order of rows, are not the same in two tables."""
    import duckdb

    names = list(column_types(mine))
    sums = ", ".join(f"bit_xor(hash(file_row_number, {quote_identifier(name)}))" for name in names)
    try:
        with open_reader() as connection:
            found = [
                connection.execute(
                    f"SELECT {sums} FROM read_parquet({quote_text(str(path))}, file_row_number = true)"
                ).fetchone()
                for path in (mine, other)
            ]
    except duckdb.Error:
        return names
    left, right = found
    if left is None or right is None:
        return names
    return [name for name, one, two in zip(names, left, right, strict=True) if one != two]
