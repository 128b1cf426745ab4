"""What a reader should know before trusting the data; this file words the warnings of a profile."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autokaggle.records.data_profile import ColumnProfile, SplitHints
from autokaggle.skills.dataset.column_facts import Facts
from autokaggle.skills.dataset.drift import drift_by_chance
from autokaggle.skills.dataset.lookups import OtherTable
from autokaggle.skills.dataset.table_writer import Written
from autokaggle.skills.dataset.tables import Table
from autokaggle.skills.dataset.targets import Submission

STRONG_DRIFT = 0.2
STRONG_AUC = 0.7
MANY_COPIES = 0.01
UNSURE = 0.6
MOST_NAMED = 8
# Of more labels than this share of the rows most occur once.
LABELS_PER_ROW = 0.5


@dataclass(frozen=True)
class Gap:
    """Where a target has no value for the first time, counted from 1, and which texts stand for missing in it."""

    first_row: int
    texts: tuple[str, ...]


def about_file(table: Table) -> list[str]:
    """Warn of renamed columns and rows of the wrong length."""
    found = [f"{table.name}: {warning}" for warning in table.warnings]
    if table.ragged_rows:
        found.append(
            f"{table.name}: {table.ragged_rows} rows have too many or too few cells, first in line "
            f"{table.first_ragged_line}; short ones were filled up as missing, long ones cut"
        )
    return found


def about_others(others: Iterable[tuple[str, OtherTable]]) -> list[str]:
    """Warn of tables, by file name, that know train's rows only."""
    return [f"{name}: {other.evidence}; no feature is made of it" for name, other in others if other.is_of_train_alone]


def about_target(
    submission: Submission,
    train: Mapping[str, Facts],
    classes: Mapping[str, Sequence[str]],
    gaps: Mapping[str, Gap],
) -> list[str]:
    """Warn of targets with one value, without values, with too many, and of labels that train never shows."""
    found: list[str] = []
    guess = submission.target_guess
    if guess.confidence < UNSURE:
        found.append(f"the target {guess.value!r} is a guess ({guess.confidence:.0%} sure): {guess.evidence}")
    for name in submission.target_columns:
        facts = train[name]
        if facts.distinct <= 1:
            found.append(f"the target {name!r} has one value in all rows of train: there is nothing to learn")
        elif name in classes and facts.distinct > LABELS_PER_ROW * facts.known:
            found.append(
                f"the target {name!r} has {facts.distinct} labels in {facts.known} rows of train: hardly any can be "
                "learned; if it holds amounts, write them as numbers"
            )
        if facts.known < facts.rows:
            gap = gaps[name]
            what = f"empty or no number ({_names(gap.texts)})" if gap.texts else "empty"
            found.append(
                f"the target {name!r} is {what} in {facts.rows - facts.known} of {facts.rows} rows of train, first in "
                f"row {gap.first_row}: these do not train"
            )
    if len(submission.target_columns) == 1:
        unseen = sorted(set(submission.labels.values()) - set(classes.get(submission.target_columns[0], ())))
        if submission.labels and unseen:
            found.append(f"the submission asks for labels that train never shows: {_names(unseen)}")
    return found


def about_ids(
    submission: Submission, train_copies: int, test_copies: int, test: Written, sample: Written | None
) -> list[str]:
    """Warn of ids that occur twice, and of a sample submission that lists other rows than test."""
    ids = ", ".join(submission.id_columns)
    found = [
        f"{copies} rows of {where} repeat an id ({ids}) of an earlier row"
        for where, copies in (("train", train_copies), ("test", test_copies))
        if copies
    ]
    if sample is not None and submission.id_columns:
        first = submission.id_columns[0]
        listed, held = sample.table.sample.get(first, ()), test.table.sample.get(first, ())
        is_under_another_name = first not in test.table.columns and listed in test.table.sample.values()
        if listed != held and set(listed) != set(held) and not is_under_another_name:
            found.append(f"{sample.table.name} lists other ids than {test.table.name}; the sample's rows are handed in")
    return found


def about_columns(
    columns: Sequence[ColumnProfile], targets: Collection[str], parts: Mapping[str, Sequence[str]]
) -> list[str]:
    """Warn of columns that only one side has or fills, of those that make up a target, of copies, of personal data."""
    features = [column for column in columns if column.name not in targets]
    only_train = [column.name for column in features if not column.in_test]
    only_test = [column.name for column in features if not column.in_train]
    empty = [column.name for column in features if column.in_train and column.missing_test == 1]
    copies = [f"{column.name!r} of {column.duplicate_of!r}" for column in features if column.duplicate_of]
    personal = [f"{column.name!r} ({', '.join(column.personal)})" for column in features if column.personal]
    found = []
    if only_train:
        found.append(f"only train has {_names(only_train)}: left out of the features")
    for target, names in parts.items():
        if names:
            verb = "equals" if len(names) == 1 else "add up to"
            makes = f"{' and '.join(map(repr, names))} {verb} the target {target!r}"
            found.append(f"{makes}: as a feature it would leak the answer")
    if only_test:
        found.append(f"only test has {_names(only_test)}: left out of the features")
    if empty:
        found.append(f"test has no value in {_names(empty)}")
    if copies:
        found.append(f"copies: {', '.join(copies[:MOST_NAMED])}")
    if personal:
        found.append(f"personal data, masked wherever values are shown: {', '.join(personal)}")
    return found


def about_split(columns: Sequence[ColumnProfile], split: SplitHints, train: Facts, test: Facts) -> list[str]:
    """Warn of drift, of rows that are easily told apart, of many copied rows, and of a hasty look.

    ``train`` and ``test`` are the facts of any column of each.
    """
    chance = drift_by_chance(train.sampled, test.sampled)
    drifted = sorted(
        (
            column
            for column in columns
            if (column.drift or 0) > max(STRONG_DRIFT, 2 * chance) and column.name != split.column
        ),
        key=lambda column: -(column.drift or 0),
    )
    found = []
    if drifted:
        shown = ", ".join(f"{column.name!r} ({column.drift:.2f})" for column in drifted[:MOST_NAMED])
        found.append(f"test is distributed unlike train in {shown}")
    if (split.adversarial_auc or 0) >= STRONG_AUC:
        by = f", by {_names(split.adversarial_columns)}" if split.adversarial_columns else ""
        found.append(f"test rows can be told from train rows (AUC {split.adversarial_auc:.2f}{by})")
    if (split.duplicate_train_rows or 0) > MANY_COPIES * train.rows:
        found.append(f"{split.duplicate_train_rows} rows of train have the same features as an earlier row")
    if (split.duplicate_rows_across or 0) > MANY_COPIES * test.rows:
        found.append(f"{split.duplicate_rows_across} rows of test have the same features as a row of train")
    if split.duplicate_train_rows is None:
        found.append(
            f"there was little time for tables of this size: kinds of columns, drift and shares of values are those of "
            f"{train.sampled:,} of {train.rows:,} rows, and copied rows were not counted"
        )
    return found


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:MOST_NAMED]))
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"
