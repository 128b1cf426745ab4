"""What can be decided before the search; this file reads each kind of value, refuses what cannot be, and doubts what
contradicts data or rules.

The same reading serves ``/decide KEY=VALUE``, a file with answers, and what a language model proposes.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from autokaggle.errors import UsageError
from autokaggle.records.data_profile import MADE_COLUMN
from autokaggle.skills.dialogue.brief import Brief

Value = Any

SURE = 0.7
FEWEST_FOLDS, MOST_FOLDS = 2, 50
SHORTEST_BUDGET_SECONDS, LONGEST_BUDGET_SECONDS = 1.0, 30 * 86400.0
MOST_IDEAS, LONGEST_IDEA = 12, 240
SCHEMES = ("kfold", "stratified", "group", "stratified_group", "time")
COLUMN_SCHEMES = ("group", "stratified_group", "time")
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")
# Words that a rule may forbid, by the name of its gate.
FORBIDDEN_WORDS = {
    "external_data": re.compile(
        r"\b(external|outside|additional|public)\s+(data|source)|\bdownload|\bscrap(e|ing)|\boriginal\s+data|"
        r"\bwikipedia|\bweb\s*sites?\b|\bpre-?trained",
        re.IGNORECASE,
    ),
    "hand_labelling": re.compile(r"\bhand[\s-]?label|\bmanual(ly)?\s+label|\blabel\w*\s+(by\s+hand|manually)", re.I),
}


def read_value(key: str, text: str, brief: Brief) -> tuple[Value, str]:
    """Read a value as a person or a model writes it; return it with a doubt, "" when nothing speaks against it.

    Raises:
        UsageError: there is no such key, or the value cannot be.
    """
    if key not in READERS:
        raise UsageError(f"There is no decision {key!r}.", f"Known: {', '.join(READERS)}.")
    if brief.has_results and key in SETTLED_KEYS:
        raise UsageError(
            f"{key} is settled: scores exist that later ones must be comparable with.", "Start a new run to change it."
        )
    return READERS[key](text.strip(), brief)


def written(value: Value) -> str:
    """Write a value so that ``read_value`` reads it again."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _metric(text: str, brief: Brief) -> tuple[Value, str]:
    name = text.lower().replace("-", "_").replace(" ", "_")
    _must_be_known(name, brief.metrics, "metric")
    if problem := brief.metric_problems.get(name):
        raise UsageError(f"{name} cannot score this competition: {problem}.", "Choose another metric.")
    stated = brief.competition.metric
    if stated.metric and stated.metric != name and stated.confidence >= SURE:
        return name, f"the competition names {stated.metric} ({stated.confidence:.0%} sure): {stated.evidence[:160]}"
    if stated.metric != name and {brief.metrics[name], brief.profile.submission_kind} == {"label", "probability"}:
        return name, f"it compares a {brief.metrics[name]}, and the submission holds a {brief.profile.submission_kind}"
    return name, ""


def _target(text: str, brief: Brief) -> tuple[Value, str]:
    names = _columns(text, brief)
    if not names:
        raise UsageError("A target is needed.", "Name a column of train.")
    known = {column.name: column for column in brief.profile.columns}
    for name in names:
        if name in brief.profile.id_columns:
            raise UsageError(f"{name!r} is an id, which cannot be predicted.", "Name another column.")
        if not known[name].in_train:
            raise UsageError(f"{name!r} is not in train.", "Name a column of train.")
    if both := [name for name in names if known[name].in_test]:
        return names, f"test has {', '.join(map(repr, both))} as well: there would be nothing to predict"
    guess = brief.profile.target_guess
    if tuple(names) != brief.profile.target_columns and guess.confidence >= SURE:
        return names, f"{guess.evidence} ({guess.confidence:.0%} sure)"
    return names, ""


def _validation(text: str, brief: Brief) -> tuple[Value, str]:
    value = _scheme(text)
    scheme, column, profile = value["scheme"], value["column"], brief.profile
    if scheme not in SCHEMES:
        raise UsageError(f"{scheme!r} is no validation scheme.", f"Choose one of {', '.join(SCHEMES)}.")
    if (column is not None) != (scheme in COLUMN_SCHEMES):
        needs = "needs a column" if column is None else "takes no column"
        raise UsageError(f"{scheme} {needs}.", "Write kfold, stratified, group:COLUMN or time:COLUMN.")
    if not FEWEST_FOLDS <= value["folds"] <= min(MOST_FOLDS, profile.train_rows):
        raise UsageError(f"{value['folds']} folds cannot be.", f"Choose {FEWEST_FOLDS} to {MOST_FOLDS}.")
    if column is not None:
        made = MADE_COLUMN.fullmatch(column)
        base = column if column in brief.column_names or not made else made["part"] or made["day"] or made["days"]
        _must_be_known(base, brief.column_names, "column")
        found = next(one for one in profile.columns if one.name == base)
        if made and base != column and not made["part"] and found.type not in ("TIMESTAMP", "DATE"):
            raise UsageError(f"{base!r} holds no dates.", "Name another column.")
        if base in profile.target_columns:
            raise UsageError(f"{base!r} is the target: folds made from it would tell nothing.", "Name another column.")
        if not found.in_train:
            raise UsageError(f"{base!r} is not in train.", "Name a column of train.")
        if base == column and "group" in scheme and found.distinct >= profile.train_rows:
            return value, f"every row has a {column!r} of its own, so that groups change nothing"
    if scheme == "stratified" and not profile.classes:
        return value, "the target is a number, which has no classes to spread over the folds"
    hint = profile.split
    if hint.scheme in COLUMN_SCHEMES and hint.confidence >= SURE and (scheme, column) != (hint.scheme, hint.column):
        return value, f"the data speak for {hint.scheme}:{hint.column} ({hint.confidence:.0%} sure): {hint.reason}"
    return value, ""


def _families(text: str, brief: Brief) -> tuple[Value, str]:
    names = [name.lower() for name in _items(text)]
    names = [] if names in (["auto"], ["all"]) else names
    for name in names:
        _must_be_known(name, brief.families, "model family")
    return names, ""


def _template(text: str, brief: Brief) -> tuple[Value, str]:
    _must_be_known(text, brief.templates, "template")
    return text, ""


def _drop_columns(text: str, brief: Brief) -> tuple[Value, str]:
    names = _columns(text, brief)
    if targets := [name for name in names if name in brief.profile.target_columns]:
        raise UsageError(f"{targets[0]!r} is the target, which is no feature anyway.", "Leave it out of the list.")
    left = [name for name in brief.column_names if name not in (*names, *_never_features(brief))]
    if not left:
        raise UsageError("Without these columns no feature is left.", "Keep at least one column.")
    return names, ""


def _ideas(text: str, brief: Brief) -> tuple[Value, str]:
    """Read sentences, which no column's name or setting is hidden in."""
    items = [" ".join(item.split())[:LONGEST_IDEA] for item in _items(text, separator=";")][:MOST_IDEAS]
    for gate in brief.competition.gates:
        words = FORBIDDEN_WORDS.get(gate.name)
        if gate.value is False and words is not None and (named := [item for item in items if words.search(item)]):
            return items, f"{named[0]!r} may break a rule: {gate.sentence}"
    return items, ""


def _budget(text: str, brief: Brief) -> tuple[Value, str]:
    parts = DURATION.findall(text.lower())
    if not parts or DURATION.sub("", text.lower()).strip():
        raise UsageError(f"{text!r} is no duration.", "Write it like 90s, 10m or 1h30m.")
    seconds = sum(float(number) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)
    if not SHORTEST_BUDGET_SECONDS <= seconds <= LONGEST_BUDGET_SECONDS:
        raise UsageError(f"{text!r} is out of range.", "Give between 1s and 30 days.")
    return seconds, "so little time is enough for a quick baseline only" if seconds < 20 else ""


def _gpu(text: str, brief: Brief) -> tuple[Value, str]:
    _must_be_known(text.lower(), ("on", "off"), "choice")
    if text.lower() == "on" and not brief.gpu:
        raise UsageError("No GPU was found when this run began.", "A new run with --gpu on says what is missing.")
    return text.lower(), ""


READERS: dict[str, Callable[[str, Brief], tuple[Value, str]]] = {
    "metric": _metric,
    "target": _target,
    "validation": _validation,
    "families": _families,
    "template": _template,
    "drop_columns": _drop_columns,
    "features_to_try": _ideas,
    "features_to_avoid": _ideas,
    "constraints": _ideas,
    "budget": _budget,
    "gpu": _gpu,
}
# A further value adds to what stands; an empty one clears it.
GROWING_KEYS = frozenset({"drop_columns", "features_to_try", "features_to_avoid", "constraints"})
SETTLED_KEYS = frozenset({"metric", "target", "validation", "template"})
# No language model sets these, whatever it says.
PERSONS_KEYS = frozenset({"budget", "template", "gpu"})


def _scheme(text: str) -> dict[str, Any]:
    """Read ``group:farm,folds=8``, or the JSON object that a column with a comma in its name needs."""
    value: dict[str, Any] = {"scheme": "", "column": None, "folds": 5, "repeats": 1}
    if text.startswith("{"):
        given = _json(text)
        if not isinstance(given, dict) or set(given) - set(value):
            raise UsageError(f"{text[:80]!r} is no validation scheme.", 'Write {"scheme": ..., "column": ..., ...}.')
        value |= given
    else:
        text, *numbers = re.split(r",\s*(?=(?:folds|repeats)\s*=)", text)
        scheme, colon, column = text.strip().partition(":")
        value |= {"scheme": scheme.strip(), "column": column.strip() if colon and column.strip() else None}
        for number in numbers:
            name, _, count = number.partition("=")
            value[name.strip()] = count.strip()
    try:
        value |= {"folds": int(value["folds"]), "repeats": max(1, min(10, int(value["repeats"])))}
    except (TypeError, ValueError) as error:
        raise UsageError("The number of folds is no number.", "Write it like kfold,folds=8.") from error
    value["scheme"] = str(value["scheme"]).lower()
    value["column"] = None if value["column"] is None else str(value["column"])
    return value


def _columns(text: str, brief: Brief) -> list[str]:
    names = [text] if text in brief.column_names else _items(text)
    for name in names:
        _must_be_known(name, brief.column_names, "column")
    return names


def _items(text: str, separator: str = ",") -> list[str]:
    """Read a JSON list, or a list with separators."""
    if text.startswith("["):
        items = _json(text)
        if not isinstance(items, list):
            raise UsageError(f"{text[:80]!r} is no list.", 'Write it like ["a", "b"].')
        return list(dict.fromkeys(str(item) for item in items if str(item)))
    return list(dict.fromkeys(item.strip() for item in text.split(separator) if item.strip()))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{text[:80]!r} cannot be read as JSON.", 'Write lists like ["a", "b"].') from error


def _must_be_known(name: str, known: Iterable[str], what: str) -> None:
    names = list(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(names[:20])}."
    raise UsageError(f"There is no {what} {name!r}.", hint)


def _never_features(brief: Brief) -> tuple[str, ...]:
    profile = brief.profile
    useless = [column.name for column in profile.columns if not column.in_train or not column.in_test]
    return (*profile.target_columns, *profile.id_columns, *useless)
