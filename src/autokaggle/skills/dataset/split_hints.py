"""How test differs from train; this file finds the split behind the competition and the validation that mirrors it.

A split by time shows in ranges of dates that do not overlap; a split by groups in values that repeat, yet never on
both sides, where chance would have put some on both; a split into stretches of time in days that take turns less often
than chance would have them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import msgspec
import numpy as np

from autokaggle.records.data_profile import MADE_COLUMN, SplitHints, ValidationScheme
from autokaggle.skills.dataset.column_facts import Facts
from autokaggle.skills.dataset.column_types import is_time
from autokaggle.skills.dataset.drift import tell_apart
from autokaggle.skills.dataset.repeats import count_copied_rows
from autokaggle.storage.parquet_tables import quote_identifier, quote_text

TIME_NAME = re.compile(
    r"(^|[_\W])(year|yr|month|week|day|date|time|timestamp|step|period|block|quarter)([_\W]|$)", re.I
)
FEWEST_GROUPS = 10
NOTABLE_AUC = 0.55
# The logarithm of a chance of one in a billion.
BEYOND_CHANCE = -20.7
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Group:
    """A column, or a part of one, whose values lie wholly in train or wholly in test, and how that was seen.

    ``column`` is in the notation of ``SplitHints.column``.
    """

    column: str
    groups: int
    seen: str
    log_chance: float

    @property
    def reason(self) -> str:
        """What was seen, and how unlikely that is."""
        return f"{self.seen}, which chance would give once in 10^{-self.log_chance / math.log(10):.0f}"


def find_split(
    connection: duckdb.DuckDBPyConnection,
    train_path: Path,
    test_path: Path,
    train: Mapping[str, Facts],
    test: Mapping[str, Facts],
    *,
    ids: Collection[str],
    is_classification: bool,
    counts_copies: bool = True,
) -> SplitHints:
    """Name the validation scheme that mirrors how test was cut from train, with the reason.

    Copied rows are not counted where ``counts_copies`` is False: that takes a pass over all columns.
    """
    shared = [name for name in train if name in test]
    timed, timed_test = (
        {name: _as_moments(connection, path, name, fact) if name in ids else fact for name, fact in facts.items()}
        for path, facts in ((train_path, train), (test_path, test))
    )
    hints = _scheme(connection, train_path, test_path, shared, timed, timed_test, ids, is_classification)
    makes_folds = [name for name in shared if hints.column is not None and _is_made_of(hints.column, name)]
    names = [name for name in shared if name not in (*ids, *makes_folds) and test[name].known]
    adversary = tell_apart(train, test, names)
    within: int | None = None
    across: int | None = None
    if counts_copies:
        # A time that names the row also tells it from others; any other id would hide every copy.
        told = {name: train[name] for name in shared if name not in ids or timed[name].type == "TIMESTAMP"}
        within, across = count_copied_rows(connection, train_path, test_path, told, _rows(train))
    return msgspec.structs.replace(
        hints,
        adversarial_auc=adversary.auc if adversary else None,
        adversarial_columns=adversary.columns if adversary and adversary.auc >= NOTABLE_AUC else (),
        duplicate_train_rows=within,
        duplicate_rows_across=across,
    )


def _as_moments(connection: duckdb.DuckDBPyConnection, path: Path, name: str, fact: Facts) -> Facts:
    """Return the facts of an id's moments where it names each row by one, which stays text to go back as it came."""
    if fact.type != "VARCHAR" or not fact.counts or not all(map(is_time, fact.counts)):
        return fact
    moment = f"epoch({_moment(name)})"
    query = f"SELECT count({moment}), min({moment}), max({moment}) FROM read_parquet({quote_text(str(path))})"
    row = connection.execute(query).fetchone()
    if row is None or row[0] < fact.known:
        return fact
    texts = [text for text in fact.texts if text is not None]
    found = connection.execute("SELECT epoch(CAST(unnest(?) AS TIMESTAMP)) AS moment", [texts]).fetchnumpy()["moment"]
    return replace(fact, type="TIMESTAMP", smallest=row[1], largest=row[2], numbers=np.asarray(found), texts=())


def _moment(name: str) -> str:
    """Return the SQL of a column's moments, also of one whose text is kept."""
    return f"TRY_CAST({quote_identifier(name)} AS TIMESTAMP)"


def _is_made_of(notation: str, name: str) -> bool:
    """Say whether ``notation`` (see ``SplitHints.column``) is this column or a part of it."""
    made = MADE_COLUMN.fullmatch(notation)
    return name == notation or (made is not None and name in (made["part"], made["day"], made["days"]))


def _rows(facts: Mapping[str, Facts]) -> int:
    return max((fact.rows for fact in facts.values()), default=0)


def _scheme(
    connection: duckdb.DuckDBPyConnection,
    train_path: Path,
    test_path: Path,
    shared: Sequence[str],
    train: Mapping[str, Facts],
    test: Mapping[str, Facts],
    ids: Collection[str],
    is_classification: bool,
) -> SplitHints:
    if (ordered := _time_column(shared, train, test)) is not None:
        name, confidence = ordered
        return SplitHints(
            scheme="time",
            column=name,
            reason=f"test begins at {test[name].low}, after train ends at {train[name].high} ({name!r})",
            confidence=confidence,
        )
    if (group := _group_column(connection, train_path, test_path, shared, train, test, ids)) is not None:
        scheme: ValidationScheme = "stratified_group" if is_classification else "group"
        return SplitHints(
            scheme=scheme,
            column=group.column,
            reason=group.reason,
            confidence=0.95,
        )
    if is_classification:
        return SplitHints(
            scheme="stratified", reason="rows look drawn at random; each fold gets every class", confidence=0.7
        )
    return SplitHints(scheme="kfold", reason="rows look drawn at random", confidence=0.7)


def _time_column(
    shared: Sequence[str], train: Mapping[str, Facts], test: Mapping[str, Facts]
) -> tuple[str, float] | None:
    """Find a date, or a number named like one, that starts in test where train ends."""
    for kinds, name_matters, confidence in ((("TIMESTAMP",), False, 0.97), (("BIGINT", "DOUBLE"), True, 0.75)):
        for name in shared:
            before, after = train[name], test[name]
            if before.type not in kinds or before.distinct < 2 or (name_matters and not TIME_NAME.search(name)):
                continue
            if before.largest is not None and after.smallest is not None and after.smallest >= before.largest:
                return name, confidence
    return None


def _group_column(
    connection: duckdb.DuckDBPyConnection,
    train_path: Path,
    test_path: Path,
    shared: Sequence[str],
    train: Mapping[str, Facts],
    test: Mapping[str, Facts],
    ids: Collection[str],
) -> Group | None:
    """Take the coarsest of the columns that never cross: its groups hold those of the finer ones.

    What one side lacks altogether cannot cross, and tells nothing.
    """
    shared = [name for name in shared if train[name].known and test[name].known]
    found: list[Group] = []
    for column, expression in _candidates(shared, train, test, ids):
        group = _judge_group(connection, train_path, test_path, column, expression)
        if group is not None:
            found.append(group)
    for name in shared:
        is_time = train[name].type == test[name].type == "TIMESTAMP"
        if is_time and not _days(train[name]) & _days(test[name]):
            stretches = _stretches(connection, train_path, test_path, name)
            if stretches is not None:
                found.append(stretches)
    return min(found, key=lambda group: group.groups, default=None)


def _candidates(
    shared: Sequence[str], train: Mapping[str, Facts], test: Mapping[str, Facts], ids: Collection[str]
) -> list[tuple[str, str]]:
    """List (notation, SQL) of what could be a group and does not cross in the sample already."""
    candidates: list[tuple[str, str]] = []
    for name in shared:
        facts, other, quoted = train[name], test[name], quote_identifier(name)
        if facts.type == "TIMESTAMP":
            days = _days(facts)
            if len(days) < len(facts.counts) and not days & _days(other):
                candidates.append((f"day({name})", f"date_trunc('day', {_moment(name)})"))
        elif name not in ids and _repeats(facts) and not facts.counts.keys() & other.counts.keys():
            candidates.append((name, quoted))
        if facts.type == "VARCHAR":
            candidates += _part_candidates(name, facts, other)
    return candidates


def _part_candidates(name: str, facts: Facts, other: Facts) -> list[tuple[str, str]]:
    """Cut codes such as 0001_02 at their separator, when every value has as many parts."""
    values = list(facts.counts)
    for separator in ("_", "-", "/", ":", ".", " "):
        counts = {value.count(separator) for value in (*values, *other.counts)}
        if len(counts) != 1 or not 1 <= (parts := counts.pop()) <= 5:
            continue
        found = []
        for index in range(parts + 1):
            mine = {value.split(separator)[index] for value in values}
            theirs = {value.split(separator)[index] for value in other.counts}
            if FEWEST_GROUPS <= len(mine) < len(values) and not mine & theirs:
                sql = f"split_part({quote_identifier(name)}, {quote_text(separator)}, {index + 1})"
                found.append((f'part({name}, "{separator}", {index})', sql))
        return found
    return []


def _days(facts: Facts) -> set[float]:
    return {value // DAY_SECONDS for value in facts.counts}


def _repeats(facts: Facts) -> bool:
    """Tell a column of codes or whole numbers in which some value occurs twice."""
    is_code = facts.type in ("VARCHAR", "BIGINT") or all(value == round(value) for value in facts.counts)
    return is_code and facts.distinct < facts.known


def _judge_group(
    connection: duckdb.DuckDBPyConnection, train_path: Path, test_path: Path, column: str, expression: str
) -> Group | None:
    """Count over all rows; the chance is that of every group falling on one side if rows were drawn at random.

    A value that stands for missing may repeat on one side alone: several groups must repeat, and the largest is left
    out.
    """
    query = f"""
        WITH sides AS (
            SELECT {expression} AS v, 1 AS a, 0 AS b FROM read_parquet({quote_text(str(train_path))})
            UNION ALL SELECT {expression}, 0, 1 FROM read_parquet({quote_text(str(test_path))})
        ), shares AS (SELECT avg(a) AS p, avg(b) AS q FROM sides),
        groups AS (SELECT v, sum(a) AS a, sum(b) AS b FROM sides WHERE v IS NOT NULL GROUP BY v),
        judged AS (SELECT a, b, ln(greatest(pow(p, a + b) + pow(q, a + b), 1e-300)) AS chance FROM groups, shares)
        SELECT count(*) FILTER (WHERE a > 0), count(*) FILTER (WHERE a > 0 AND b > 0), sum(chance) - min(chance),
            count(*) FILTER (WHERE a + b > 1) FROM judged
    """
    row = connection.execute(query).fetchone()
    if row is None or row[2] is None:
        return None
    groups, crossing, log_chance, repeating = int(row[0]), int(row[1]), float(row[2]), int(row[3])
    if crossing or min(groups, repeating) < FEWEST_GROUPS or log_chance > BEYOND_CHANCE:
        return None
    return Group(column, groups, f"none of {groups:,} groups of {column} is in both train and test", log_chance)


def _stretches(connection: duckdb.DuckDBPyConnection, train_path: Path, test_path: Path, name: str) -> Group | None:
    """Tell test days that follow each other in stretches, between those of train.

    Folds of single days would leave the days beside each validated one in train, where test has none near. In stretches
    half as long as most of test's, validated days are about as far from those that train as test's are: many end where
    test begins, or beside another of the same fold. There must be enough of them to make folds.
    """
    day = f"date_diff('day', DATE '1970-01-01', CAST({_moment(name)} AS DATE))"
    query = f"SELECT DISTINCT {day} AS day FROM read_parquet(?) WHERE {_moment(name)} IS NOT NULL"
    sides = [
        np.asarray(connection.execute(query, [str(path)]).fetchnumpy()["day"], dtype=np.int64)
        for path in (train_path, test_path)
    ]
    days, is_test = np.concatenate(sides), np.repeat([False, True], [len(side) for side in sides])
    if not min(map(len, sides)) or len(np.unique(days)) < len(days):
        return None
    order = np.argsort(days)
    days, is_test = days[order], is_test[order]
    begins = np.flatnonzero(np.diff(is_test, prepend=not is_test[0]))
    log_chance = log_chance_of_runs(len(sides[0]), len(sides[1]), len(begins))
    ends = np.append(begins[1:], len(days)) - 1
    lengths = (days[ends] - days[begins] + 1)[is_test[begins]]
    count = int(min(np.ceil(np.median(lengths) / 2), len(sides[0]) // FEWEST_GROUPS))
    if count < 2 or log_chance > BEYOND_CHANCE:
        return None
    stretches = "1 stretch" if len(lengths) == 1 else f"{len(lengths)} stretches"
    seen = f"test lies in {stretches} of about {np.median(lengths):.0f} days beside those of train"
    return Group(f"days({name}, {count})", len(np.unique(sides[0] // count)), seen, log_chance)


def log_chance_of_runs(first: int, second: int, runs: int) -> float:
    """Return the logarithm of the chance that so many things of two kinds, shuffled, take turns in so few runs.

    Source: Wald and Wolfowitz 1940, "On a test whether two samples are from the same population".
    """

    def log_ways(things: int, chosen: int) -> float:
        if not 0 <= chosen <= things:
            return -math.inf
        return math.lgamma(things + 1) - math.lgamma(chosen + 1) - math.lgamma(things - chosen + 1)

    # Of each kind that has k runs, k - 1 of the places between its things are cuts.
    ways = [
        log_ways(first - 1, mine - 1) + log_ways(second - 1, theirs - 1)
        for number in range(2, runs + 1)
        for mine, theirs in ((number // 2, number - number // 2), (number - number // 2, number // 2))
    ]
    total = float(np.logaddexp.reduce(ways)) if ways else -math.inf
    return min(0.0, total - log_ways(first + second, first))
