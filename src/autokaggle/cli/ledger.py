"""The table of `submissions`; this file puts what runs expected beside what Kaggle gave, and says what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError
from autokaggle.skills.submission.ledger import FEWEST_FOR_CORRELATION, Entry, Ledger, make_ledger

if TYPE_CHECKING:
    from autokaggle.records.outcome import SentSubmission

SCORES = {"public": "public_score", "private": "private_score"}
STEPS = {True: "better than the next", False: "no better than the next: the difference is inside the noise", None: ""}


@dataclass(frozen=True)
class Expected:
    """What the runs of one competition expected, by submission; in ``metric``, the newest run's."""

    metric: str | None
    greater_is_better: bool | None
    runs: dict[int, str]
    scores: dict[int, tuple[float, float | None, float | None]]


def judge(settings: Settings, slug: str, listed: Sequence[SentSubmission]) -> tuple[str, dict[str, Any]]:
    """Return the ledger of the submissions as text and as facts; as Kaggle lists them where no run knows the metric."""
    expected = _expected(settings, slug)
    entries = [_entry(sent, expected) for sent in listed]
    if expected.greater_is_better is None:
        ledger = Ledger(tuple(entries), (None,) * (len(entries) - 1), None, ())
    else:
        ledger = make_ledger(entries, greater_is_better=expected.greater_is_better)
    steps = (*ledger.steps, None)
    rows = [_facts(entry, step) for entry, step in zip(ledger.entries, steps, strict=False)]
    facts = {
        "slug": slug,
        "metric": expected.metric,
        "greater_is_better": expected.greater_is_better,
        "submissions": rows,
        "correlation": ledger.correlation,
        "final_picks": [{"ref": pick.ref, "why": pick.why} for pick in ledger.picks],
    }
    return "\n".join([*map(_line, rows), *_conclusions(ledger)]), facts


def _expected(settings: Settings, slug: str) -> Expected:
    """Collect what the index and the runs' records know; a score in another metric is no expectation."""
    from autokaggle.storage.artifacts import RunFolder
    from autokaggle.storage.run_folders import read_run
    from autokaggle.storage.state_store import StateStore

    with StateStore(settings.state) as store:
        rows = [row for row in store.runs() if row.slug == slug]
    scored = [row for row in rows if row.score is not None]
    metric = scored[0].metric if scored else None
    found = Expected(metric, scored[0].greater_is_better if scored else None, {}, {})
    for row in rows:
        try:
            sent = read_run(RunFolder(row.folder)).sent
        except AutoKaggleError:
            continue
        for one in sent:
            found.runs[one.ref] = row.id
            if row.score is not None and row.metric == metric:
                found.scores[one.ref] = (row.score, row.score_low, row.score_high)
    return found


def _entry(sent: SentSubmission, expected: Expected) -> Entry:
    mean, low, high = expected.scores.get(sent.ref, (None, None, None))
    return Entry(sent, expected.runs.get(sent.ref), mean, low, high)


def _facts(entry: Entry, step: bool | None) -> dict[str, Any]:
    cv = None if entry.mean is None else {"mean": entry.mean, "low": entry.low, "high": entry.high}
    return {
        **msgspec.to_builtins(entry.sent),
        "run_id": entry.run_id,
        "cv": cv,
        "is_as_expected": entry.is_as_expected,
        "is_better_than_next": step,
    }


def _line(row: dict[str, Any]) -> str:
    from autokaggle.cli.text import harmless, local_time, number

    said = [f"{name} {number(row[key])}" for name, key in SCORES.items() if row[key] is not None]
    said = said or [row["error"] or row["status"]]
    if cv := row["cv"]:
        bounds = f" ({number(cv['low'])} to {number(cv['high'])})" if cv["low"] is not None else ""
        outside = ", outside of what was expected" if row["is_as_expected"] is False else ""
        said.append(f"expected {number(cv['mean'])}{bounds}{outside}")
    if step := STEPS[row["is_better_than_next"]]:
        said.append(step)
    return harmless(
        f"{row['ref']}  {local_time(row['date'])}  {', '.join(said)}  {row['run_id'] or row['description']}"
    )


def _conclusions(ledger: Ledger) -> list[str]:
    pairs = sum(entry.mean is not None and entry.sent.public_score is not None for entry in ledger.entries)
    lines = []
    if ledger.correlation is not None:
        lines.append(
            f"Rank correlation of expected and public scores: {ledger.correlation:.2f}, of {pairs} submissions."
        )
    elif 0 < pairs < FEWEST_FOR_CORRELATION:
        lines.append(f"No correlation yet: {FEWEST_FOR_CORRELATION} scored submissions of runs are needed.")
    lines += [f"Pick {pick.ref} as final: {pick.why}." for pick in ledger.picks]
    return ["", *lines] if lines else []
