"""Asking for code; this file says what a language model gets to know of the candidates, and reads what it wrote."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from autokaggle.records.candidate import Candidate, Gain
from autokaggle.records.plan import Decision
from autokaggle.skills.dialogue.answers import CodeAnswer, read_code_answer
from autokaggle.skills.dialogue.asking import ask_for
from autokaggle.skills.dialogue.brief import Brief
from autokaggle.skills.dialogue.payload import Section
from autokaggle.skills.dialogue.payload_gate import PayloadGate
from autokaggle.skills.dialogue.prompt_files import read_text, read_wording
from autokaggle.skills.dialogue.prompting import make_prompt
from autokaggle.skills.dialogue.reviews import LeakReview, read_review

T = TypeVar("T")
Operation = Literal["draft", "pipeline", "improve", "debug", "fuse"]

BEST_LINES, LAST_LINES = 3, 8
LONGEST_TITLE, LONGEST_REASON = 70, 120
FIRST_ERROR_LINES, LAST_ERROR_LINES, LONGEST_ERROR_LINE = 4, 22, 200


@dataclass(frozen=True)
class Program:
    """A candidate's code to start from; ``files`` are texts by name, ``model`` says family and parameters."""

    candidate: Candidate
    files: dict[str, str]
    model: str


@dataclass(frozen=True)
class CodeTask:
    """One request. ``programs`` are what it starts from, ``log`` is what the failed one said,
    shortened and without what is personal, ``ablation`` what
    leaving out a group of features did; ``families`` may be used, and ``seconds`` is what a candidate may take."""

    operation: Operation
    idea: str
    families: tuple[str, ...]
    seconds: float
    programs: tuple[Program, ...] = ()
    ablation: str = ""
    log: str = ""


def ask_for_code(
    gate: PayloadGate,
    brief: Brief,
    decisions: Sequence[Decision],
    task: CodeTask,
    use: Callable[[CodeAnswer], T],
    *,
    folders: Sequence[Path] = (),
    timeout_seconds: float,
) -> T:
    """Ask until ``use`` takes the answer, and return what it made of it.

    Raises:
        ModelFailure: no attempt gave a usable answer.
    """
    wording = read_wording(task.operation, brief.profile, folders)
    more = _sections(brief, task, folders)
    prompt = make_prompt(wording, brief, decisions, more=more, timeout_seconds=timeout_seconds)
    files = 2 if _has_own_model(task) else 1
    made, _ = ask_for(gate, prompt, lambda text: use(read_code_answer(text, files)))
    return made


def ask_for_review(
    gate: PayloadGate, brief: Brief, program: Program, *, folders: Sequence[Path] = (), timeout_seconds: float
) -> LeakReview:
    """Ask which lines of a program may leak.

    Raises:
        ModelFailure: no attempt gave a usable answer.
    """
    code = program.files["features.py"]
    numbered = "\n".join(f"{number}: {line}" for number, line in enumerate(code.splitlines(), start=1))
    more = {"parent": Section("program", numbered, source=f"{program.candidate.id}/features.py")}
    wording = read_wording("review", brief.profile, folders)
    prompt = make_prompt(wording, brief, more=more, timeout_seconds=timeout_seconds)
    review, _ = ask_for(gate, prompt, lambda text: read_review(text, code), attempts=2)
    return review


def ledger(candidates: Sequence[Candidate]) -> tuple[str, str]:
    """Return a line for each attempt worth knowing, the same without what programs said; the best and the last."""
    scored = [one for one in candidates if one.score is not None]
    ranked = sorted(scored, key=lambda one: one.score.mean if one.score else 0.0)
    if scored and scored[0].score and scored[0].score.greater_is_better:
        ranked.reverse()
    kept = {one.id for one in [*ranked[:BEST_LINES], *candidates[-LAST_LINES:]]}
    lines = [(_line(one), _reason(one)) for one in candidates if one.id in kept]
    head = f"best: {ranked[0].id}" if ranked else "nothing was scored yet"
    return "\n".join([head, *(line + reason for line, reason in lines)]), "\n".join(
        [head, *(line for line, _ in lines)]
    )


def error_digest(log: str, tell: Callable[[str], str]) -> str:
    """Return the beginning and the end of what a program said, repeated lines once.

    ``tell`` takes out what must not be told, before lines are cut: it would not know a part of a value.
    """
    lines: list[str] = []
    for line in log.splitlines():
        if line.strip() and (not lines or lines[-1] != line):
            lines.append(line)
    if len(lines) > FIRST_ERROR_LINES + LAST_ERROR_LINES:
        lines = [*lines[:FIRST_ERROR_LINES], "[left out]", *lines[-LAST_ERROR_LINES:]]
    return "\n".join(line[:LONGEST_ERROR_LINE] for line in tell("\n".join(lines)).splitlines())


def error_kinds(said: str) -> str:
    """Return the names of Python's own errors in what a program said: all that is sure to hold nothing of its data."""
    words = dict.fromkeys(re.findall(r"\b[A-Z][a-zA-Z]+\b", said))
    return ", ".join(word for word in words if issubclass(_builtin(word), BaseException)) or "an error"


def _builtin(name: str) -> type:
    found = getattr(builtins, name, object)
    return found if isinstance(found, type) else object


def _sections(brief: Brief, task: CodeTask, folders: Sequence[Path]) -> dict[str, Section]:
    parts = ["interface", *(["interface-pipeline"] if _has_own_model(task) else [])]
    limits = f"Families: {', '.join(task.families)}. A candidate may take {task.seconds:.0f} s in all."
    text = "\n\n".join([*(read_text(part, folders) for part in parts), limits])
    said, bare = ledger(brief.candidates)
    found = {
        "interface": Section("interface", text, voice="program"),
        "ledger": Section("ledger", said, source="candidates of this run", without_values=bare),
        "idea": Section("idea", task.idea, source="ideas for this run"),
        "ablation": Section("ablation", task.ablation, source="measured by the host"),
    }
    for name, program in zip(("parent", "other"), task.programs, strict=False):
        found[name] = Section("program", _program(program), source=f"candidate {program.candidate.id}")
    if task.log:
        found["error"] = Section("error", task.log, source="log", without_values=error_kinds(task.log))
    return found


def _has_own_model(task: CodeTask) -> bool:
    """Say whether features and a model are asked for: in a pipeline, and in what starts from one."""
    base = task.programs[0].files if task.programs else {}
    return task.operation == "pipeline" or "model_own.py" in base


def _program(program: Program) -> str:
    score = program.candidate.score
    said = f"score {score.mean:.5g} (folds {', '.join(f'{fold:.4g}' for fold in score.folds)})" if score else "failed"
    texts = "\n\n".join(f"# {name}\n{text.strip()}" for name, text in program.files.items())
    return f"{program.candidate.id}: {said}; model {program.model}\n\n{texts}"


def _line(candidate: Candidate) -> str:
    proposal, score = candidate.proposal, candidate.score
    parent = f" <-{proposal.parent}" if proposal.parent else ""
    title = " ".join(proposal.title.split())[:LONGEST_TITLE]
    result = f"{score.mean:.5g}" if score else candidate.status
    gains = [_gain(gain) for gain in candidate.gains]
    return f"{candidate.id}{parent} {proposal.operator} [{proposal.family}] {title}: {', '.join([result, *gains])}"


def _gain(gain: Gain) -> str:
    said = "within noise of" if gain.is_noise else "better than" if gain.value > 0 else "worse than"
    return f"{said} {gain.over} ({gain.value:+.3g}, error {gain.error:.2g})"


def _reason(candidate: Candidate) -> str:
    return f" ({' '.join(candidate.reason.split())[:LONGEST_REASON]})" if candidate.reason else ""
