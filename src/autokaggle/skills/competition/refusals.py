"""What Kaggle says when it refuses; this file turns an error answer into the error that helps the reader.

Kaggle's own clients lose the reason: two JSON envelopes exist, storage answers XML, and a proxy answers HTML. Texts
from outside are cut, freed of control characters and of every known secret before anyone sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autokaggle.errors import ActionNeeded, AutoKaggleError, CompetitionUnusable, OutsideWorldError
from autokaggle.skills.competition.credentials import HOW_TO_GET_THEM, TOKEN_PAGE

if TYPE_CHECKING:
    import requests

LONGEST_TEXT = 300
LONGEST_BODY = 20_000
RENEWAL = "GenerateAccessToken"
DOWNLOADS = frozenset({"DownloadDataFiles", "DownloadDataFile"})
PARTICIPATION = frozenset({"StartSubmissionUpload", "CreateSubmission", "ListSubmissions", "GetSubmissionLimits"})
RULES_WORDS = re.compile(r"accept\w*\b.*\brules|rules\b.*\baccept", re.I | re.S)
LIMIT_WORDS = re.compile(r"allowance|daily|limit|per day|tomorrow|maximum number", re.I)
CLOSED_WORDS = re.compile(r"notebook|kernel|disabled|closed|ended|deadline|not accept|no longer", re.I)
TAGS = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<[^>]*>", re.I | re.S)


class NotFound(CompetitionUnusable):
    """Kaggle knows no such competition, file or submission."""


@dataclass(frozen=True)
class Refusal:
    """An answer that is no success. ``wait`` is the Retry-After in seconds, where there was one."""

    status: int
    text: str
    method: str
    slug: str = ""
    wait: float | None = None


def rules_page(slug: str) -> str:
    """The page on which a person joins a competition; no API can do it."""
    return f"https://www.kaggle.com/competitions/{slug}/rules"


def error_text(response: requests.Response, secrets: Iterable[str] = ()) -> str:
    """Read the reason out of either JSON envelope, XML, HTML or plain text; "" when there is none."""
    body = response.text[:LONGEST_BODY]
    found = ""
    try:
        content = json.loads(body)
    except ValueError:
        title = re.search(r"<(?:title|Message|Code)>([^<]+)<", body)
        found = title.group(1) if title else TAGS.sub(" ", body)
    else:
        inner = (content.get("error") or content) if isinstance(content, dict) else content
        reason = inner.get("message") if isinstance(inner, dict) else inner
        found = reason if isinstance(reason, str) else ""
    return clean_text(found, secrets)


def clean_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Make a text from outside fit to be shown on one line of a terminal."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    shown = "".join(char if char.isprintable() else " " for char in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= LONGEST_TEXT else shown[:LONGEST_TEXT] + " ..."


def error_of(refusal: Refusal, credentials_source: str) -> AutoKaggleError:
    """Return the error to raise for a refusal that no retry will change."""
    said = f" Kaggle says: “{refusal.text}”." if refusal.text else ""
    if refusal.method == RENEWAL and refusal.status in (400, 401, 403, 404):
        return ActionNeeded(
            f"The sign-in kept in {credentials_source} has ended: Kaggle does not renew it.{said}",
            f"Sign in again with `kaggle auth login`. Or: {HOW_TO_GET_THEM}",
        )
    if refusal.status == 401:
        return ActionNeeded(
            f"Kaggle does not accept the credentials from {credentials_source} (401).{said}",
            f"Make a new token at {TOKEN_PAGE} and set KAGGLE_API_TOKEN to it.",
        )
    if refusal.status == 403:
        return _forbidden(refusal, said)
    if refusal.status == 404:
        return _not_found(refusal, said)
    if refusal.status == 400 and refusal.method in PARTICIPATION:
        return _submission_refused(refusal, said)
    if refusal.status == 429:
        wait = f" for {refusal.wait:.0f} s" if refusal.wait else ""
        return OutsideWorldError(
            f"Kaggle limits how often {refusal.method} may be called and asks to wait{wait} (429).{said}",
            "Wait some minutes, then try again; what was downloaded is kept.",
        )
    if refusal.status >= 500:
        return OutsideWorldError(
            f"Kaggle failed to answer {refusal.method} ({refusal.status}) after several attempts.{said}",
            "Look at https://www.kaggle.com, then try again; what was downloaded is kept.",
        )
    return OutsideWorldError(
        f"Kaggle refused {refusal.method} ({refusal.status}).{said}",
        "Check AUTOKAGGLE_KAGGLE_URL and proxy settings, if any; otherwise try again later.",
    )


def _forbidden(refusal: Refusal, said: str) -> AutoKaggleError:
    """403 stands for three things; the call and the text tell them apart."""
    slug = refusal.slug
    about_rules = RULES_WORDS.search(refusal.text) or refusal.method in DOWNLOADS | PARTICIPATION
    if slug and about_rules and "competitions.get" not in refusal.text:
        return ActionNeeded(
            f"Kaggle lets you read {slug}, but not take part: its rules are not accepted with this account.{said}",
            f"Open {rules_page(slug)}, sign in, choose “Join Competition” and accept the rules, then run this again. "
            "If the button is greyed out, use the competition's Data tab. If you did accept them, the token is "
            "another account's.",
        )
    if slug:
        return _unknown_slug(slug, said)
    return ActionNeeded(
        f"Kaggle does not allow this account to call {refusal.method} (403).{said}",
        f"Make a token without restrictions at {TOKEN_PAGE}.",
    )


def _unknown_slug(slug: str, said: str) -> NotFound:
    return NotFound(
        f"Kaggle shows no competition named {slug!r}: it is private, or the name is misspelt.{said}",
        f"Open https://www.kaggle.com/competitions/{slug} in a browser: if that works only when you are signed in, "
        "use a token of that account.",
    )


def _not_found(refusal: Refusal, said: str) -> AutoKaggleError:
    if refusal.method in {"GetCompetition", "ListCompetitionPages", "ListDataFiles"} and refusal.slug:
        return _unknown_slug(refusal.slug, said)
    about = f" of {refusal.slug}" if refusal.slug else ""
    return NotFound(
        f"Kaggle has nothing to give for {refusal.method}{about} (404).{said}",
        "Check the name or number; a page of Kaggle that shows it is the proof.",
    )


def _submission_refused(refusal: Refusal, said: str) -> AutoKaggleError:
    if LIMIT_WORDS.search(refusal.text):
        return ActionNeeded(
            f"Kaggle takes no more submissions to {refusal.slug} today.{said}",
            "The limit resets at 00:00 UTC; submit again then.",
        )
    if CLOSED_WORDS.search(refusal.text):
        return CompetitionUnusable(
            f"{refusal.slug} does not take this submission.{said}",
            f"See https://www.kaggle.com/competitions/{refusal.slug} for how it takes submissions.",
        )
    return AutoKaggleError(
        f"Kaggle did not accept the submission to {refusal.slug} (400).{said}",
        "The file is unchanged in the run folder; you can hand it in on the competition's page.",
    )
