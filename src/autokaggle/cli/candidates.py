"""What was tried, for a terminal; this file tells a run's candidates as a tree, or one of them with all its changes.

Everything that a proposer or a program wrote is made harmless before it is shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from autokaggle.cli import text
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from autokaggle.storage.run_folders import read_candidates, read_metrics

if TYPE_CHECKING:
    from autokaggle.records.candidate import Candidate
    from autokaggle.skills.report.candidate_tree import Branch

NARROWEST = 40


def tree_text(folder: RunFolder, width: int) -> str:
    """Tell all candidates, each below the one that it changes; "" when there are none."""
    from autokaggle.skills.report.candidate_tree import candidate_tree

    branches = candidate_tree(read_candidates(folder), read_metrics(folder))
    return "\n".join(line for branch in branches for line in _branch_lines(folder, branch, max(width, NARROWEST)))


def candidate_text(folder: RunFolder, name: str) -> str:
    """Tell one candidate: what it is, what came of it, and how its code differs from its parent's."""
    from autokaggle.records.candidate import Candidate

    place = folder.candidate(name)
    if not place.record.is_file():
        return ""
    candidate = read_record(place.record, Candidate)
    lines = [f"{candidate.id}  {text.harmless(candidate.proposal.title)}"]
    lines += [f"  {said}" for said in (_origin(candidate), _outcome(candidate), _verdict(candidate)) if said]
    lines += [f"  audit, {check.name}: {check.status}, {text.harmless(check.detail)}" for check in candidate.audit]
    if place.changes.is_file():
        lines += ["", f"== {place.changes.name}", *_changes(folder, name)]
    return "\n".join(lines)


def _branch_lines(folder: RunFolder, branch: Branch, width: int) -> Iterator[str]:
    """Yield the title at its place in the tree, and below it what the candidate was for and what came of it."""
    candidate = branch.candidate
    indent = "   " * (branch.depth - 1) + "└─ " if branch.depth else ""
    yield _cut(f"{indent}{candidate.id}  {text.harmless(candidate.proposal.title)}", width)
    margin = " " * (len(indent) + 2)
    said = [_origin(candidate), _changed_lines(folder, candidate.id), _outcome(candidate), _verdict(candidate)]
    for each in said:
        yield from textwrap.wrap(each, width, initial_indent=margin, subsequent_indent=margin)


def _origin(candidate: Candidate) -> str:
    proposal = candidate.proposal
    of = f" of {proposal.parent}" if proposal.parent else ""
    said = f": {text.harmless(proposal.hypothesis)}" if proposal.hypothesis else ""
    return f"{proposal.operator}{of} by the {proposal.author}{said}"


def _outcome(candidate: Candidate) -> str:
    if candidate.status == "running":
        return "not finished"
    took = text.duration(candidate.seconds)
    score = candidate.score
    if score is None or candidate.status != "scored":
        return f"{candidate.status} after {took}: {text.harmless(candidate.reason)}"
    interval = f"{text.number(score.low)} to {text.number(score.high)}"
    cut = f"; {text.harmless(candidate.reason)}" if candidate.reason else ""
    return f"{score.metric} {text.number(score.mean)} (95 %: {interval}) after {took}{cut}"


def _verdict(candidate: Candidate) -> str:
    """Say what it gained over others, and what it is to the combination."""
    from autokaggle.skills.scoring.gain_words import gain_text

    gains = [gain_text(gain) for gain in candidate.gains]
    if candidate.status != "scored":
        return ""
    if candidate.ensemble_gain:
        gains.append(f"the combination's loss fell by {candidate.ensemble_gain:.2%}")
    verdict = text.harmless(candidate.verdict)
    return "; ".join([*gains, *([verdict] if verdict and verdict not in "; ".join(gains) else [])])


def _changed_lines(folder: RunFolder, name: str) -> str:
    """Count the lines of each file that differ from the parent's, "" when there is no parent."""
    path = folder.candidate(name).changes
    if not path.is_file():
        return ""
    counts: dict[str, list[int]] = {}
    file = ""
    for line in path.read_text("utf-8", "replace").splitlines():
        if line.startswith("+++ "):
            file = line.partition("/")[2]
        elif line.startswith(("+", "-")) and not line.startswith("---"):
            counts.setdefault(file, [0, 0])[line.startswith("-")] += 1
    said = [f"{text.harmless(file)} +{added} -{removed}" for file, (added, removed) in counts.items()]
    return f"changed: {', '.join(said)}" if said else "changed: nothing"


def _changes(folder: RunFolder, name: str) -> list[str]:
    content = folder.candidate(name).changes.read_bytes()
    return [text.log_line(line) for line in content.splitlines()] or ["nothing"]


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"
