"""A notebook as a submission; this file pushes one to Kaggle, waits until it has run, and hands in what it wrote.

A competition for code takes no files: Kaggle runs the notebook, on the hidden test set too. Pushing is repeated
safely, since a notebook of the same name is found again; handing in is not, and is marked like any submission.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autokaggle.errors import CompetitionUnusable, NoValidSubmission, OutsideWorldError
from autokaggle.records.event import Progress
from autokaggle.skills.competition.meter import OnProgress
from autokaggle.skills.competition.refusals import NotFound, clean_text

if TYPE_CHECKING:
    from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient
    from kagglesdk.kernels.services.kernels_api_service import KernelsApiClient

# Kaggle refuses sources above one megabyte, and titles shorter or longer than these.
LARGEST_BYTES = 1_000_000
LONGEST_TITLE = 50
SUBMISSION = "submission.csv"
# The longest that Kaggle lets a notebook without an accelerator run.
LONGEST_RUN_SECONDS = 12 * 3600.0
FIRST_PAUSE_SECONDS, SLOWEST_POLL_SECONDS = 2.0, 60.0
ENDED_BADLY = ("ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED")


@dataclass(frozen=True)
class PushedNotebook:
    """One version of a notebook on Kaggle."""

    owner: str
    slug: str
    version: int

    @property
    def url(self) -> str:
        return f"https://www.kaggle.com/code/{self.owner}/{self.slug}"


def notebook_title(run_id: str) -> str:
    """Return a title that names the run and that Kaggle takes: its end tells runs apart, so the start is cut."""
    plain = re.sub(r"[^a-z0-9]+", " ", run_id.lower()).split()
    return f"autokaggle {' '.join(plain)[-(LONGEST_TITLE - 11) :].strip()}"


def push(api: KernelsApiClient, owner: str, competition: str, title: str, source: str) -> PushedNotebook:
    """Push a private notebook that runs without internet on the competition's data; find it if it is there already.

    Raises:
        CompetitionUnusable: it is too large, or Kaggle refuses it.
    """
    slug = title.lower().replace(" ", "-")
    if known := _find(api, owner, slug):
        return known
    if len(source.encode()) > LARGEST_BYTES:
        raise CompetitionUnusable(
            f"The notebook has {len(source.encode()):,} bytes; Kaggle takes {LARGEST_BYTES:,}.",
            "Attach the code as a data set: `autokaggle export RUN --format zip`.",
        )
    answer: Any = api.save_kernel(_request(owner, slug, competition, title, source))
    if answer.error or answer.invalid_competition_sources:
        reason = clean_text(answer.error or "the competition's data cannot be attached")
        raise CompetitionUnusable(
            f"Kaggle refuses the notebook: {reason}.", f"Check that you have joined {competition}, then submit again."
        )
    return PushedNotebook(owner, slug, int(answer.version_number or 1))


def wait_until_run(
    api: KernelsApiClient, notebook: PushedNotebook, on_progress: OnProgress, timeout_seconds: float
) -> None:
    """Wait until Kaggle has run the notebook.

    Raises:
        NoValidSubmission: it failed there.
        OutsideWorldError: it still runs after ``timeout_seconds``.
    """
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    request = ApiGetKernelSessionStatusRequest()
    request.user_name, request.kernel_slug = notebook.owner, notebook.slug
    started, pause = time.monotonic(), FIRST_PAUSE_SECONDS
    while True:
        answer: Any = api.get_kernel_session_status(request)
        status, waited = answer.status.name, time.monotonic() - started
        if status == "COMPLETE":
            return
        if status in ENDED_BADLY:
            said = clean_text(answer.failure_message or "it gives no reason")
            raise NoValidSubmission(f"The notebook failed on Kaggle: {said}.", f"Its log is at {notebook.url}.")
        if waited + pause > timeout_seconds:
            raise OutsideWorldError(
                f"The notebook still runs on Kaggle after {waited:.0f} s.", "Submit the run again later: it goes on."
            )
        on_progress(Progress(text="Kaggle runs the notebook", done=waited, total=None, unit="s"))
        time.sleep(pause)
        pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)


def create(api: CompetitionApiClient, competition: str, notebook: PushedNotebook, description: str) -> int:
    """Hand in what the notebook wrote and return the submission's number.

    Raises:
        OutsideWorldError: Kaggle does not confirm it.
    """
    from kagglesdk.competitions.types.competition_api_service import ApiCreateCodeSubmissionRequest

    request = ApiCreateCodeSubmissionRequest()
    request.competition_name = competition
    request.kernel_owner, request.kernel_slug = notebook.owner, notebook.slug
    request.kernel_version = notebook.version
    request.file_name = SUBMISSION
    request.submission_description = description
    ref = int(api.create_code_submission(request).ref)
    if not ref:
        raise OutsideWorldError("Kaggle's answer names no submission.", f"Look at {notebook.url} before you try again.")
    return ref


def _find(api: KernelsApiClient, owner: str, slug: str) -> PushedNotebook | None:
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

    request = ApiGetKernelRequest()
    request.user_name, request.kernel_slug = owner, slug
    try:
        answer: Any = api.get_kernel(request)
    except NotFound:
        return None
    version = answer.metadata.current_version_number if answer.metadata else None
    return PushedNotebook(owner, slug, int(version)) if version else None


def _request(owner: str, slug: str, competition: str, title: str, source: str) -> Any:
    from kagglesdk.kernels.types.kernels_api_service import ApiSaveKernelRequest
    from kagglesdk.kernels.types.kernels_enums import KernelExecutionType

    request = ApiSaveKernelRequest()
    request.slug, request.new_title, request.text = f"{owner}/{slug}", title, source
    request.language, request.kernel_type = "python", "notebook"
    request.is_private, request.enable_internet, request.enable_gpu = True, False, False
    request.competition_data_sources = [competition]
    request.kernel_execution_type = KernelExecutionType.SAVE_AND_RUN_ALL
    return request
