"""What happened, as one line for people; this file says each kind of event, with no colour and no control character."""

from __future__ import annotations

from collections.abc import Callable

from autokaggle.cli import text
from autokaggle.records.event import Event


def describe(event: Event) -> str:
    """Say an event in one line; "" for kinds that are for programs only."""
    return text.harmless(SAYINGS.get(event.kind, _message)(event))


def _message(event: Event) -> str:
    return event.message


def _run_started(event: Event) -> str:
    fields = event.fields
    budget = text.duration(float(fields.get("budget_seconds") or 0.0))
    isolation = str(fields.get("isolation"))
    if fields.get("backend") not in (None, "", "none"):
        isolation += f" ({fields['backend']})"
    return f"run {fields.get('run_id')}, isolation {isolation}, time budget {budget}"


def _run_improved(event: Event) -> str:
    fields = event.fields
    reached = "" if fields.get("score") is None else f", from {text.number(float(fields['score']))}"
    return f"the run is to be improved{reached}, in {text.duration(float(fields.get('budget_seconds') or 0.0))} more"


def _stage_started(event: Event) -> str:
    return f"{event.fields.get('stage')}: {event.message or 'started'}"


def _stage_finished(event: Event) -> str:
    seconds = text.duration(float(event.fields.get("seconds") or 0.0))
    return _joined(f"{event.fields.get('stage')} done in {seconds}", event.message)


def _progress(event: Event) -> str:
    fields = event.fields
    done, total, unit = float(fields.get("done") or 0.0), fields.get("total"), str(fields.get("unit") or "")
    reached = _amount(done, unit)
    if total:
        reached = f"{reached} of {_amount(float(total), unit)} ({done / float(total):.0%})"
    return _joined(str(fields.get("text")), reached if done or total else "")


def _amount(count: float, unit: str) -> str:
    return text.size(count) if unit == "bytes" else f"{count:,.0f} {unit}".strip()


def _candidate_started(event: Event) -> str:
    expected = event.fields.get("expected_seconds")
    about = f" (about {text.duration(float(expected))})" if expected else ""
    return f"{event.fields.get('candidate')} started: {event.fields.get('title')}{about}"


def _candidate_finished(event: Event) -> str:
    fields = event.fields
    after = (
        f"{fields.get('candidate')} {fields.get('status')} after {text.duration(float(fields.get('seconds') or 0.0))}"
    )
    score, low, high = (fields.get(name) for name in ("score", "low", "high"))
    said = "" if score is None else text.number(float(score)) + _interval(low, high)
    if said and fields.get("verdict"):
        said += f", {fields['verdict']}"
    return _joined(after, said or text.reason(fields.get("reason")))


def _best_changed(event: Event) -> str:
    fields = event.fields
    score = text.number(float(fields["score"])) + _interval(fields.get("low"), fields.get("high"))
    way = text.direction(fields.get("greater_is_better"), arrow=False)
    return f"best so far: {fields.get('metric')} {score} by {fields.get('candidate')}" + (f"; {way}" if way else "")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95 %: {text.number(low)} to {text.number(high)})"


def _run_finished(event: Event) -> str:
    return _joined(f"run {event.fields.get('status')}", event.message)


def _warning(event: Event) -> str:
    return f"warning: {event.message}"


def _nothing(event: Event) -> str:
    return ""


def _joined(start: str, rest: str) -> str:
    return f"{start}: {rest}" if rest else start


SAYINGS: dict[str, Callable[[Event], str]] = {
    "run_started": _run_started,
    "run_improved": _run_improved,
    "stage_started": _stage_started,
    "stage_finished": _stage_finished,
    "progress": _progress,
    "candidate_started": _candidate_started,
    "candidate_finished": _candidate_finished,
    "best_changed": _best_changed,
    "budget": _nothing,
    "warning": _warning,
    "run_finished": _run_finished,
}
