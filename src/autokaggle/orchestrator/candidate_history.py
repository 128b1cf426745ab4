"""What a candidate changed; this file keeps the difference between its code and its parent's beside its record."""

from __future__ import annotations

import difflib

from autokaggle.orchestrator.context import RunContext
from autokaggle.records.candidate import Candidate
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import write_atomically

TEXTS = (".py", ".yaml")


def keep_changes(context: RunContext, candidate: Candidate) -> None:
    """Write ``changes.diff`` for a candidate that has a parent."""
    if candidate.proposal.parent is not None:
        folder = context.folder.candidate(candidate.id)
        write_atomically(folder.changes, changes_between(context.folder.candidate(candidate.proposal.parent), folder))


def changes_between(parent: CandidateFolder, child: CandidateFolder) -> str:
    """Return a unified diff of the two code folders, "" when they are alike."""
    old, new = _texts(parent), _texts(child)
    parts: list[str] = []
    for name in sorted({*old, *new}):
        before, after = (texts.get(name, "").splitlines(keepends=True) for texts in (old, new))
        parts += difflib.unified_diff(before, after, f"{parent.id}/{name}", f"{child.id}/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in parts)


def _texts(folder: CandidateFolder) -> dict[str, str]:
    return {
        path.name: path.read_text("utf-8", "replace")
        for path in sorted(folder.code.iterdir() if folder.code.is_dir() else ())
        if path.is_file() and path.suffix in TEXTS
    }
