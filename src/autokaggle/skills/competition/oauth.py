"""OAuth access tokens live for hours; this file renews one with the refresh token of ``kaggle auth login``."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

from autokaggle.errors import OutsideWorldError
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.refusals import RENEWAL
from autokaggle.storage.records_file import write_atomically

SERVICE = "users.AccountService"
LIFETIME_SECONDS = 12 * 3600

Post = Callable[[str, str, Mapping[str, Any]], dict[str, Any]]


def renewed_credentials(stale: Credentials, post: Post) -> Credentials:
    """Trade the refresh token for a new access token, and keep that where the old one was kept.

    Raises:
        ActionNeeded: Kaggle does not accept the refresh token any more.
        OutsideWorldError: no answer.
    """
    body = {
        "refreshToken": stale.refresh_token,
        "apiVersion": "API_VERSION_V1",
        "expirationDuration": f"{LIFETIME_SECONDS}s",
    }
    answer = post(SERVICE, RENEWAL, body)
    token = str(answer.get("token") or "")
    if not token:
        raise OutsideWorldError("Kaggle answered the renewal of the sign-in without a token.", "Try again later.")
    seconds = float(answer.get("expiresIn") or LIFETIME_SECONDS)
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    renewed = dataclasses.replace(stale, secret=token, expires=expires)
    _keep(renewed)
    return renewed


def _keep(renewed: Credentials) -> None:
    """Write the new token beside the fields that are already in the file; a read-only home only costs a renewal."""
    if renewed.file is None or renewed.expires is None:
        return
    try:
        content = json.loads(renewed.file.read_text("utf-8"))
        content |= {"access_token": renewed.secret, "access_token_expiration": renewed.expires.isoformat()}
        write_atomically(renewed.file, json.dumps(content, indent=2))
    except (OSError, ValueError, TypeError, OutsideWorldError):
        return
