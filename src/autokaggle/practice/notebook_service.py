"""The calls of Kaggle's kernels API; this file keeps pushed notebooks, runs each once, and tells how that went.

What runs a notebook is given from outside: this server has no environment for foreign code.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autokaggle.practice.calls import Call
from autokaggle.practice.hosted_competition import HostedCompetition
from autokaggle.practice.replies import Refusal, Reply, json_reply

# Takes the notebook's text and the competition's data folder, and returns the content of submission.csv.
RunNotebook = Callable[[str, Path], bytes]

LARGEST_BYTES = 1_000_000


@dataclass
class HostedNotebook:
    """One pushed notebook; ``submission`` is what it wrote, ``failure`` why it wrote nothing."""

    owner: str
    slug: str
    title: str
    source: str
    competitions: tuple[str, ...]
    is_private: bool
    version: int = 1
    status: str = "QUEUED"
    submission: bytes = b""
    failure: str = ""


class NotebookService:
    """Answers KernelsApiService; ``methods`` names what it knows. Safe to use from several threads."""

    def __init__(self, competitions: Mapping[str, HostedCompetition], run_notebook: RunNotebook | None) -> None:
        self._competitions = competitions
        self._run_notebook = run_notebook
        self._lock = threading.Lock()
        self._notebooks: dict[tuple[str, str], HostedNotebook] = {}
        self.methods: dict[str, Callable[[Call], Reply]] = {
            "SaveKernel": self._save,
            "GetKernel": self._get,
            "GetKernelSessionStatus": self._status,
        }

    def find(self, owner: str, slug: str) -> HostedNotebook:
        """Return one notebook.

        Raises:
            Refusal: 404, there is none of that name.
        """
        with self._lock:
            found = self._notebooks.get((owner, slug))
        if found is None:
            raise Refusal(404, f"Notebook {owner}/{slug} was not found")
        return found

    def _save(self, call: Call) -> Reply:
        owner, _, slug = call.text("slug").partition("/")
        sources = tuple(call.fields.get("competitionDataSources") or ())
        if owner != call.username or not slug:
            raise Refusal(403, "Permission 'kernels.edit' was denied")
        if slug != call.text("newTitle").lower().replace(" ", "-"):
            raise Refusal(400, "The notebook's title does not resolve to its slug")
        if len(call.text("text").encode()) > LARGEST_BYTES:
            raise Refusal(400, "The notebook's source exceeds the maximum size")
        if unknown := [name for name in sources if name not in self._competitions]:
            return json_reply({"ref": "", "url": "", "invalidCompetitionSources": unknown})
        with self._lock:
            before = self._notebooks.get((owner, slug))
            notebook = HostedNotebook(
                owner=owner,
                slug=slug,
                title=call.text("newTitle"),
                source=call.text("text"),
                competitions=sources,
                is_private=bool(call.fields.get("isPrivate")),
                version=before.version + 1 if before else 1,
            )
            self._notebooks[owner, slug] = notebook
        threading.Thread(target=self._run, args=(notebook,), daemon=True).start()
        return json_reply({"ref": f"/code/{owner}/{slug}", "url": "", "versionNumber": notebook.version})

    def _get(self, call: Call) -> Reply:
        found = self.find(call.text("userName"), call.text("kernelSlug"))
        metadata: dict[str, Any] = {
            "ref": f"{found.owner}/{found.slug}",
            "title": found.title,
            "author": found.owner,
            "slug": found.slug,
            "isPrivate": found.is_private,
            "competitionDataSources": list(found.competitions),
            "currentVersionNumber": found.version,
        }
        return json_reply({"metadata": metadata, "blob": {"source": found.source}})

    def _status(self, call: Call) -> Reply:
        found = self.find(call.text("userName"), call.text("kernelSlug"))
        return json_reply({"status": found.status, "failureMessage": found.failure})

    def _run(self, notebook: HostedNotebook) -> None:
        notebook.status = "RUNNING"
        try:
            if self._run_notebook is None:
                raise RuntimeError("this server runs no notebooks")
            notebook.submission = self._run_notebook(notebook.source, self._data(notebook))
        except Exception as error:  # noqa: BLE001 - whatever a notebook does ends as its failure
            notebook.failure, notebook.status = str(error)[:500] or type(error).__name__, "ERROR"
        else:
            notebook.status = "COMPLETE"

    def _data(self, notebook: HostedNotebook) -> Path:
        return self._competitions[notebook.competitions[0]].data
