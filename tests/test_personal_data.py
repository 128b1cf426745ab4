"""The search for personal data, measured on strings that were labelled before its rules were written."""

from __future__ import annotations

import pytest

from autokaggle.skills.dataset.personal_data import find_personal, mask, mask_value, scan_column
from tests.personal_strings import ELSEWHERE, PERSONAL


def kinds(text: str) -> set[str]:
    return {finding.kind for finding in find_personal(text)}


def test_precision_and_recall_on_the_labelled_strings() -> None:
    personal = [(kind, text) for kind, texts in PERSONAL.items() for text in texts]
    other = [text for texts in ELSEWHERE.values() for text in texts]
    missed = [(kind, text) for kind, text in personal if not kinds(text)]
    wrong = [(text, kinds(text)) for text in other if kinds(text)]
    print(
        "missed",
        missed,
        "wrong",
        wrong,
        "kind",
        [(k, t, kinds(t)) for k, t in personal if kinds(t) and k not in kinds(t)],
    )
    found = len(personal) - len(missed)

    assert len(personal) + len(other) >= 300
    assert found / (found + len(wrong)) >= 0.97
    assert found / len(personal) >= 0.9
