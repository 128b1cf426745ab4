"""What is to be predicted; this file finds ids, target columns and the kind of value that a submission holds.

It works on the first rows of each table; what a decision needs exactly (classes, unique ids) is checked
on all rows by ``data_profiler``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autokaggle.errors import CompetitionUnusable, UsageError
from autokaggle.records.data_profile import Guess, SubmissionKind
from autokaggle.skills.dataset.column_types import infer, is_number
from autokaggle.skills.dataset.file_roles import Roles
from autokaggle.skills.dataset.tables import Table

TARGET_NAMES = ("target", "label", "class", "y", "outcome", "response", "result", "category", "score", "price")
PROBABILITY_WORDING = re.compile(
    r"\bauc\b|area under|roc curve|log ?loss|logarithmic loss|cross.?entropy|brier|\bgini\b|average precision|"
    r"probabilit",
    re.IGNORECASE,
)
MOST_PARTS = 12
OVERRULE = "Name the column with --target-column NAME, or add a sample submission file."


@dataclass(frozen=True)
class Submission:
    """What Kaggle wants back and which train columns answer it.

    ``columns`` are the predicted columns of the submission file, in its order, without the ids. ``labels`` maps each
    of them to the label whose probability it holds, for ``class_probability`` only.
    """

    id_columns: tuple[str, ...]
    id_guess: Guess
    target_columns: tuple[str, ...]
    target_guess: Guess
    columns: tuple[str, ...]
    labels: dict[str, str]
    is_ranked: bool = False


def find_submission(roles: Roles, pages: Mapping[str, str], target: Sequence[str] = ()) -> Submission:
    """Find ids and targets; ``target`` names the target columns and overrules every guess.

    Raises:
        UsageError: ``target`` names a column that train lacks.
        CompetitionUnusable: no column of train can be the target.
    """
    ids, id_guess = _find_ids(roles)
    predicted = _predicted_columns(roles, ids) if roles.sample else _shown_columns(roles, ids, pages)
    if target:
        return _given(roles, ids, id_guess, predicted, tuple(target))
    candidates = _only_in_train(roles, ids)
    asked = Guess(
        value=", ".join(predicted),
        confidence=0.98 if roles.sample else 0.9,
        evidence=f"{_name(roles.sample)} asks for {', '.join(predicted)}, which train has",
    )
    if predicted and all(column in candidates for column in predicted):
        return _submission(roles, ids, id_guess, predicted, asked, predicted)
    if wide := _wide(roles, candidates, predicted):
        column, labels = wide
        guess = Guess(
            value=column,
            confidence=0.95,
            evidence=f"the submission's columns {', '.join(predicted[:4])} are the values of {column}",
        )
        return Submission(ids, id_guess, (column,), guess, predicted, labels)
    if predicted and all(column in roles.train.columns for column in predicted):
        return _submission(roles, ids, id_guess, predicted, asked, predicted)
    if not candidates:
        raise CompetitionUnusable(
            f"No target was found: every column of {roles.train.name} is in {roles.test.name} too.", OVERRULE
        )
    column, guess = _best_candidate(candidates, pages, roles)
    return _submission(roles, ids, id_guess, (column,), guess, predicted or (column,))


def same_ids(roles: Roles, ids: Sequence[str]) -> tuple[str, ...]:
    """Find the test columns that hold the sample submission's ids under another name, such as ``ID`` for ``id``."""
    if roles.sample is None or any(name in roles.test.columns for name in ids):
        return ()
    listed = [roles.sample.sample[name] for name in ids]
    return tuple(
        name
        for name, values in roles.test.sample.items()
        if any(_lists_same(values, wanted) and _is_unique(values) for wanted in listed)
    )


def wants_probabilities(text: str) -> bool:
    """Tell whether an evaluation text scores probabilities rather than labels."""
    return bool(PROBABILITY_WORDING.search(text))


def submission_kind(
    submission: Submission, sample: Table | None, is_classification: bool, evaluation: str
) -> SubmissionKind:
    """Decide what one cell of the submission holds; the sample's own values weigh most."""
    if submission.is_ranked:
        return "ranked_labels"
    if submission.labels:
        return "class_probability"
    if not is_classification:
        return "value"
    if sample is not None:
        cells = {cell for column in submission.columns for cell in sample.sample.get(column, ()) if cell}
        if not all(map(is_number, cells)):
            return "label"
        if not all(float(cell).is_integer() for cell in cells):
            return "probability"
    return "probability" if wants_probabilities(evaluation) else "label"


def _given(
    roles: Roles, ids: tuple[str, ...], id_guess: Guess, predicted: tuple[str, ...], target: tuple[str, ...]
) -> Submission:
    unknown = [column for column in target if column not in roles.train.columns]
    if unknown:
        raise UsageError(
            f"{roles.train.name} has no column {unknown[0]!r}.",
            f"Choose one of: {', '.join(roles.train.columns[:30])}.",
        )
    guess = Guess(value=", ".join(target), confidence=1.0, evidence="named by the user")
    wide = _wide(roles, target, predicted)
    if wide and len(target) == 1:
        return Submission(ids, id_guess, target, guess, predicted, wide[1])
    columns = predicted if len(predicted) == len(target) else target
    return _submission(roles, ids, id_guess, target, guess, columns)


def _submission(
    roles: Roles,
    ids: tuple[str, ...],
    id_guess: Guess,
    targets: tuple[str, ...],
    guess: Guess,
    columns: tuple[str, ...],
) -> Submission:
    ranked = len(targets) == 1 and len(columns) == 1 and _is_ranked(roles, targets[0], columns[0])
    return Submission(ids, id_guess, targets, guess, columns, {}, ranked)


def _find_ids(roles: Roles) -> tuple[tuple[str, ...], Guess]:
    test, sample = roles.test, roles.sample
    if sample is not None:
        shared = tuple(column for column in sample.columns if column in test.columns)
        listed = tuple(column for column in shared if _lists_same(sample.sample[column], test.sample[column]))
        if shared := listed or shared[:1]:
            text = f"{sample.name} and {test.name} share {', '.join(shared)}"
            return shared, Guess(value=", ".join(shared), confidence=0.98, evidence=text)
        return _first_unique(sample.columns[:1], sample, f"the first column of {sample.name}")
    both = [column for column in test.columns if column in roles.train.columns]
    return _first_unique(both, test, f"unique in {test.name}")


def _lists_same(first: Sequence[str | None], second: Sequence[str | None]) -> bool:
    rows = min(len(first), len(second))
    return first[:rows] == second[:rows] or (len(first) == len(second) and set(first) == set(second))


def _first_unique(columns: Sequence[str], table: Table, reason: str) -> tuple[tuple[str, ...], Guess]:
    unique = [column for column in columns if _is_unique(table.sample[column])]
    named = [column for column in unique if re.search(r"(^|[_\W])(id|key|index|uuid|no|nr)$|Id$|ID$", column)]
    chosen = (named or [column for column in unique if infer(table.sample[column]).name != "DOUBLE"])[:1]
    if not chosen:
        return (), Guess(value="", confidence=0.5, evidence="no column is unique; the order of the rows is the id")
    confidence = 0.85 if named else 0.5
    return tuple(chosen), Guess(value=chosen[0], confidence=confidence, evidence=reason)


def _is_unique(values: Sequence[str | None]) -> bool:
    return None not in values and len(set(values)) == len(values)


def _predicted_columns(roles: Roles, ids: tuple[str, ...]) -> tuple[str, ...]:
    if roles.sample is None:
        return ()
    return tuple(column for column in roles.sample.columns if column not in ids)


def _shown_columns(roles: Roles, ids: tuple[str, ...], pages: Mapping[str, str]) -> tuple[str, ...]:
    """Find the header of a submission that the pages show, such as ``id,price``: ids first, then what test lacks."""
    for line in (line.strip(" `\t\r") for text in pages.values() for line in text.splitlines()):
        first, *others = (cell.strip(" \"'") for cell in line.split(","))
        names = [name for name in others if name not in ids]
        is_header = first in (ids or roles.test.columns) and names and all(names) and not any(map(is_number, names))
        if is_header and not set(names) & set(roles.test.columns):
            return tuple(names)
    return ()


def _only_in_train(roles: Roles, ids: tuple[str, ...]) -> list[str]:
    """A test column without any value says as much as none."""
    test = {column for column, values in roles.test.sample.items() if any(value is not None for value in values)}
    return [column for column in roles.train.columns if column not in test and column not in ids]


def _wide(roles: Roles, candidates: Sequence[str], predicted: tuple[str, ...]) -> tuple[str, dict[str, str]] | None:
    """Match submission columns such as Status_C, Status_CL, Status_D to the values C, CL, D of one train column."""
    if len(predicted) < 2:
        return None
    for column in candidates:
        values = {value for value in roles.train.sample[column] if value is not None}
        if len(values) > 2 * len(predicted) + 2 or not values:
            continue
        if labels := _match_labels(column, predicted, values):
            return column, labels
    return None


def _match_labels(column: str, predicted: tuple[str, ...], values: set[str]) -> dict[str, str] | None:
    """Strip what all submission columns start with; at least the values seen must be matched."""
    prefixes = [f"{column}_", f"{column}", f"{column} ", "class_", "Class_", "label_", "prob_", "p_", ""]
    shared = _common_prefix(predicted)
    for prefix in dict.fromkeys((*prefixes, shared, shared.rstrip("0123456789"))):
        if all(name.startswith(prefix) for name in predicted):
            labels = {name: name[len(prefix) :] for name in predicted}
            if values <= set(labels.values()):
                return labels
            loose = {value.strip().casefold().replace(" ", "_"): value for value in values}
            folded = {name: loose.get(label.strip().casefold().replace(" ", "_")) for name, label in labels.items()}
            found = {name: label for name, label in folded.items() if label is not None}
            if len(found) == len(predicted) == len(values):
                return found
    return None


def _common_prefix(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]


def _is_ranked(roles: Roles, target: str, column: str) -> bool:
    """Tell a submission whose cells are several labels, best first, parted by spaces."""
    if roles.sample is None:
        return False
    cells = [cell for cell in roles.sample.sample[column][:1000] if cell]
    lists = [cell.split() for cell in cells]
    if not lists or max(len(parts) for parts in lists) < 2:
        return False
    labels = {value for value in roles.train.sample[target] if value is not None}
    known = sum(part in labels for parts in lists for part in parts)
    return known >= 0.9 * sum(len(parts) for parts in lists) and not any(" " in label for label in labels)


def _best_candidate(candidates: Sequence[str], pages: Mapping[str, str], roles: Roles) -> tuple[str, Guess]:
    """Rank the columns that only train has by the pages' words, their name and their place."""
    text = "\n".join(pages.values())
    total = _sum_of_the_others(candidates, roles)
    scored = []
    for column in candidates:
        score, reasons = 0.5, ["only train has it"]
        if re.search(rf"(predict|target is|target:?)\W{{1,6}}{re.escape(column)}\b", text, re.IGNORECASE):
            score, reasons = score + 0.3, [*reasons, "the pages ask for it"]
        if column.lower() in TARGET_NAMES:
            score, reasons = score + 0.1, [*reasons, "its name"]
        if column == roles.train.columns[-1]:
            score, reasons = score + 0.03, [*reasons, "it is the last column"]
        if column == total:
            score, reasons = score + 0.3, [*reasons, "the other columns that only train has add up to it"]
        if len(candidates) == 1:
            score, reasons = score + 0.3, [*reasons, "no other column is missing from test"]
        scored.append((score, column, reasons))
    score, column, reasons = max(scored, key=lambda item: item[0])
    return column, Guess(value=column, confidence=min(0.95, score), evidence=", ".join(reasons))


def _sum_of_the_others(candidates: Sequence[str], roles: Roles) -> str | None:
    """Find the candidate that the others add up to, such as all riders among those of two kinds."""
    if not 3 <= len(candidates) <= MOST_PARTS:
        return None
    rows = list(zip(*(roles.train.sample[column] for column in candidates), strict=True))
    numbers = [[float(cell) for cell in row] for row in rows if all(cell and is_number(cell) for cell in row)]
    if not numbers or len(numbers) < len(rows) / 2:
        return None
    for place, column in enumerate(candidates):
        if all(math.isclose(sum(row), 2 * row[place], rel_tol=1e-6) for row in numbers) and any(map(any, numbers)):
            return column
    return None


def _name(table: Table | None) -> str:
    return table.name if table is not None else "the submission that the pages show"
