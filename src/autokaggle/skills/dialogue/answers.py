"""Typed answers of language models; this file says their forms and reads them, forgiving in form alone.

A preamble, code fences, and numbers or truths written as text are put right. What is missing, cut off or unknown is a
problem that the model is told, never filled with a default.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

T = TypeVar("T")

LONGEST_REPLY, LONGEST_WHY, LONGEST_QUOTE, LONGEST_VALUE = 1500, 300, 300, 2000
MOST_PROPOSALS, MOST_QUOTES = 12, 12
FENCE = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
REPLY = re.compile(r'"reply"\s*:\s*"((?:[^"\\]|\\.)*)')

ProposalKey = Literal[
    "metric", "target", "validation", "families", "drop_columns", "features_to_try", "features_to_avoid", "constraints"
]


class MalformedAnswer(Exception):
    """An answer that is not of the form asked for; ``problems`` are sentences for the model."""

    def __init__(self, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class Quote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of the material, word for word."""

    quote: str
    source: Literal["pages", "competition", "columns", "person"]


class ProposedSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A setting as ``/decide KEY=VALUE`` takes it."""

    key: ProposalKey
    value: str
    why: str


class Counsel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an adviser says: to the person, with what evidence, which settings, and what it must know."""

    reply: str
    evidence: tuple[Quote, ...]
    proposals: tuple[ProposedSetting, ...]
    question: str


@dataclass(frozen=True)
class CodeAnswer:
    """One json block, and the python blocks in their order: one, or as many as were asked for."""

    meta: dict[str, Any]
    codes: tuple[str, ...]

    @property
    def code(self) -> str:
        return self.codes[0]


def json_form(kind: type) -> dict[str, Any]:
    """Return the JSON Schema of a type without references: not every server resolves them."""
    schema = msgspec.json.schema(kind)
    parts = schema.get("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return inline(parts[node["$ref"].rsplit("/", 1)[1]])
        return {key: inline(value) for key, value in node.items() if key not in ("$defs", "title", "description")}

    form = inline(schema)
    assert isinstance(form, dict)
    return form


def read_counsel(text: str) -> Counsel:
    """Read an adviser's answer; what is longer than it may be is cut.

    Raises:
        MalformedAnswer: it is not of this form.
    """
    found = _json_object(text)
    for proposal in found.get("proposals") or ():
        # The form asks for text; some models send the list that the text would hold.
        if isinstance(proposal, dict) and isinstance(proposal.get("value"), list | dict | int | float):
            proposal["value"] = json.dumps(proposal["value"], ensure_ascii=False)
    counsel = _convert(found, Counsel)
    return Counsel(
        reply=counsel.reply.strip()[:LONGEST_REPLY],
        evidence=tuple(Quote(one.quote[:LONGEST_QUOTE], one.source) for one in counsel.evidence[:MOST_QUOTES]),
        proposals=tuple(
            ProposedSetting(one.key, one.value.strip()[:LONGEST_VALUE], one.why.strip()[:LONGEST_WHY])
            for one in counsel.proposals[:MOST_PROPOSALS]
        ),
        question=counsel.question.strip()[:LONGEST_WHY],
    )


def read_code_answer(text: str, files: int = 1) -> CodeAnswer:
    """Read one json block and as many python blocks as ``files``; what stands before them is ignored.

    Raises:
        MalformedAnswer: there are more or fewer, or the json block is no object.
    """
    blocks = [(language.lower(), body) for language, body in FENCE.findall(text)]
    metas = [body for language, body in blocks if language == "json"]
    codes = tuple(body for language, body in blocks if language in ("python", "py", "python3"))
    if len(metas) != 1 or len(codes) != files:
        wanted = "exactly one of each" if files == 1 else f"one json block and {files} python blocks"
        raise MalformedAnswer(f"Found {len(metas)} json and {len(codes)} python blocks; send {wanted}, nothing after.")
    if not all(code.strip() for code in codes):
        raise MalformedAnswer("The python block is empty.")
    return CodeAnswer(_json_object(metas[0]), codes)


def partial_reply(text: str) -> str:
    """Return what has come so far of the ``reply`` in an answer that is still being sent."""
    found = REPLY.search(text)
    if found is None:
        return ""
    written = found.group(1)
    # An escape may be cut in its middle; what stands before it is whole.
    for end in range(len(written), max(0, len(written) - 6) - 1, -1):
        try:
            reply = json.loads(f'"{written[:end]}"', strict=False)
        except ValueError:
            continue
        return reply if isinstance(reply, str) else ""
    return ""


def read_as(text: str, kind: type[T]) -> T:
    """Read a JSON object of a typed form.

    Raises:
        MalformedAnswer: there is none, or a field is missing, unknown or of another type.
    """
    return _convert(_json_object(text), kind)


def _convert(found: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise MalformedAnswer(f"The JSON is not of the form asked for: {str(error)[:200]}.") from error


def _json_object(text: str) -> dict[str, Any]:
    bare = text.strip().lstrip("\ufeff")
    blocks = [body for language, body in FENCE.findall(bare) if language.lower() in ("json", "")]
    if len(blocks) == 1:
        bare = blocks[0]
    start, end = bare.find("{"), bare.rfind("}")
    if start < 0 or end < start:
        raise MalformedAnswer("The answer holds no JSON object. Send one JSON object and nothing else.")
    try:
        found = json.loads(bare[start : end + 1], strict=False)
    except (ValueError, RecursionError) as error:
        raise MalformedAnswer(f"The JSON cannot be read: {str(error)[:120]}.") from error
    if not isinstance(found, dict):
        raise MalformedAnswer("The answer is no JSON object.")
    return found
