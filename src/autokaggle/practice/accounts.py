"""Who may talk to the practice server; this file checks Basic keys and Bearer tokens and answers the two token calls.

The credentials below are public and open nothing but this server.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from autokaggle.practice.replies import Refusal

DEMO_USERNAME = "practice"
DEMO_KEY = "00000000000000000000000000000000"
DEMO_TOKEN = "KGAT_practice_0000000000000000000000"  # noqa: S105
DEMO_REFRESH_TOKEN = "practice-refresh-token"  # noqa: S105

ACCESS_TOKEN_SECONDS = 43_200
USER_ID = 1


class Accounts:
    """One account with a legacy key, an access token and a refresh token; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expiry: dict[str, float] = {DEMO_TOKEN: float("inf")}

    def identify(self, authorization: str) -> str:
        """Return the account that the Authorization header proves.

        Raises:
            Refusal: 401, the header is absent, or names no account.
        """
        scheme, _, value = authorization.partition(" ")
        if scheme == "Bearer" and self._is_valid(value):
            return DEMO_USERNAME
        if scheme == "Basic" and _decoded(value) == f"{DEMO_USERNAME}:{DEMO_KEY}":
            return DEMO_USERNAME
        raise Refusal(401, "Unauthenticated")

    def introspect(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Answer IntrospectToken: whose token it is, or that it is none."""
        token = str(fields.get("token", ""))
        if not self._is_valid(token):
            return {"active": False}
        answer = {"active": True, "username": DEMO_USERNAME, "userId": USER_ID, "scope": "resources.admin:*"}
        with self._lock:
            expiry = self._expiry[token]
        return answer if expiry == float("inf") else {**answer, "exp": int(expiry)}

    def generate_access_token(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Answer GenerateAccessToken: a new access token for the refresh token.

        Raises:
            Refusal: 401, the refresh token is unknown; 400, the duration is no text such as ``43200s``.
        """
        if fields.get("refreshToken") != DEMO_REFRESH_TOKEN:
            raise Refusal(401, "Unauthenticated")
        seconds = _seconds(fields.get("expirationDuration"))
        token = f"KGAT_practice_{secrets.token_hex(11)}"
        with self._lock:
            self._expiry[token] = time.time() + seconds
        return {"token": token, "expiresIn": seconds, "userName": DEMO_USERNAME, "userId": USER_ID}

    def _is_valid(self, token: str) -> bool:
        with self._lock:
            return self._expiry.get(token, 0.0) > time.time()


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _seconds(duration: Any) -> int:
    if duration is None:
        return ACCESS_TOKEN_SECONDS
    try:
        return min(int(float(str(duration).removesuffix("s"))), ACCESS_TOKEN_SECONDS)
    except (ValueError, OverflowError) as error:
        raise Refusal(400, "expirationDuration is not a duration") from error
