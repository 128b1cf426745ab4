"""Secrets in text; this file removes the values that are known, and strings that look like keys.

It cannot know a secret that looks like a word and that nobody told it. Personal data are masked elsewhere, by the rules
that the data profile uses.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

REMOVED = "<removed>"
# A known value shorter than this would take ordinary words and numbers with it.
SHORTEST_SECRET = 6
SHORTEST_PART = 8

SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|DSN)(?:_|$)|^KAGGLE_USERNAME$",
    re.IGNORECASE,
)
# Settings of our own and addresses of services are no secrets, but for a password inside an address.
PUBLIC_NAME = re.compile(r"^AUTOKAGGLE_(?!.*KEY$)|_URL$|_HOST$", re.IGNORECASE)
PARTS = re.compile(rf"[^:\"{{}},\s]{{{SHORTEST_PART},}}")

LOOKS_SECRET = re.compile(
    r"""
      -----BEGIN [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END [A-Z ]*PRIVATE\ KEY-----|\Z)
    | \bAIza[0-9A-Za-z_-]{30,}                        # Google
    | \bya29\.[0-9A-Za-z_-]{20,}
    | \b(?:sk|rk|pk)[-_](?:[a-z]+[-_])*[0-9A-Za-z_-]{20,}  # OpenAI, Anthropic, Stripe
    | \bKGAT_[0-9A-Za-z_-]{10,}                       # Kaggle
    | \bgh[pousr]_[0-9A-Za-z]{20,} | \bgithub_pat_[0-9A-Za-z_]{20,} | \bglpat-[0-9A-Za-z_-]{16,}
    | \bhf_[0-9A-Za-z]{20,}                           # Hugging Face
    | \bxox[abprs]-[0-9A-Za-z-]{10,}                  # Slack
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                   # Amazon
    | \bnpm_[0-9A-Za-z]{30,} | \bpypi-[0-9A-Za-z_-]{30,}
    | \beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{4,}   # JSON web tokens
    | (?<=://)[^\s/:@"'<>]+:[^\s/@"'<>]+(?=@)         # user and password in an address
    | (?i:(?<=bearer\s)|(?<=basic\s))[0-9A-Za-z+/=._~-]{16,}
    | \b(?<![\w-])[0-9a-fA-F]{32,128}(?![\w-])          # keys and hashes in hexadecimal digits
    """,
    re.VERBOSE | re.DOTALL,
)
NAMED_SECRET = re.compile(
    r"""(?i)\b(?P<name>[\w-]*(?:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d|passphrase)[\w-]*["']?\s*[:=]\s*["']?)
    (?P<value>[^\s"'<>,;]{8,})""",
    re.VERBOSE,
)


class Redactor:
    """Removes the secrets given, in every spelling in which they might turn up, and what looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {spelling for secret in secrets for spelling in _spellings(secret)}
        # The longest first: a part of a secret must not be taken out of the middle of the whole.
        ordered = sorted(values, key=lambda value: (-len(value), value))
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def clean(self, text: str) -> tuple[str, int]:
        """Return the text without secrets, and how many pieces were removed."""
        count = 0
        if self._known is not None:
            text, count = self._known.subn(REMOVED, text)
        text, looking = LOOKS_SECRET.subn(REMOVED, text)
        text, named = NAMED_SECRET.subn(rf"\g<name>{REMOVED}", text)
        return text, count + looking + named


def secret_values(environment: Mapping[str, str], private_names: Iterable[str] = ()) -> set[str]:
    """Return the values of variables that are secrets by their names, and of all that a private file (.env) gives."""
    private = set(private_names)
    found: set[str] = set()
    for name, value in environment.items():
        if SECRET_NAME.search(name) or (name in private and not PUBLIC_NAME.search(name)):
            found.add(value)
        if "://" in value and (password := _password(value)):
            found.add(password)
    return found


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""


def _spellings(secret: str) -> set[str]:
    """A secret may be `username:key` or JSON, and may be written as JSON, in an address, or in base 64."""
    whole = secret.strip()
    values = {whole} if len(whole) >= SHORTEST_SECRET else set()
    if re.search(r"[:\"{},\s]", whole):
        values |= set(PARTS.findall(whole))
    encoded = {base64.b64encode(value.encode()).decode().rstrip("=") for value in values}
    return (
        values | {quote(value, safe="") for value in values} | {json.dumps(value)[1:-1] for value in values} | encoded
    )
