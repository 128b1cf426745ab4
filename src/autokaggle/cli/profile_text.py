"""A profile for a person to read; this file sets it as lines that fit the terminal, facts of a kind in one column."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len

from autokaggle.cli.text import harmless
from autokaggle.records.data_profile import ColumnProfile, DataProfile, FileProfile, Guess

MOST_COLUMNS, MOST_FILES = 200, 20
WIDEST_NAME = 40
NARROWEST = 40
SURE = 0.995
LONGEST_VALUE = 40


def profile_text(found: DataProfile, width: int | None) -> str:
    """Return the profile as text; ``width`` is the terminal's, None where lines may be of any length.

    A line that is too long goes on under the last of its columns.
    """
    blank = ("", 0)
    lines = [*_heads(found), blank, *_files(found.files), blank, *_columns(found), *_warnings(found.warnings)]
    if width is None:
        return "\n".join(line for line, _ in lines)
    return "\n".join(part for line, indent in lines for part in _fitted(line, indent, max(width, NARROWEST)))


def _fitted(line: str, indent: int, width: int) -> list[str]:
    width -= cell_len(line) - len(line)  # some signs take two places
    if len(line) <= width:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent=" " * min(indent, width // 2), break_on_hyphens=False)


def _heads(found: DataProfile) -> list[tuple[str, int]]:
    task = found.task_type.replace("_", " ")
    split, metric = found.split, found.metric_suggestion
    by = f" by {split.column}" if split.column else ""
    heads = [
        ("rows", f"{found.train_rows:,} of train, {found.test_rows:,} of test"),
        ("task", f"{task}{_how_sure(found.task_guess)}: {found.task_guess.evidence}"),
        ("target", f"{', '.join(found.target_columns)}{_how_sure(found.target_guess)}: {found.target_guess.evidence}"),
        ("ids", f"{', '.join(found.id_columns) or 'none'}{_how_sure(found.id_guess)}: {found.id_guess.evidence}"),
        ("metric", f"{metric.value}{_how_sure(metric)}: {metric.evidence}"),
        ("validation", f"{split.scheme.replace('_', ' ')}{by}: {split.reason}"),
    ]
    return [(f"{name:10}  {harmless(text)}", 12) for name, text in heads]


def _how_sure(guess: Guess) -> str:
    return "" if guess.confidence >= SURE else f" ({guess.confidence:.0%} sure)"


def _files(files: Sequence[FileProfile]) -> list[tuple[str, int]]:
    shown = files[:MOST_FILES]
    width = max((min(len(harmless(file.name)), WIDEST_NAME) for file in shown), default=0)
    lines = [(f"  {harmless(file.name).ljust(width)}  {harmless(_of_file(file))}", width + 4) for file in shown]
    return lines if len(files) <= MOST_FILES else [*lines, (f"  and {len(files) - MOST_FILES:,} more files", 2)]


def _of_file(file: FileProfile) -> str:
    facts = [file.role.replace("_", " ")]
    if file.rows:
        facts.append(f"{file.rows:,} rows")
    if file.join_columns:
        pairs = [key if key == column else f"{key} to {column}" for key, column in file.join_columns.items()]
        facts.append(f"joins {', '.join(pairs)}{'' if file.join_is_unique else ', several rows each'}")
    if file.ragged_rows:
        facts.append(f"{file.ragged_rows:,} rows of another length")
    return ", ".join(facts)


def _columns(found: DataProfile) -> list[tuple[str, int]]:
    columns, targets = found.columns, found.target_columns
    shown = columns[:MOST_COLUMNS]
    width = max((min(len(harmless(column.name)), WIDEST_NAME) for column in shown), default=0)
    kinds = max((len(column.kind) for column in shown), default=0)
    lines = []
    for column in shown:
        facts = harmless(_of_column(column, column.name in targets))
        lines.append((f"  {harmless(column.name).ljust(width)}  {column.kind:{kinds}}  {facts}", width + kinds + 6))
    if len(columns) > MOST_COLUMNS:
        lines.append((f"  and {len(columns) - MOST_COLUMNS:,} more columns, all of them with --json", 2))
    return lines


def _of_column(column: ColumnProfile, is_target: bool) -> str:
    facts = [f"{column.distinct:,} distinct"]
    if not (column.in_train and column.in_test) and not is_target:
        facts.append("in train only" if column.in_train else "in test only")
    if column.missing:
        facts.append(f"{column.missing:.1%} missing")
    if column.low is not None and column.high is not None:
        facts.append(f"{column.low} to {column.high}")
    elif column.top:
        values = [harmless(value) for value, _ in column.top[:3]]
        cut = [value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 3]}..." for value in values]
        facts.append(f"often {', '.join(cut)}")
    if column.personal:
        facts.append(f"personal: {', '.join(column.personal)}")
    return ", ".join(facts)


def _warnings(warnings: Sequence[str]) -> list[tuple[str, int]]:
    return [(f"warning: {harmless(warning)}", 9) for warning in warnings]
