"""A competition as its host keeps it; this file reads one from a folder.

    competition.json      fields of GetCompetition in Kaggle's spelling; besides them pageNames {file stem: page name},
                          compressedFiles [names of data files that are stored zipped], maxTotalSubmissions,
                          privateScoresVisible
    pages/*.md|*.html     page texts; the page is called as its file unless pageNames says otherwise
    data/**               what competitors download
    private/solution.csv  the id, the target columns and, if scores are split, Usage (Public or Private)
    private/baselines/*   submissions that the host made; each stands on the leaderboard under its file's name

Nothing under private/ is ever served.
"""

from __future__ import annotations

import datetime as dt
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
PAGE_TYPES = {".md": "text/markdown", ".html": "text/html"}
METADATA_FIELDS = (
    "id", "ref", "title", "url", "description", "organizationName", "organizationRef", "category", "reward", "tags",
    "deadline", "mergerDeadline", "newEntrantDeadline", "enabledDate", "dateCreated", "kernelCount", "teamCount",
    "userHasEntered", "userRank", "maxDailySubmissions", "maxTeamSize", "evaluationMetric", "awardsPoints",
    "isKernelsSubmissionsOnly", "submissionsDisabled", "thumbnailImageUrl", "hostName",
)  # fmt: skip
DEFAULT_DAILY_SUBMISSIONS = 5


@dataclass(frozen=True)
class HostedFile:
    """One data file; ``name`` is its path below data/, with forward slashes."""

    name: str
    path: Path
    size_bytes: int
    created: dt.datetime


@dataclass(frozen=True)
class HostedCompetition:
    """What the host knows of one competition."""

    slug: str
    settings: Mapping[str, Any]
    pages: tuple[Mapping[str, Any], ...]
    files: Mapping[str, HostedFile]
    solution: Path
    baselines: tuple[Path, ...]

    @property
    def title(self) -> str:
        return str(self.settings.get("title") or self.slug)

    @property
    def url(self) -> str:
        return f"https://www.kaggle.com/competitions/{self.slug}"

    @property
    def data(self) -> Path:
        """The folder of the data files."""
        return self.solution.parents[1] / "data"

    @property
    def metric(self) -> str:
        return str(self.settings.get("evaluationMetric") or "")

    @property
    def user_has_entered(self) -> bool:
        return bool(self.settings.get("userHasEntered", True))

    @property
    def daily_submissions(self) -> int:
        return int(self.settings.get("maxDailySubmissions", DEFAULT_DAILY_SUBMISSIONS))

    @property
    def total_submissions(self) -> int | None:
        limit = self.settings.get("maxTotalSubmissions")
        return None if limit is None else int(limit)

    @property
    def shows_private_scores(self) -> bool:
        """Whether the private scores are out: the deadline has passed, or the host says so."""
        deadline = dt.datetime.fromisoformat(str(self.settings.get("deadline", "2099-12-31T23:59:00Z")))
        if deadline.tzinfo is None:
            deadline = deadline.replace(tzinfo=dt.UTC)
        return bool(self.settings.get("privateScoresVisible", False)) or deadline <= dt.datetime.now(dt.UTC)

    def is_stored_zipped(self, name: str) -> bool:
        """Whether a single download of this file arrives as ``name.zip``."""
        return name in self.settings.get("compressedFiles", ())

    def metadata(self) -> dict[str, Any]:
        """Return the fields of GetCompetition that the folder fixes."""
        defaults = {
            "id": zlib.crc32(self.slug.encode()),
            "ref": self.url,
            "url": self.url,
            "title": self.title,
            "category": "Community",
            "evaluationMetric": self.metric,
            "maxDailySubmissions": self.daily_submissions,
            "userHasEntered": self.user_has_entered,
        }
        return {**defaults, **{name: self.settings[name] for name in METADATA_FIELDS if name in self.settings}}


def read_competitions(folder: Path) -> dict[str, HostedCompetition]:
    """Return the competitions found as ``folder/SLUG/competition.json``, by slug.

    Raises:
        ValueError: the folder holds none, or one that cannot be read.
    """
    found = sorted(path.parent for path in folder.glob("*/competition.json"))
    if not found:
        raise ValueError(f"{folder} holds no SLUG/competition.json")
    return {each.name: _read_competition(each) for each in found}


def _read_competition(folder: Path) -> HostedCompetition:
    if not SLUG.fullmatch(folder.name):
        raise ValueError(f"{folder.name!r} cannot be the slug of a competition")
    try:
        settings = msgspec.json.decode((folder / "competition.json").read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ValueError(f"{folder / 'competition.json'} cannot be read: {error}") from error
    return HostedCompetition(
        slug=folder.name,
        settings=settings,
        pages=_read_pages(folder / "pages", settings.get("pageNames", {})),
        files=_list_files(folder / "data"),
        solution=folder / "private" / "solution.csv",
        baselines=tuple(sorted((folder / "private" / "baselines").glob("*.csv"))),
    )


def _read_pages(folder: Path, names: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "name": names.get(path.stem, path.stem),
            "content": path.read_text("utf-8"),
            "isPublished": True,
            "mimeType": PAGE_TYPES[path.suffix],
        }
        for path in sorted(folder.glob("*"))
        if path.suffix in PAGE_TYPES
    )


def _list_files(data: Path) -> dict[str, HostedFile]:
    files = {}
    for path in sorted(data.rglob("*")):
        if path.is_file():
            facts = path.stat()
            name = path.relative_to(data).as_posix()
            files[name] = HostedFile(name, path, facts.st_size, dt.datetime.fromtimestamp(facts.st_mtime, dt.UTC))
    return files
