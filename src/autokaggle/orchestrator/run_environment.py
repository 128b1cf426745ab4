"""The environment that a run's code works in; this file builds it within the budget and links it into ``env/``.

What most runs need is built while strategy is talked about. What the first candidates need comes first; packages that
only later ones need come beside them.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress

from autokaggle.errors import AutoKaggleError, DiskTrouble, OutsideWorldError
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.journal import progress_listener
from autokaggle.records.candidate import Proposal
from autokaggle.skills.sandbox.environment import Environment, build_environment, find_environment
from autokaggle.storage.records_file import write_atomically

# With less time than this left, packages that are not there yet would come too late.
WORTH_BUILDING_SECONDS = 25.0
# One that lies in the store is found in a moment.
SHORTEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 3600.0
USUAL_TEMPLATE = "tabular"


class RunEnvironments:
    """What candidates run in: ``current`` is the larger environment as soon as there is one.

    ``later`` maps what proposals ask for besides ``needed`` to what may be installed of it, "" for nothing;
    ``without_gpu`` is the same for a plan without a GPU, when that differs. ``missing`` is what of it is not there;
    ``leaves_gpu`` says that what only a GPU needs cannot be had, so that everything is for the processor.

    Raises:
        OutsideWorldError: not even the smaller one can be had.
    """

    def __init__(
        self,
        context: RunContext,
        needed: tuple[str, ...],
        later: Mapping[str, str],
        without_gpu: Mapping[str, str] | None = None,
    ) -> None:
        self._context = context
        self._needed = needed
        self._without_gpu = later if without_gpu is None else without_gpu
        self._for_gpu = tuple(line for line in later if line not in self._without_gpu)
        self._thread: threading.Thread | None = None
        self._built: Environment | None = None
        self._problem = ""
        self.leaves_gpu = False
        self._ask_for(later)
        refused = [line for line in self._for_gpu if line in self._refused]
        if refused:
            self._leave_gpu("they may not be installed")
        self.missing = self._refused
        found = find_environment(self._whole, context.settings.environments, _day(context))
        if found is not None:
            self.current = _adopt(context, found)
        else:
            self.current = prepare_environment(context, needed)
            self.missing = (*self._refused, *self._asked)

    def _ask_for(self, later: Mapping[str, str]) -> None:
        self._asked = {asked: allowed for asked, allowed in later.items() if allowed}
        self._refused = tuple(asked for asked, allowed in later.items() if not allowed)
        self._whole = (*self._needed, *self._asked.values())

    def _leave_gpu(self, why: str) -> None:
        """Ask for what serves the processor instead of what only a GPU needs, and say so."""
        packages = ", ".join(self._for_gpu)
        self._context.journal.warn(f"The run goes on on the processor, without {packages}: {why}")
        self.leaves_gpu = True
        self._ask_for(self._without_gpu)
        self._refused = (*self._refused, *self._for_gpu)

    def build_rest(self) -> None:
        """Start to build what is missing, once, in a thread of its own."""
        worth_it = self._context.budget.left_for_search_seconds >= WORTH_BUILDING_SECONDS
        if self.missing != self._refused and self._thread is None and not self._problem and worth_it:
            self._thread = threading.Thread(target=self._build_whole, daemon=True)
            self._thread.start()

    @property
    def too_late(self) -> tuple[str, ...]:
        """What is missing, and would or did take more time than there was."""
        return () if self._problem else tuple(line for line in self.missing if line not in self._refused)

    @property
    def is_building(self) -> bool:
        return self._thread is not None

    def hold(self, proposal: Proposal) -> bool:
        """Say whether what the proposal needs is there."""
        return not set(proposal.requirements) & set(self.missing)

    def take(self, wait_seconds: float = 0.0) -> None:
        """Use the larger environment from now on if it is ready."""
        if self._thread is None:
            return
        self._thread.join(wait_seconds)
        if self._thread.is_alive():
            return
        self._thread = None
        if self._built is None and self._for_gpu and not self.leaves_gpu:
            # Whichever package it was: without those of the GPU, gigabytes in few files, the others may come.
            self._leave_gpu(self._problem)
            self.missing, self._problem = (*self._refused, *self._asked), ""
            self.build_rest()
        elif self._built is None:
            packages = ", ".join(self._asked.values())
            self._context.journal.warn(f"The run goes on without {packages}: {self._problem}")
        else:
            self.current, self.missing = _adopt(self._context, self._built), self._refused

    def _build_whole(self) -> None:
        try:
            self._built = _build(self._context, self._whole, self._context.run.options.offline)
        except (AutoKaggleError, OSError) as error:
            self._problem = str(error)


def build_ahead(context: RunContext) -> None:
    """Start to build what a run of the usual template needs: a talk gives it minutes that cost no budget.

    A problem is told when the environment is asked for and is not there.
    """
    requirements = context.plugins.template(USUAL_TEMPLATE).requirements
    offline = context.run.options.offline

    def build() -> None:
        with suppress(AutoKaggleError, OSError):
            build_environment(requirements, context.settings.environments, exclude_newer=_day(context), offline=offline)

    if context.run.options.template in ("auto", USUAL_TEMPLATE):
        context.environment_ahead = threading.Thread(target=build, name="build environment", daemon=True)
        context.environment_ahead.start()


def prepare_environment(context: RunContext, requirements: Iterable[str]) -> Environment:
    """Build the environment, or reuse it from the store; leave requirements, lock and link in ``env/``.

    Where the package index does not answer, the newest environment that was built for the same requirements is used,
    with a warning.

    Raises:
        OutsideWorldError: the index cannot be reached, or not in time, and the store has no such environment.
    """
    wanted = tuple(requirements)
    try:
        environment = _build(context, wanted, context.run.options.offline)
    except OutsideWorldError as error:
        if context.run.options.offline or isinstance(error, DiskTrouble):
            raise
        try:
            environment = _build(context, wanted, offline=True)
        except AutoKaggleError:
            raise error from None  # what the store lacks is no news: why it could not be filled is
        context.journal.warn(f"{error.message} An environment that was built earlier is used.")
    return _adopt(context, environment)


def _adopt(context: RunContext, environment: Environment) -> Environment:
    """Leave requirements, lock and link in ``env/``, and say in the run's record what is used."""
    folder = context.folder
    write_atomically(folder.requirements, "".join(f"{line}\n" for line in environment.requirements))
    write_atomically(folder.requirements_lock, environment.lock_text)
    folder.venv.unlink(missing_ok=True)
    folder.venv.symlink_to(environment.folder, target_is_directory=True)
    context.save(lock_sha256=environment.lock_sha256, python=environment.python_version)
    return environment


def _build(context: RunContext, requirements: tuple[str, ...], offline: bool) -> Environment:
    """Build within what is left for the search; a build that takes longer goes on in the background.

    Raises:
        OutsideWorldError: as ``build_environment``, or it is not built in time.
    """
    seconds = context.budget.left_for_search_seconds
    if context.environment_ahead is not None:
        context.environment_ahead.join(seconds)
    outcome: list[Environment | BaseException] = []

    def build() -> None:
        try:
            outcome.append(
                build_environment(
                    requirements,
                    context.settings.environments,
                    exclude_newer=_day(context),
                    offline=offline,
                    timeout_seconds=context.budget.left_for_search_seconds,
                    on_progress=progress_listener(context.journal, "search"),
                )
            )
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            outcome.append(error)

    thread = threading.Thread(target=build, name="build environment", daemon=True)
    thread.start()
    thread.join(max(SHORTEST_WAIT_SECONDS, min(context.budget.left_for_search_seconds, LONGEST_WAIT_SECONDS)))
    if not outcome:
        raise OutsideWorldError(
            f"The environment could not be built within the {seconds:.0f} s that were left for it.",
            "Give a longer --time-budget; what was downloaded is kept, so the next run is quicker.",
        )
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _day(context: RunContext) -> dt.date:
    """Return the day on which the run was made: later packages do not exist for it."""
    return dt.date.fromisoformat(context.run.created[:10])
