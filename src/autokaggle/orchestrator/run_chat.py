"""Talking about a run that exists; this file opens it for a talk, and shows what its language model would be sent.

The search is not carried on here: what is decided counts when the run is resumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from autokaggle.config import Settings
from autokaggle.errors import ActionNeeded, UsageError
from autokaggle.orchestrator import talking
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.journal import Journal, Listener, silent, utc_now
from autokaggle.plugins.manager import Plugins
from autokaggle.records.plan import Decisions
from autokaggle.records.run import RunOptions, StageRecord
from autokaggle.skills.dialogue.payload import Payload, Prompt
from autokaggle.skills.dialogue.person import Person
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.run_folders import hold_run, read_run

BEFORE_TALK = ("fetch", "profile")


@dataclass(frozen=True)
class Preview:
    """What would be sent: the prompt, what the gate makes of it, and what a call of this size costs."""

    prompt: Prompt
    payload: Payload
    model: str
    cost: str


def talk_about(
    folder: RunFolder, settings: Settings, options: RunOptions, person: Person, listener: Listener = silent
) -> Decisions:
    """Talk about a run, and leave what is agreed in its folder. ``options`` are the run's from now on.

    A run that has scored nothing yet is planned anew when it goes on.

    Raises:
        UsageError: another process is at work on the run, or its data have not been looked at yet.
    """
    with hold_run(folder), _opened(folder, settings, listener) as context:
        context.save(options=options)
        context.person = person
        decisions = talking.discuss(context)
        if not any(candidate.score is not None for candidate in context.candidates()):
            kept = [stage for stage in context.run.stages if stage.name in BEFORE_TALK]
            talk = StageRecord(name="discuss", status="done", started=utc_now(), message="decided in a talk")
            context.save(stages=(*kept, talk), plan=None)
    return decisions


def preview(folder: RunFolder, settings: Settings, options: RunOptions, operation: str) -> Preview:
    """Make the payload of an operation as it would leave now; nothing is sent.

    Raises:
        UsageError: the run's data have not been looked at yet, or there is no such operation.
    """
    from autokaggle.skills.dialogue import strategist
    from autokaggle.skills.dialogue.agreement import Agreement
    from autokaggle.skills.dialogue.payload_gate import EXPECTED_OUTPUT_TOKENS, make_payload
    from autokaggle.skills.dialogue.prompt_files import read_wording
    from autokaggle.skills.dialogue.prompting import make_prompt
    from autokaggle.skills.dialogue.spending import Spending, price_of

    with _opened(folder, settings, silent) as context:
        context.run = msgspec.structs.replace(context.run, options=options)
        brief = talking.make_brief(context)
        base = strategist.decide(brief.competition, brief.profile, options, brief.default_metric, brief.gpu)
        wording = read_wording(operation, brief.profile, talking.prompt_folders(settings, context.plugins))
        prompt = make_prompt(wording, brief, Agreement(base, brief).decisions)
        payload = make_payload(prompt, talking.make_rules(settings, options.schema_only))
    try:
        model = talking.find_model(options.model, settings) if options.model else None
    except ActionNeeded:
        model = None  # what would be sent can be read without a key
    if model is None:
        return Preview(prompt, payload, options.model or "", f"about {payload.tokens:,} tokens")
    cost = Spending(partial(price_of, model), options.max_cost_usd).describe(payload.tokens, EXPECTED_OUTPUT_TOKENS)
    return Preview(prompt, payload, model.name, cost)


@contextmanager
def _opened(folder: RunFolder, settings: Settings, listener: Listener) -> Iterator[RunContext]:
    run = read_run(folder)
    if not folder.profile.is_file():
        raise UsageError(
            f"The data of run {folder.id} have not been looked at yet.", f"Go on with: autokaggle resume {folder.id}"
        )
    budget = Budget(run.options.time_budget_seconds, run.budget_seconds_used)
    journal = Journal(folder, listener)
    plugins = Plugins(warn=journal.warn).put_in_force()
    yield RunContext(folder, settings, run, journal, plugins, budget)
