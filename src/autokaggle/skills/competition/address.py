"""From what a person pastes to a slug or a local folder; this file never touches the network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from autokaggle.errors import ActionNeeded, UsageError

KAGGLE_HOSTS = ("kaggle.com", "www.kaggle.com")
SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
LONGEST_SLUG = 200
PATH_STARTS = ("/", "./", "../", "~", ".\\", "..\\")
FORMS = "Give https://www.kaggle.com/competitions/SLUG, the slug alone, or the folder of a local competition."


@dataclass(frozen=True)
class Target:
    """A competition on Kaggle, or in a local ``folder``; then ``slug`` is made from the folder's name."""

    slug: str
    folder: Path | None = None


def parse_target(text: str) -> Target:
    """Read a URL, a slug or a folder.

    A bare word that is both a slug and a folder of data files here means the folder.

    Raises:
        ActionNeeded: an invitation link, which names no competition until it was opened in a browser.
        UsageError: anything else, with the reason.
    """
    given = text.strip()
    if not given:
        raise UsageError("No competition was given.", FORMS)
    if _is_url(given):
        return Target(_slug_of_url(given))
    if given.startswith(PATH_STARTS):
        return _local(_folder(given))
    if _holds_data(Path(given)):
        return _local(Path(given).resolve())
    if SLUG.fullmatch(given) and len(given) <= LONGEST_SLUG:
        return Target(given)
    if _is_folder(Path(given)):
        return _local(Path(given).resolve())
    raise UsageError(f"{given[:100]!r} names no competition.", FORMS)


def slug_from(name: str) -> str:
    """Make a slug out of any name; "local" when nothing of it can stay."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:LONGEST_SLUG].rstrip("-_") or "local"


def _local(folder: Path) -> Target:
    if Path("~").expanduser().resolve().is_relative_to(folder):
        raise UsageError(f"{folder} holds your whole home folder: that is no competition.", FORMS)
    return Target(slug_from(folder.name), folder)


def _folder(given: str) -> Path:
    try:
        path = Path(given).expanduser()
    except RuntimeError as error:  # ~somebody, who is no user here
        raise UsageError(f"The folder {given[:100]!r} does not exist.", FORMS) from error
    if not _is_folder(path):
        if os.path.isfile(path):  # noqa: PTH113
            raise UsageError(f"{given[:100]!r} is a file, not a folder.", FORMS)
        raise UsageError(f"The folder {given[:100]!r} does not exist.", FORMS)
    return path.resolve()


def _is_url(given: str) -> bool:
    """Addresses are often pasted without their scheme, so a first part with a dot counts as a host name."""
    if given.startswith("//") or "://" in given:
        return True
    return not given.startswith(PATH_STARTS) and "." in given.split("/", 1)[0] and not _is_folder(Path(given))


def _slug_of_url(given: str) -> str:
    try:
        parts = urlsplit(given if "://" in given else "https://" + given.lstrip("/"))
        host = (parts.hostname or "").lower()
        is_kaggle = host in KAGGLE_HOSTS and parts.port in (None, 80, 443) and parts.username is None
    except ValueError as error:
        raise UsageError(f"{given[:100]!r} is no address.", FORMS) from error
    if parts.scheme.lower() not in ("http", "https") or not is_kaggle:
        raise UsageError(f"{given[:100]!r} is no address on www.kaggle.com.", FORMS)
    segments = [segment for segment in parts.path.split("/") if segment]
    kind = segments[0].lower() if segments else ""
    if kind == "t":
        raise ActionNeeded(
            "This is an invitation link: it does not say which competition it leads to.",
            "Open it in a browser, sign in, join the competition, and give the address that the browser then shows.",
        )
    if kind not in ("competitions", "c") or len(segments) < 2:
        shown = f"a page of Kaggle's /{kind[:30]} section" if kind else "Kaggle's start page"
        raise UsageError(f"{given[:100]!r} is {shown}, not a competition.", FORMS)
    slug = segments[1]
    if not SLUG.fullmatch(slug) or len(slug) > LONGEST_SLUG or ".." in segments:
        raise UsageError(f"{slug[:100]!r} cannot be the name of a competition.", FORMS)
    return slug


def _is_folder(path: Path) -> bool:
    """Unlike Path.is_dir, os.path.isdir answers for text that is longer than any path or holds what no path can."""
    return os.path.isdir(path)  # noqa: PTH112


def _holds_data(path: Path) -> bool:
    if not _is_folder(path):
        return False
    return (path / "data").is_dir() or any(found.suffix in (".csv", ".tsv", ".parquet") for found in path.glob("*.*"))
