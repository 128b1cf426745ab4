"""The result of a run; this file collects it from the run folder as facts for programs and as lines for people."""

from __future__ import annotations

from typing import Any

import msgspec

from autokaggle.cli import text
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.run_folders import read_metrics


def run_facts(run: Run, folder: RunFolder) -> dict[str, Any]:
    """Return the JSON object of `run`, `resume` and `demo`; ``cv`` and ``submission`` are null where there is none.

    Raises:
        AutoKaggleError: the run's metrics.json is damaged.
    """
    metrics = read_metrics(folder)
    stages = {stage.name: round(stage.seconds, 3) for stage in run.stages}
    submission = None
    if metrics and folder.submission.is_file():
        facts = metrics.submission
        submission = {"path": str(folder.submission), "rows": facts.rows, "sha256": facts.sha256}
    told: dict[str, Any] = {
        "run_id": run.id,
        "run_dir": str(folder.path),
        "status": run.status,
        "metric": metrics.metric if metrics else None,
        "greater_is_better": metrics.greater_is_better if metrics else None,
        "cv": {name: metrics.cv.get(name) for name in ("mean", "std", "low", "high")} if metrics else None,
        "submission": submission,
        "seconds": {"total": round(sum(stages.values()), 3), "by_stage": stages},
        "isolation": run.isolation.level if run.isolation else None,
        "cost": run.cost_usd,
        "sent": msgspec.to_builtins(run.own_sent[-1]) if run.own_sent else None,
    }
    if run.earlier:
        before = run.earlier[-1].score
        told["improved_from"] = {name: getattr(before, name) for name in ("mean", "low", "high")} if before else None
    return told


def run_text(facts: dict[str, Any]) -> str:
    """Say in a few lines what came out and where it lies."""
    cv, submission = facts["cv"], facts["submission"]
    lines = [f"Run {facts['run_id']} is {facts['status']}, after {text.duration(facts['seconds']['total'])}."]
    if cv and cv["mean"] is not None:
        way = text.direction(facts["greater_is_better"], arrow=False)
        lines.append(
            f"Expect {facts['metric']} {text.number(cv['mean'])}"
            f" (95 %: {text.number(cv['low'])} to {text.number(cv['high'])}; {way})"
        )
        if before := facts.get("improved_from"):
            lines.append(f"It was {text.number(before['mean'])} before it was improved.")
    lines.append(f"Submission: {submission['path']}" if submission else f"Code: {facts['run_dir']}/code")
    return "\n".join(lines)
