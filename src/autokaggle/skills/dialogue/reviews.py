"""A language model's review of a candidate's code; this file keeps of it what the code itself bears out.

A review never clears a candidate: ``clean`` is no proof, and what the host measured stands whatever is said here.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from autokaggle.skills.dialogue.answers import json_form, read_as

Rule = Literal[
    "external_labels", "fit_on_scored_rows", "future_info", "group_split", "other", "post_outcome_column",
    "row_order_id", "target_in_transform",
]  # fmt: skip
Verdict = Literal["cannot_tell", "clean", "leak", "suspect"]
LONGEST_EFFECT = 200


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line that may leak; ``code`` is the line word for word."""

    line: int
    code: str
    rule: Rule
    effect: str


class LeakReview(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Findings first, then the verdict that they lead to."""

    findings: tuple[Finding, ...]
    verdict: Verdict


REVIEW_FORM: dict[str, Any] = json_form(LeakReview)


def read_review(text: str, code: str) -> LeakReview:
    """Read a review of ``code``; findings whose line does not hold what they quote are left out.

    With no finding left, ``leak`` and ``suspect`` become ``cannot_tell``.

    Raises:
        MalformedAnswer: it is not of this form.
    """
    review = read_as(text, LeakReview)
    lines = [" ".join(line.split()) for line in code.splitlines()]
    kept = tuple(
        msgspec.structs.replace(finding, effect=finding.effect[:LONGEST_EFFECT])
        for finding in review.findings
        if 1 <= finding.line <= len(lines) and _is_there(finding.code, lines[finding.line - 1])
    )
    verdict: Verdict = "cannot_tell" if not kept and review.verdict in ("leak", "suspect") else review.verdict
    return LeakReview(kept, verdict)


def _is_there(quote: str, line: str) -> bool:
    wanted = " ".join(quote.split())
    return bool(wanted) and wanted in line
