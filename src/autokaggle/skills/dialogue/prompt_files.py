"""Prompts as Markdown files with front matter; this file finds, reads and puts them together.

A file in the user's folder stands before one of a plugin, and that before ours; each is named by what it is for
(``decide.md``), so that a changed one needs no setting. The hash over all files of a prompt is kept with every call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from autokaggle.errors import UsageError
from autokaggle.records.data_profile import DataProfile, TaskType
from autokaggle.skills.dialogue.language_model import Thinking

OURS = Path(str(resources.files("autokaggle.skills.dialogue"))) / "prompts"
TYPES: dict[TaskType, str] = {
    "binary_classification": "type-binary",
    "multiclass_classification": "type-multiclass",
    "multilabel_classification": "type-multilabel",
    "ordinal": "type-ordinal",
    "regression": "type-regression",
    "time_series_forecasting": "type-timeseries",
    "image_classification": "type-image",
}
OPERATION_KEYS = frozenset({"system", "answer", "sections", "thinking", "max_output_tokens", "budget_tokens"})
KEYS = frozenset({"name", "version"}) | OPERATION_KEYS


@dataclass(frozen=True)
class PromptFile:
    """One file: its front matter, and the text below it."""

    name: str
    path: Path
    settings: dict[str, Any]
    text: str

    @property
    def label(self) -> str:
        """``decide 1``, with its folder when it is none of ours."""
        origin = "" if self.path.parent == OURS else f" ({self.path})"
        return f"{self.name} {self.settings.get('version', '?')}{origin}"


@dataclass(frozen=True)
class Wording:
    """What an operation says: ``system`` first, ``advice`` for the kind of competition, ``request`` last."""

    operation: str
    system: str
    advice: str
    request: str
    answer: str
    sections: tuple[str, ...]
    thinking: Thinking
    max_output_tokens: int
    budget_tokens: int
    files: tuple[str, ...]
    sha256: str


def read_wording(operation: str, profile: DataProfile, folders: Sequence[Path] = ()) -> Wording:
    """Read an operation's prompt for a competition of this kind; ``folders`` stand before ours.

    Raises:
        UsageError: a file is missing or malformed; the message names it.
    """
    asked = _read(operation, folders)
    settings = (
        {**_read_one(OURS / f"{operation}.md").settings, **asked.settings} if _ours(operation) else asked.settings
    )
    if missing := sorted(OPERATION_KEYS - set(settings)):
        raise UsageError(f"{asked.path} lacks {', '.join(missing)}.", "Put them into the lines between `---`.")
    system = _read(str(settings["system"]), folders)
    kinds = [TYPES[profile.task_type], *(["type-text"] if profile.modality == "text" else [])]
    advice = [_read(kind, folders) for kind in kinds]
    files = (system, *advice, asked)
    digest = hashlib.sha256("\0".join(file.text for file in files).encode())
    return Wording(
        operation=operation,
        system=system.text,
        advice="\n\n".join(file.text for file in advice),
        request=asked.text,
        answer=str(settings["answer"]),
        sections=tuple(settings["sections"]),
        thinking=settings["thinking"],
        max_output_tokens=int(settings["max_output_tokens"]),
        budget_tokens=int(settings["budget_tokens"]),
        files=tuple(file.label for file in files),
        sha256=digest.hexdigest(),
    )


def read_text(name: str, folders: Sequence[Path] = ()) -> str:
    """Read a text that goes into prompts as it is.

    Raises:
        UsageError: there is no such file, or it is malformed.
    """
    return _read(name, folders).text


def _ours(name: str) -> bool:
    return (OURS / f"{name}.md").is_file()


def _read(name: str, folders: Sequence[Path]) -> PromptFile:
    for folder in (*folders, OURS):
        if (folder / f"{name}.md").is_file():
            return _read_one(folder / f"{name}.md")
    raise UsageError(f"There is no prompt {name!r}.", f"Prompts are files named like {OURS / 'decide.md'}.")


def _read_one(path: Path) -> PromptFile:
    import yaml

    try:
        text = path.read_text("utf-8-sig")
        settings: dict[str, Any] = {}
        if text.startswith("---\n"):
            head, _, text = text[4:].partition("\n---\n")
            settings = yaml.safe_load(head) or {}
        unknown = sorted(set(settings) - KEYS)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise UsageError(f"The prompt {path} cannot be read: {error}.", "Correct the file or remove it.") from error
    if unknown or not text.strip():
        what = f"has unknown settings: {', '.join(map(str, unknown))}" if unknown else "says nothing"
        raise UsageError(f"The prompt {path} {what}.", f"Settings are: {', '.join(sorted(KEYS))}.")
    return PromptFile(path.stem, path, settings, text.strip())
