"""How calls reach Kaggle; this file is the transport under the generated client of kagglesdk.

Base URL, credentials, time-outs, retries and error mapping are ours, because the SDK's own transport has no time-outs,
no retries and no base URL, and lets KAGGLE_API_TOKEN override explicit credentials. Nothing here reads the environment
for credentials, and no redirect is ever followed with them.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

from autokaggle import __version__
from autokaggle.errors import OutsideWorldError, UsageError
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.refusals import Refusal, clean_text, error_of, error_text
from autokaggle.skills.competition.retries import RetryPolicy, is_passing, ordered_wait

if TYPE_CHECKING:
    import requests

KAGGLE_API = "https://api.kaggle.com"
LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
TIMEOUT_SECONDS = (10.0, 45.0)  # to connect, and between two bytes
ONCE_ONLY = frozenset({"CreateSubmission", "CreateCodeSubmission"})


class Answer(Protocol):
    """What the generated types of kagglesdk share."""

    @classmethod
    def from_dict(cls, json_dict: dict[str, Any]) -> Any: ...


A = TypeVar("A", bound=Answer)


class KaggleTransport:
    """Post requests of the SDK's types and read answers into them; safe to use from several threads.

    ``base_url`` is a loopback server in place of Kaggle; its calls lie under ``/v1`` or ``/api/v1``.
    """

    def __init__(self, base_url: str | None, credentials: Credentials, retry: RetryPolicy | None = None) -> None:
        import requests

        self.base_url = checked_base(base_url)
        self.retry = retry or RetryPolicy()
        self._credentials = credentials
        self._renewal = threading.Lock()
        # Kaggle itself answers under /v1; for any other server the first answer that is no 404 tells.
        self._prefix: str | None = "" if base_url is None else None
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"autokaggle/{__version__}"
        # A session without cookies has no state that two threads could spoil.
        self._session.cookies = _no_cookies()
        # No proxy leads to a loopback server; for Kaggle the usual proxy and CA variables count.
        self._session.trust_env = not is_loopback(self.base_url)

    @property
    def credentials(self) -> Credentials:
        """The credentials in use; an OAuth sign-in changes when it is renewed."""
        return self._credentials

    def close(self) -> None:
        self._session.close()

    def call(self, service: str, method: str, request: Any, response_type: type[A]) -> Any:
        """Make one call, as kagglesdk's generated clients ask for it.

        Raises:
            ActionNeeded: credentials or rules; the message says where to click.
            CompetitionUnusable: Kaggle knows no such competition, file or submission.
            OutsideWorldError: no usable answer, after retries where a second call does no harm.
        """
        from kagglesdk.common.types.http_redirect import HttpRedirect

        slug = str(getattr(request, "competition_name", "") or "")
        body = type(request).to_dict(request)
        response = self._post(service, method, body, slug)
        if issubclass(response_type, HttpRedirect):
            return decode(response_type, {"url": self._location(response, method)})
        return decode(response_type, self._json(response, method))

    def send(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send one request to a signed storage address: no credentials, no retries, time-outs as everywhere.

        Raises:
            requests.RequestException: the connection failed. Its text holds the signed address: do not show it.
        """
        headers = {"Accept-Encoding": "identity", **options.pop("headers", {})}
        # An explicit auth keeps requests from looking the host up in ~/.netrc.
        return self._session.request(
            method, url, headers=headers, auth=_without_credentials, timeout=TIMEOUT_SECONDS, **options
        )

    def _post(
        self, service: str, method: str, body: Mapping[str, Any], slug: str = "", *, signed: bool = True
    ) -> requests.Response:
        prefixes = ("", "/api") if self._prefix is None else (self._prefix,)
        first: requests.Response | None = None
        for prefix in prefixes:
            url = f"{self.base_url}{prefix}/v1/{service}/{method}"
            response = self._attempt(url, method, body, signed)
            if response.status_code != 404:
                self._prefix = prefix
                break
            first = first or response
        else:
            assert first is not None
            response = first
        if response.status_code < 400:
            return response
        raise error_of(self._refusal(response, method, slug), self._credentials.source)

    def _attempt(self, url: str, method: str, body: Mapping[str, Any], signed: bool) -> requests.Response:
        """Post until there is an answer that another attempt would not change."""
        import requests

        attempt, may_renew = 0, signed and self._credentials.form == "oauth"
        auth = self._sign if signed else _without_credentials
        once = method in ONCE_ONLY
        while True:
            attempt += 1
            try:
                response = self._session.post(url, json=body, auth=auth, timeout=TIMEOUT_SECONDS, allow_redirects=False)
            except requests.RequestException as error:
                if once or not _may_pass(error) or not self.retry.allows(attempt):
                    raise self._unreachable(error, method) from error
                self.retry.pause(attempt)
                continue
            if response.status_code == 401 and may_renew:
                may_renew = False
                self._renew(self._credentials)
                continue
            ordered = ordered_wait(response.headers.get("Retry-After"))
            if once or not is_passing(response.status_code) or not self.retry.allows(attempt, ordered):
                return response
            self.retry.pause(attempt, ordered)

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._credentials.must_renew(dt.datetime.now(dt.UTC)):
            self._renew(self._credentials)
        request.headers["Authorization"] = self._credentials.authorization
        return request

    def _renew(self, stale: Credentials) -> None:
        from autokaggle.skills.competition.oauth import renewed_credentials

        with self._renewal:
            if self._credentials is stale:
                self._credentials = renewed_credentials(stale, self._post_unsigned)

    def _post_unsigned(self, service: str, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json(self._post(service, method, body, signed=False), method)

    def _refusal(self, response: requests.Response, method: str, slug: str) -> Refusal:
        text = error_text(response, self._credentials.secrets)
        return Refusal(response.status_code, text, method, slug, ordered_wait(response.headers.get("Retry-After")))

    def _unreachable(self, error: requests.RequestException, method: str) -> OutsideWorldError:
        import requests

        host = urlsplit(self.base_url).netloc
        if isinstance(error, requests.exceptions.SSLError):
            return OutsideWorldError(
                f"The certificate of {host} cannot be verified.",
                "Behind a proxy that inspects TLS, set REQUESTS_CA_BUNDLE to its CA file.",
            )
        if isinstance(error, requests.exceptions.ProxyError):
            return OutsideWorldError(f"The proxy on the way to {host} failed.", "Check the variable https_proxy.")
        what = "did not answer in time" if isinstance(error, requests.Timeout) else "cannot be reached"
        return OutsideWorldError(
            f"{host} {what} ({method}: {type(error).__name__}).",
            "Check the connection, then try again; what was downloaded is kept.",
        )

    def _location(self, response: requests.Response, method: str) -> str:
        location = response.headers.get("Location", "")
        if not location and response.status_code == 200 and "json" in response.headers.get("Content-Type", ""):
            location = str(self._json(response, method).get("url", ""))
        target = urljoin(self.base_url, location)
        secure = urlsplit(target).scheme == "https" or is_loopback(self.base_url)
        if not location or not secure or urlsplit(target).scheme not in ("http", "https"):
            raise OutsideWorldError(f"Kaggle's answer to {method} names no address to download from.", "Try again.")
        return target

    def _json(self, response: requests.Response, method: str) -> dict[str, Any]:
        try:
            content = response.json() if response.status_code < 300 else None
        except ValueError:
            content = None
        if not isinstance(content, dict):
            text = error_text(response, self._credentials.secrets)
            raise OutsideWorldError(
                f"The answer to {method} ({response.status_code}) is not Kaggle's: {clean_text(text) or 'no JSON'}.",
                "Check AUTOKAGGLE_KAGGLE_URL and the network (a sign-in page of a public network?), then try again.",
            )
        return content


def decode(response_type: type[A], content: dict[str, Any]) -> Any:
    """Read an answer into its SDK type, which stumbles over ``null`` lists and enum names that are newer than itself.

    Raises:
        OutsideWorldError: the answer is of another shape than the SDK knows.
    """
    content = _without(content, None)
    for _ in range(10):
        try:
            return response_type.from_dict(content)
        except KeyError as error:
            content = _without(content, error.args[0])
        except (TypeError, ValueError, AttributeError) as error:
            raise OutsideWorldError(
                f"Kaggle's answer cannot be read as {response_type.__name__}.", "Update AutoKaggle, then try again."
            ) from error
    raise OutsideWorldError(
        f"Kaggle's answer cannot be read as {response_type.__name__}.", "Update AutoKaggle, then try again."
    )


def is_loopback(url: str) -> bool:
    """Say whether the address stays on this machine."""
    return LOOPBACK.fullmatch(urlsplit(url).hostname or "") is not None


def _without(content: Any, unwanted: str | None) -> Any:
    """Leave out every field and item that equals ``unwanted``: an absent field takes its default."""
    if isinstance(content, dict):
        return {name: _without(value, unwanted) for name, value in content.items() if value != unwanted}
    if isinstance(content, list):
        return [_without(value, unwanted) for value in content if value != unwanted]
    return content


def checked_base(base_url: str | None) -> str:
    """Return the address that calls go to: Kaggle's, or a sound one in place of it.

    Raises:
        UsageError: credentials must not be sent there.
    """
    if base_url is None:
        return KAGGLE_API
    try:
        parts = urlsplit(base_url.strip())
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        sound = False
    if not sound or (parts.scheme == "http" and not is_loopback(base_url)):
        raise UsageError(
            "AUTOKAGGLE_KAGGLE_URL is no https:// address, nor an http:// address of this machine.",
            "Credentials are sent there, so plain http is for loopback only, e.g. http://127.0.0.1:8765.",
        )
    return base_url.strip().rstrip("/")


def _may_pass(error: requests.RequestException) -> bool:
    import requests

    kinds = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, kinds) and not isinstance(error, requests.exceptions.SSLError)


def _without_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _no_cookies() -> Any:
    from http.cookiejar import DefaultCookiePolicy

    from requests.cookies import RequestsCookieJar

    return RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
