"""Whose account calls go out under; this file finds the credentials in every place and form that Kaggle users have.

It makes no call: an OAuth access token that has run out is renewed by ``oauth.py``. Secrets stay out of reprs,
messages and the process environment.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from autokaggle.errors import ActionNeeded
from autokaggle.storage.secrets_vault import SecretsVault

CredentialForm = Literal["access token", "legacy key", "oauth"]

TOKEN_PAGE = "https://www.kaggle.com/settings/api"  # noqa: S105
HOW_TO_GET_THEM = (
    f"Open {TOKEN_PAGE}, choose “Generate New Token”, and set KAGGLE_API_TOKEN to it (environment or .env), "
    "or run `autokaggle auth login`."
)
TOKEN_PREFIX = "KGAT_"  # noqa: S105
VAULT = "vault"
VAULT_ENTRY = "kaggle"
LONGEST_PATH = 255
PATH_STARTS = ("/", "./", "../", "~")
USER_NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,100}")
RENEW_BEFORE = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Credentials:
    """One way to sign in. ``source`` says where it was found; ``file`` is where a renewed OAuth token is kept."""

    source: str
    form: CredentialForm
    secret: str = field(repr=False)
    username: str = ""
    refresh_token: str = field(default="", repr=False)
    expires: dt.datetime | None = None
    file: Path | None = None

    @property
    def authorization(self) -> str:
        """The value of the Authorization header."""
        if self.form == "legacy key":
            return "Basic " + base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()
        return f"Bearer {self.secret}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that no log, message or prompt may show."""
        encoded = self.authorization.split(" ", 1)[1]
        return tuple(value for value in (self.secret, self.refresh_token, encoded) if value)

    def must_renew(self, now: dt.datetime) -> bool:
        """Say whether an OAuth access token has run out or is about to."""
        if self.form != "oauth":
            return False
        return not self.secret or self.expires is None or self.expires - RENEW_BEFORE <= now


@dataclass(frozen=True)
class Place:
    """Where credentials were looked for: what was found, or what is wrong with it."""

    name: str
    credentials: Credentials | None = None
    problem: str = ""


def find_credentials(environment: Mapping[str, str], user_home: Path, vault: SecretsVault | None = None) -> Credentials:
    """Return the credentials that win: environment, then ``~/.kaggle``, then the vault.

    Raises:
        ActionNeeded: there are none (says how to get them), or the winning ones are malformed (says which).
    """
    for found in all_credentials(environment, user_home, vault):
        return found
    raise ActionNeeded("No Kaggle credentials were found.", f"{HOW_TO_GET_THEM}\n`autokaggle demo` needs none.")


def all_credentials(
    environment: Mapping[str, str], user_home: Path, vault: SecretsVault | None = None
) -> Iterator[Credentials]:
    """Yield everything that could be signed in with, the winner first; lazily, so that later places cost nothing.

    Raises:
        ActionNeeded: the place that is next holds something malformed.
    """
    for _, read in _places(environment, user_home, vault):
        if (found := read()) is not None:
            yield found


def survey_credentials(
    environment: Mapping[str, str], user_home: Path, vault: SecretsVault | None = None
) -> tuple[Place, ...]:
    """Return every place that holds credentials, sound or malformed, in the order in which they win."""
    surveyed = []
    for name, read in _places(environment, user_home, vault):
        try:
            if (found := read()) is not None:
                surveyed.append(Place(found.source, found))
        except ActionNeeded as error:
            surveyed.append(Place(name, problem=error.message))
    return tuple(surveyed)


def read_credentials(text: str, source: str) -> Credentials:
    """Read what a person pastes: a token, ``username:key``, or the content of kaggle.json.

    Raises:
        ActionNeeded: it is none of these.
    """
    return _from_text(text.strip(), source, None)


def _places(
    environment: Mapping[str, str], user_home: Path, vault: SecretsVault | None
) -> list[tuple[str, Callable[[], Credentials | None]]]:
    folder = user_home / ".kaggle"

    def variable() -> Credentials | None:
        value = environment.get("KAGGLE_API_TOKEN", "").strip()
        return _from_text(value, "KAGGLE_API_TOKEN", user_home) if value else None

    def token_file(name: str) -> Credentials | None:
        text = _text_of(folder / name)
        return _from_text(text, f"~/.kaggle/{name}", None) if text else None

    def kept() -> Credentials | None:
        text = vault.get(VAULT_ENTRY) if vault is not None else None
        return _from_text(text, VAULT, None) if text else None

    return [
        ("KAGGLE_API_TOKEN", variable),
        ("KAGGLE_USERNAME and KAGGLE_KEY", lambda: _from_pair(environment, user_home)),
        ("~/.kaggle/access_token", lambda: token_file("access_token")),
        ("~/.kaggle/access_token.txt", lambda: token_file("access_token.txt")),
        ("kaggle.json", lambda: _from_kaggle_json(environment, user_home)),
        ("~/.kaggle/credentials.json", lambda: _from_oauth_file(folder / "credentials.json")),
        (VAULT, kept),
    ]


def _from_text(value: str, source: str, user_home: Path | None) -> Credentials:
    if value.startswith("{"):
        return _from_json(value, source)
    if user_home is not None and (path := _existing_path(value, source, user_home)) is not None:
        return _from_text(_text_of(path), f"{source} (file {path})", None)
    username, colon, key = value.partition(":")
    if colon and USER_NAME.fullmatch(username) and not value.startswith(TOKEN_PREFIX):
        return _from_user_and_key(username, key.strip(), source)
    return Credentials(source, "access token", _clean(value, source))


def _existing_path(value: str, source: str, user_home: Path) -> Path | None:
    """A token longer than any path must not reach the file system: it answers "file name too long"."""
    if len(value) > LONGEST_PATH or "\n" in value:
        return None
    path = user_home / value[2:] if value.startswith("~/") else Path(value)
    if path.is_file():
        return path
    if value.startswith(PATH_STARTS):
        raise ActionNeeded(f"{source} names the file {path}, which does not exist.", HOW_TO_GET_THEM)
    return None


def _from_json(text: str, source: str) -> Credentials:
    content = _json_object(text, source)
    username, key = content.get("username"), content.get("key")
    if not isinstance(username, str) or not isinstance(key, str) or not username.strip():
        raise ActionNeeded(f"The JSON in {source} lacks `username` or `key`.", HOW_TO_GET_THEM)
    return _from_user_and_key(username.strip(), key.strip(), source)


def _from_user_and_key(username: str, key: str, source: str) -> Credentials:
    """New tokens end up where legacy keys used to stand; Kaggle takes them only as Bearer."""
    clean = _clean(key, source)
    if clean.startswith(TOKEN_PREFIX):
        return Credentials(source, "access token", clean, username)
    return Credentials(source, "legacy key", clean, username)


def _from_pair(environment: Mapping[str, str], user_home: Path) -> Credentials | None:
    """Either variable may be missing when kaggle.json has it: the environment wins field by field."""
    username = environment.get("KAGGLE_USERNAME", "").strip()
    key = environment.get("KAGGLE_KEY", "").strip()
    if not username and not key:
        return None
    if username and key:
        return _from_user_and_key(username, key, "KAGGLE_USERNAME and KAGGLE_KEY")
    other = _from_kaggle_json(environment, user_home)
    if other is None:
        given, missing = ("KAGGLE_USERNAME", "KAGGLE_KEY") if username else ("KAGGLE_KEY", "KAGGLE_USERNAME")
        raise ActionNeeded(f"{given} is set, but {missing} is not.", f"Set {missing} too, or remove {given}.")
    return _from_user_and_key(username or other.username, key or other.secret, f"environment and {other.source}")


def _from_kaggle_json(environment: Mapping[str, str], user_home: Path) -> Credentials | None:
    path = _kaggle_json(environment, user_home)
    text = _text_of(path)
    return _from_json(text, _shown(path, user_home)) if text else None


def _kaggle_json(environment: Mapping[str, str], user_home: Path) -> Path:
    if chosen := environment.get("KAGGLE_CONFIG_DIR", "").strip():
        return Path(chosen).expanduser() / "kaggle.json"
    usual = user_home / ".kaggle"
    if usual.is_dir():
        return usual / "kaggle.json"
    config_home = environment.get("XDG_CONFIG_HOME", "").strip()
    return (Path(config_home) if config_home else user_home / ".config") / "kaggle" / "kaggle.json"


def _from_oauth_file(path: Path) -> Credentials | None:
    text = _text_of(path)
    if not text:
        return None
    source = "~/.kaggle/credentials.json"
    content = _json_object(text, source)
    refresh_token = str(content.get("refresh_token") or "").strip()
    if not refresh_token:
        return None
    return Credentials(
        source,
        "oauth",
        _clean(str(content.get("access_token") or ""), source, may_be_empty=True),
        str(content.get("username") or ""),
        refresh_token=refresh_token,
        expires=_moment(content.get("access_token_expiration")),
        file=path,
    )


def _moment(text: object) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _json_object(text: str, source: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        # The parser's own message may quote the text, and with it the key.
        raise ActionNeeded(f"{source} holds JSON that cannot be read.", HOW_TO_GET_THEM) from None
    if not isinstance(content, dict):
        raise ActionNeeded(f"{source} holds no JSON object.", HOW_TO_GET_THEM)
    return content


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ActionNeeded(f"Cannot read {path}: {type(error).__name__}.", "Make the file readable.") from None


def _clean(value: str, source: str, *, may_be_empty: bool = False) -> str:
    """A line break or blank inside would end up in a header, or in the error that a header library raises of it."""
    if not value and may_be_empty:
        return value
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ActionNeeded(f"The Kaggle credentials in {source} are malformed.", HOW_TO_GET_THEM)
    return value


def _shown(path: Path, user_home: Path) -> str:
    return f"~/{path.relative_to(user_home)}" if path.is_relative_to(user_home) else str(path)
