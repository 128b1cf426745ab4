"""Each table gets its role; this file finds train, test and sample submission among the tables, with reasons.

Evidence comes from names, from columns that two tables share, and from ids that two tables share. Roles of the other
tables (lookup, extra) follow from ``lookups``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.data_profile import Guess
from autokaggle.skills.dataset.tables import Table

TRAIN_WORDS = frozenset({"train", "training", "learn", "learning", "labeled", "labelled"})
TEST_WORDS = frozenset({"test", "testing", "holdout", "eval", "evaluation", "score", "scoring", "unseen", "unlabeled"})
SAMPLE_WORDS = frozenset({"submission", "submissions", "submit", "sample", "samplesubmission"})
OTHER_WORDS = frozenset({"extra", "supplement", "supplementary", "original", "old", "additional", "external", "meta"})
# Train and test names alone give 1, shared columns .4: less than this is a guess in the dark.
WEAKEST_PAIR = 0.6
WEAKEST_SAMPLE = 0.5
FEWEST_SAME = 200
OVERRULE = "Check the files, or point at a folder that holds train.csv, test.csv and sample_submission.csv."


@dataclass(frozen=True)
class Roles:
    """The tables that matter, None for a missing sample submission; ``guesses`` are keyed by role."""

    train: Table
    test: Table
    sample: Table | None
    guesses: dict[str, Guess]


def find_roles(
    tables: Sequence[Table], unreadable: Sequence[tuple[str, str]], *, has_other_files: bool = False
) -> Roles:
    """Choose train, test and sample submission; ``unreadable`` are (name, reason) of files that are no tables.

    ``has_other_files`` says that images or documents lie beside the tables: then the ids of the sample submission
    may stand for a missing test table.

    Raises:
        CompetitionUnusable: a needed file is missing, empty or damaged.
    """
    for name, reason in unreadable:
        if role := _named_role(name):
            raise CompetitionUnusable(f"{name} should be the {role} file, but it {reason}.", "Download the data again.")
    sample, sample_guess = _find_sample(tables)
    rest = [table for table in tables if table is not sample]
    tests = rest if sample is None or not has_other_files else [*rest, _ids_alone(sample)]
    pairs = [(_judge_pair(train, test, sample), train, test) for train in rest for test in tests if train is not test]
    (score, evidence), train, test = max(pairs, key=lambda pair: pair[0][0], default=((0.0, ""), None, None))
    if train is None or test is None or score < WEAKEST_PAIR:
        raise _missing_file(rest, tables)
    for table in (train, test):
        if not table.sample_rows:
            raise CompetitionUnusable(
                f"{table.name} has a header and no rows (line 1 is its last).", "Download the data again."
            )
    confidence = min(0.99, score / 2)
    guesses: dict[str, Guess] = {
        "train": Guess(value="train", confidence=confidence, evidence=evidence),
        "test": Guess(value="test", confidence=confidence, evidence=evidence),
    }
    if sample is not None:
        guesses["sample_submission"] = sample_guess
    return Roles(train=train, test=test, sample=sample, guesses=guesses)


def words_of(name: str) -> set[str]:
    """Split a path into lower-case words: ``aug_train_2020/trainingSet.csv`` has train, training, set."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return {word.lower() for word in re.split(r"[^A-Za-z]+", parted) if word}


def _own_words(name: str) -> set[str]:
    return words_of(name.rsplit("/", 1)[-1])


def _named_role(name: str) -> str | None:
    words = _own_words(name)
    if words & OTHER_WORDS:
        return None
    if words & SAMPLE_WORDS:
        return "sample submission"
    if words & TRAIN_WORDS:
        return "train"
    return "test" if words & TEST_WORDS else None


def _find_sample(tables: Sequence[Table]) -> tuple[Table | None, Guess]:
    judged = [(*_judge_sample(table, tables), table) for table in tables]
    # Test has the sample's ids too; the sample has fewer columns beside them.
    order = sorted(judged, key=lambda item: (-item[0], len(item[2].columns)))
    if not order or order[0][0] < WEAKEST_SAMPLE:
        return None, Guess(value="", confidence=0.0, evidence="")
    score, evidence, best = order[0]
    return best, Guess(value="sample_submission", confidence=min(0.99, score), evidence=evidence)


def _judge_sample(table: Table, tables: Sequence[Table]) -> tuple[float, str]:
    reasons: list[str] = []
    score = 0.0
    words = _own_words(table.name)
    if words & SAMPLE_WORDS and not words & {"train"}:
        score += 0.6 if words & {"submission", "submissions", "submit", "samplesubmission"} else 0.3
        reasons.append("its name")
    others = [other for other in tables if other is not table and (score or len(other.columns) >= len(table.columns))]
    if len(table.columns) >= 2 and any(_has_same_ids(table, other) for other in others):
        score += 0.5
        reasons.append("it has the ids of another table, in the same order, and columns that table lacks")
    if len(table.columns) < 2:
        score -= 0.5
    return score, "; ".join(reasons)


def _has_same_ids(table: Table, other: Table) -> bool:
    """Tell whether ``table`` lists ``other``'s first column's values, beside columns that ``other`` lacks."""
    shared = [column for column in table.columns if column in other.columns]
    if not shared or len(shared) == len(table.columns):
        return False
    rows = min(table.sample_rows, other.sample_rows)
    # A short lookup table may begin like a column of test; the first rows of long tables are cut.
    if rows < FEWEST_SAME and table.sample_rows != other.sample_rows:
        return False
    ids = table.sample[shared[0]][:rows]
    return rows > 0 and ids == other.sample[shared[0]][:rows] and len(set(ids)) > 0.9 * rows


def _ids_alone(sample: Table) -> Table:
    """The sample submission without what it predicts: its first column."""
    first = sample.columns[0]
    return replace(
        sample, columns=(first,), scan=f"(SELECT c0 FROM {sample.scan})", sample={first: sample.sample[first]}
    )


def _judge_pair(train: Table, test: Table, sample: Table | None) -> tuple[float, str]:
    """Score a pair of tables as train and test; about 2 when everything speaks for them."""
    score, reasons = 0.0, []
    for table, words, opposite, role in (
        (train, TRAIN_WORDS, TEST_WORDS, "train"),
        (test, TEST_WORDS, TRAIN_WORDS, "test"),
    ):
        own = _own_words(table.name)
        # A folder called "train" speaks less clearly than a file.
        named = 0.5 if own & words else 0.2 if words_of(table.name) & words else 0.0
        named -= 0.5 if own & opposite and not own & words else 0.0
        named -= 0.1 if own & OTHER_WORDS else 0.0
        score += named
        if named > 0:
            reasons.append(f"{table.name} is named like a {role} file")
    shared = [column for column in test.columns if column in train.columns]
    score += 0.4 * len(shared) / len(test.columns)
    reasons.append(f"{len(shared)} of {len(test.columns)} test columns are in train")
    only_train = [column for column in train.columns if column not in test.columns]
    score += 0.2 if only_train else -0.3
    if sample is not None:
        predicted = [column for column in sample.columns if column not in test.columns]
        if _has_same_ids(sample, test):
            score += 0.4
            reasons.append(f"{sample.name} lists the ids of {test.name}")
        if predicted and all(column in train.columns for column in predicted):
            score += 0.2
            reasons.append(f"{train.name} has {', '.join(predicted[:3])}")
    return score, "; ".join(reasons)


def _missing_file(rest: Sequence[Table], tables: Sequence[Table]) -> CompetitionUnusable:
    names = ", ".join(table.name for table in tables) or "no table at all"
    if not rest:
        return CompetitionUnusable(f"No training table was found; the data hold {names}.", OVERRULE)
    has_train = any(_own_words(table.name) & TRAIN_WORDS for table in rest)
    lacking = "test" if has_train else "training"
    return CompetitionUnusable(f"No {lacking} table was found; the data hold {names}.", OVERRULE)
