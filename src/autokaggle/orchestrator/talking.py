"""The way to a language model; this file gives the dialogue what it may know, and a gate that knows what may not leave.

A model that cannot be opened costs a warning, never the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError, UsageError
from autokaggle.plugins.manager import Plugins
from autokaggle.records.plan import Decisions
from autokaggle.records.prompt import PromptCall
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from autokaggle.storage.run_folders import find_run, read_pages

if TYPE_CHECKING:
    from autokaggle.orchestrator.context import RunContext
    from autokaggle.skills.dialogue.brief import Brief
    from autokaggle.skills.dialogue.language_model import LanguageModel
    from autokaggle.skills.dialogue.payload_gate import PayloadGate, Rules
    from autokaggle.skills.dialogue.person import Person

REPLAY = "replay:"
CUSTOM_PROMPTS = "prompts"


def discuss(context: RunContext) -> Decisions:
    """Agree on the decisions: in a talk with the run's person, by asking the language model, or by the strategist.

    While somebody at a terminal talks, the time budget stands still. A budget that they decide on counts from here.
    """
    from autokaggle.skills.dialogue import chat_manager

    person = _person(context)
    gate = open_gate(context)
    with _waiting(context) if person is not None and person.is_there else nullcontext():
        decisions = chat_manager.hold_dialogue(
            make_brief(context),
            context.folder,
            gate=gate,
            person=person,
            prompts=prompt_folders(context.settings, context.plugins),
            warn=context.journal.warn,
        )
    for decision in decisions.decisions:
        if decision.key == "budget":
            options = msgspec.structs.replace(context.run.options, time_budget_seconds=float(decision.value))
            context.save(options=options)
            context.budget.total_seconds = options.time_budget_seconds
    return decisions


def make_brief(context: RunContext) -> Brief:
    """Collect what may be talked about: facts of the competition, what can be chosen, and results if there are any."""
    from autokaggle.orchestrator.said_by_code import tellable
    from autokaggle.skills.dialogue.brief import Brief
    from autokaggle.skills.pipeline.families import family_names
    from autokaggle.skills.pipeline.plan import metric_problem
    from autokaggle.skills.sandbox.limits import available_cores, machine_memory_bytes
    from autokaggle.skills.scoring import metrics

    found, candidates = context.profile, context.candidates()
    reasons = iter(tellable(context, [one.reason for one in candidates if one.reason]))
    problems = [(name, metric_problem(found, name, metric.input)) for name, metric in metrics.METRICS.items()]
    return Brief(
        competition=context.competition,
        profile=found,
        options=context.run.options,
        default_metric=metrics.default_metric(found.task_type, found.submission_kind),
        pages=read_pages(context.folder),
        metrics={name: metric.input for name, metric in metrics.METRICS.items()},
        metric_problems={name: problem for name, problem in problems if problem},
        families=tuple(sorted(family_names())),
        templates=tuple(context.plugins.template_names()),
        cores=available_cores(),
        memory_bytes=machine_memory_bytes(),
        gpu=str(context.run.host.get("gpu", "")),
        plan=context.run.plan,
        candidates=tuple(
            msgspec.structs.replace(one, reason=next(reasons)) if one.reason else one for one in candidates
        ),
    )


def open_gate(context: RunContext) -> PayloadGate | None:
    """Open the run's language model behind its gate; None when the run has none, or it cannot be opened."""
    name = context.run.options.model
    if name is None:
        return None
    try:
        model = find_model(name, context.settings, context.plugins)
    except AutoKaggleError as error:
        context.journal.warn(f"{error.message} The built-in strategist decides instead. {error.next_step}")
        return None
    return make_gate(context, model)


def make_gate(context: RunContext, model: LanguageModel) -> PayloadGate:
    """Put a model behind the gate of this run: its rules, and the account of what it spent already."""
    from autokaggle.skills.dialogue.payload_gate import PayloadGate
    from autokaggle.skills.dialogue.spending import Spending, price_of

    options = context.run.options
    calls = recorded_calls(context.folder)
    spending = Spending(
        partial(price_of, model),
        options.max_cost_usd,
        spent_usd=sum(call.cost_usd or 0.0 for call in calls),
        used_tokens=sum(call.input_tokens + call.output_tokens for call in calls),
    )
    rules = make_rules(context.settings, options.schema_only)
    tell = _teller(context)
    return PayloadGate(model, rules, spending, context.folder, on_call=_booker(context), tell=tell)


def make_rules(settings: Settings, schema_only: bool) -> Rules:
    """Say what may leave: nothing that is kept as a secret anywhere, no personal data."""
    from autokaggle.skills.dataset.personal_data import mask
    from autokaggle.skills.dialogue.payload_gate import Rules
    from autokaggle.skills.dialogue.redaction import Redactor, secret_values

    secrets = secret_values({**os.environ, **settings.environment}, settings.private_names)
    return Rules(Redactor([*secrets, *_kept_secrets(settings)]), mask, schema_only)


def load_ahead(name: str | None) -> None:
    """Begin to load the library of a language model beside what comes before the talk: it takes seconds."""
    from autokaggle.skills.dialogue.model_names import is_built_in, kind_of

    if name is None or not is_built_in(name):
        return
    from autokaggle.skills.dialogue.provider_model import load_library

    load_library(kind_of(name))


def find_model(name: str, settings: Settings, plugins: Plugins | None = None) -> LanguageModel:
    """Open a model by the name that a person gives, of ours or a plugin, or the recording of a run (``replay:RUN``).

    Raises:
        UsageError: the name makes no sense, or the run has no recorded calls.
        ActionNeeded: the provider needs a key, and there is none.
    """
    if not name.startswith(REPLAY):
        return (plugins or Plugins()).language_model(name, settings.environment)
    from autokaggle.skills.dialogue.scripted_model import RecordedModel

    folder = _recorded_run(name, settings)
    return RecordedModel(folder.id, recorded_calls(folder))


def recorded_lines(name: str | None, settings: Settings) -> list[str] | None:
    """What the person said in the talk of a recording; None when there was none."""
    from autokaggle.skills.dialogue.person import read_lines

    if name is None or not name.startswith(REPLAY):
        return None
    lines = _recorded_run(name, settings).chat_lines
    return read_lines(lines.read_text("utf-8")) if lines.is_file() else None


def recorded_calls(folder: RunFolder) -> list[PromptCall]:
    """All calls of language models in this run, in their order."""
    return [read_record(path, PromptCall) for path in folder.all_prompts()]


def prompt_folders(settings: Settings, plugins: Plugins) -> Sequence[Path]:
    """Folders of prompts that stand before ours: the user's, then those of plugins."""
    return (settings.home / CUSTOM_PROMPTS, *plugins.prompt_folders())


@contextmanager
def _waiting(context: RunContext) -> Iterator[None]:
    """Say that the run waits for a person, and let the time budget stand still."""
    before = context.run.status
    context.save(status="waiting")
    try:
        with context.budget.paused():
            yield
    finally:
        context.save(status=before)


def _person(context: RunContext) -> Person | None:
    """Whom to talk to: the one at hand, the file with answers, or the one whose lines a recording holds."""
    from autokaggle.skills.dialogue.person import ScriptedPerson, read_lines

    options = context.run.options
    if options.chat and context.person is not None:
        return context.person
    if options.answers is not None:
        # A run that goes on elsewhere has nobody to show what is said; the transcript has it.
        return ScriptedPerson(read_lines(Path(options.answers).read_text("utf-8-sig")))
    lines = recorded_lines(options.model, context.settings) if options.chat else None
    return ScriptedPerson(lines) if lines else None


def _recorded_run(name: str, settings: Settings) -> RunFolder:
    folder = find_run(name.removeprefix(REPLAY), settings)
    if not folder.all_prompts():
        raise UsageError(f"Run {folder.id} asked no language model: there is nothing to replay.", "Name another run.")
    return folder


def _kept_secrets(settings: Settings) -> list[str]:
    """Every Kaggle credential, whether it is used or not, and all that the vault holds."""
    from autokaggle.skills.competition.credentials import survey_credentials
    from autokaggle.storage.secrets_vault import SecretsVault

    vault = SecretsVault(settings.home)
    kept: list[str] = []
    for place in survey_credentials(settings.environment, Path.home(), vault):
        kept += place.credentials.secrets if place.credentials else ()
    # A vault that cannot be opened gives nothing away.
    with suppress(AutoKaggleError):
        kept += [vault.get(name) or "" for name in vault.names()]
    return kept


def _teller(context: RunContext) -> Callable[[str], None]:
    return lambda text: context.journal.tell("info", text)


def _booker(context: RunContext) -> Callable[[PromptCall], None]:
    def book(call: PromptCall) -> None:
        cost = "" if call.cost_usd is None else f", ${call.cost_usd:.4f}"
        tokens = f"{call.input_tokens:,} tokens in, {call.output_tokens:,} out"
        context.journal.tell(
            "model_called",
            f"{call.model} ({call.operation}): {call.outcome}, {tokens}, {call.seconds:.1f} s{cost}",
            number=call.number,
            operation=call.operation,
            model=call.model,
            outcome=call.outcome,
            input_tokens=call.input_tokens,
            output_tokens=call.output_tokens,
            seconds=call.seconds,
            cost_usd=call.cost_usd,
        )
        context.save(cost_usd=round(context.run.cost_usd + (call.cost_usd or 0.0), 6))

    return book
