"""Links that open one object for a while; this file signs them and checks what comes back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import urllib.parse

from autokaggle.practice.replies import Refusal
from autokaggle.practice.request_log import Request


class SignedLinks:
    """Signs paths with a secret of its own; a link is good for ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._secret = secrets.token_bytes(32)

    def sign(self, host: str, path: str) -> str:
        """Return the link to ``path`` on ``host``, good from now on."""
        expires = f"{time.time() + self._seconds:.3f}"
        query = urllib.parse.urlencode(
            {"GoogleAccessId": "practice", "Expires": expires, "Signature": self._signature(path, expires)}
        )
        return f"{host}{urllib.parse.quote(path)}?{query}"

    def check(self, request: Request, *, expired: bool = False) -> None:
        """Accept a link that was signed here and is still good; ``expired`` treats it as one that is not.

        Raises:
            Refusal: 403 for a wrong signature, 400 for an expired link and for a request that carries credentials,
                which belong to the API alone.
        """
        if request.authorization:
            raise Refusal(400, "A signed link must be used without an Authorization header")
        expires = request.query.get("Expires", "")
        expected = self._signature(request.path, expires)
        if not hmac.compare_digest(expected.encode(), request.query.get("Signature", "").encode()):
            raise Refusal(403, "The signature of the link does not match")
        if expired or float(expires) < time.time():
            raise Refusal(400, "The link has expired")

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
