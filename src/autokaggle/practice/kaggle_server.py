"""A Kaggle of one's own on the loopback interface; this file puts its parts together and decides who answers a request.

    with PracticeKaggle(folder) as kaggle:
        kaggle.faults.add("rate_limited", match="ListDataFiles", times=2, retry_after_seconds=1)
        ... talk to kaggle.url as DEMO_USERNAME with DEMO_KEY ...
        kaggle.log.exchanges("ListDataFiles")

It imitates the competition part of the API for trying and testing, not Kaggle's site, its limits or its security.
"""

from __future__ import annotations

import dataclasses
import email.utils
import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from autokaggle.practice.accounts import Accounts
from autokaggle.practice.calls import Call
from autokaggle.practice.competition_service import CompetitionService
from autokaggle.practice.faults import Faults
from autokaggle.practice.hosted_competition import read_competitions
from autokaggle.practice.loopback_http import LOOPBACK, LoopbackServer
from autokaggle.practice.notebook_service import NotebookService, RunNotebook
from autokaggle.practice.object_storage import STORAGE_PREFIX, ObjectStorage
from autokaggle.practice.replies import Delivery, Refusal, Reply, Voice, json_reply, refusal_reply
from autokaggle.practice.request_log import Request, RequestLog
from autokaggle.practice.signed_links import SignedLinks
from autokaggle.practice.submission_desk import SubmissionDesk
from autokaggle.practice.upload_slots import UPLOAD_PREFIX, UploadSlots

API_PREFIXES = ("/api/v1/", "/v1/")
COMPETITIONS = "competitions.CompetitionApiService"
NOTEBOOKS = "kernels.KernelsApiService"
INTROSPECT = "security.OAuthService/IntrospectToken"
GENERATE = "users.AccountService/GenerateAccessToken"

# Storage stands under another name than the API, as Kaggle's does, so that a client has to keep its credentials back.
STORAGE_HOST = "localhost"


class PracticeKaggle:
    """Serve the competitions in ``folder`` (see ``hosted_competition``) while the context is open.

    ``scoring_seconds`` is how long a submission stays PENDING, ``link_seconds`` how long a download link is good for,
    ``error_envelope`` in which of Kaggle's two shapes errors are worded. ``run_notebook`` runs the notebooks that are
    pushed; without it each of them fails.

    Raises:
        ValueError: the folder holds no competition, or one that cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        scoring_seconds: float = 0.0,
        link_seconds: float = 900.0,
        error_envelope: Literal["flat", "nested"] = "nested",
        run_notebook: RunNotebook | None = None,
    ) -> None:
        competitions = read_competitions(folder)
        self.error_envelope: Literal["flat", "nested"] = error_envelope
        self.faults = Faults()
        self.log = RequestLog()
        self._scratch = tempfile.TemporaryDirectory(prefix="practice-kaggle-")
        self._accounts = Accounts()
        self._storage = ObjectStorage(competitions, SignedLinks(link_seconds), self.faults, Path(self._scratch.name))
        self._slots = UploadSlots()
        desk = SubmissionDesk(self.faults, scoring_seconds)
        notebooks = NotebookService(competitions, run_notebook)
        service = CompetitionService(competitions, self._storage, self._slots, desk, self.faults, notebooks)
        self._methods = {COMPETITIONS: service.methods, NOTEBOOKS: notebooks.methods}
        self._http = LoopbackServer(self._answer, port=port, accepted_bytes=self._accepted_bytes)

    def __enter__(self) -> Self:
        self._http.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.stop()
        self._scratch.cleanup()

    @property
    def url(self) -> str:
        """The base address of the API, for AUTOKAGGLE_KAGGLE_URL."""
        return f"http://{LOOPBACK}:{self._http.port}"

    @property
    def slip_target(self) -> Path:
        """Where a careless extraction of an archive with zip_slip would write its entry with an absolute path."""
        return self._storage.outside

    def _accepted_bytes(self, request: Request) -> int | None:
        options = self.faults.take("upload_interrupted", request.path) if request.method == "PUT" else None
        return None if options is None else int(options["after_bytes"])

    def _answer(self, request: Request) -> Reply:
        voice = self._voice(request)
        try:
            reply = self._routed(request)
        except Refusal as refusal:
            reply = refusal_reply(refusal, voice)
        self.log.add(request, reply.status if request.whole else 0)
        return self._delivered(reply, request.path)

    def _voice(self, request: Request) -> Voice:
        return "xml" if request.path.startswith((STORAGE_PREFIX, UPLOAD_PREFIX)) else self.error_envelope

    def _routed(self, request: Request) -> Reply:
        self._play_faults(request.path)
        if request.path.startswith(STORAGE_PREFIX):
            return self._storage.serve(request)
        if request.path.startswith(UPLOAD_PREFIX):
            return self._slots.receive(request)
        return self._called(request)

    def _play_faults(self, path: str) -> None:
        """Be late, or refuse, where a fault says so."""
        late = self.faults.take("delay", path)
        if late is not None:
            self._http.stopping.wait(float(late["seconds"]))
        if self.faults.take("unauthorized", path) is not None:
            raise Refusal(401, "Unauthenticated")
        if self.faults.take("not_found", path) is not None:
            raise Refusal(404, "NotFound")
        limited = self.faults.take("rate_limited", path)
        if limited is not None:
            raise Refusal(429, "Too many requests", _retry_after(limited))
        broken = self.faults.take("server_error", path)
        if broken is not None:
            raise Refusal(int(broken["status"]), "Internal error", voice="html" if broken["html"] else None)

    def _called(self, request: Request) -> Reply:
        name = next((request.path.removeprefix(each) for each in API_PREFIXES if request.path.startswith(each)), "")
        if request.method != "POST" or not name:
            raise Refusal(404, "NotFound")
        try:
            fields = request.json()
        except msgspec.DecodeError as error:
            raise Refusal(400, f"The request cannot be read: {error}") from error
        if name == INTROSPECT:
            return json_reply(self._accounts.introspect(fields))
        if name == GENERATE:
            return json_reply(self._accounts.generate_access_token(fields))
        username = self._accounts.identify(request.authorization)
        service, _, method = name.partition("/")
        if method not in self._methods.get(service, {}):
            raise Refusal(404, "NotFound")
        storage_host = f"http://{STORAGE_HOST}:{self._http.port}"
        return self._methods[service][method](Call(username, fields, request.path, storage_host))

    def _delivered(self, reply: Reply, path: str) -> Reply:
        """Return ``reply`` with the delivery that faults ask for."""
        cut = self.faults.take("cut", path)
        slow = self.faults.take("slow", path)
        wrong = self.faults.take("wrong_length", path)
        delivery = Delivery(
            cut_after_bytes=None if cut is None else int(cut["after_bytes"]),
            bytes_per_second=None if slow is None else int(slow["bytes_per_second"]),
            length_delta=0 if wrong is None else int(wrong["delta"]),
        )
        return dataclasses.replace(reply, delivery=delivery)


def _retry_after(options: Mapping[str, Any]) -> dict[str, str]:
    seconds = options["retry_after_seconds"]
    if seconds is None:
        return {}
    if options["as_date"]:
        return {"Retry-After": email.utils.formatdate(math.ceil(time.time() + seconds), usegmt=True)}
    return {"Retry-After": str(seconds)}
