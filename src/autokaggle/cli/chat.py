"""`chat` and `prompt`; this file talks about a run that exists, and shows what its language model would be sent."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import ActionNeeded, UsageError

if TYPE_CHECKING:
    from autokaggle.config import Settings

NO_MODEL = "none"
OPERATIONS = ("understand", "decide")
MONEY = re.compile(r"\$?(\d{1,9}(?:\.\d+)?)(?:\s*USD)?", re.IGNORECASE)


@click.command()
@flags.run_reference
@click.option("--model", help="Language model, or none.  [default: the run's]")
@click.option("--answers", type=flags.FOLDER, help="File with what to say, one line each.")
@click.option("--schema-only", is_flag=True, help="Send no values to the model.")
@click.option("--max-cost", help="Most to spend on the model, in USD.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def chat(program: Program, /, run: str, runs_dir: Path | None, **given: Any) -> None:
    """Talk about a run.

    What is decided counts when the run goes on. Without a language model, /decide and the other commands work.
    """
    import msgspec

    from autokaggle.cli.person import ShownPerson, find_person
    from autokaggle.cli.screen import STAYING_KINDS, PlainScreen
    from autokaggle.orchestrator.run_chat import talk_about
    from autokaggle.orchestrator.talking import load_ahead
    from autokaggle.storage.run_folders import read_run

    folder, settings = program.find_run(run, runs_dir), program.settings(runs_dir)
    known = read_run(folder).options
    model = known.model if given["model"] is None else choose_model(program, settings, given["model"])
    load_ahead(model)
    options = msgspec.structs.replace(
        known,
        model=model,
        chat=True,
        answers=answers_file(given["answers"]),
        schema_only=given["schema_only"] or known.schema_only,
        max_cost_usd=max_cost(given["max_cost"]) if given["max_cost"] else known.max_cost_usd,
    )
    person = find_person(options, settings, reads_pipes=True) or ShownPerson([])
    # Other events would come in the middle of what the model says.
    screen = PlainScreen(sys.stderr, only=("warning",) if program.quiet else STAYING_KINDS)
    decisions = talk_about(folder, settings, msgspec.structs.replace(options, answers=known.answers), person, screen)
    facts = {
        "run_id": folder.id,
        "run_dir": str(folder.path),
        "decisions": msgspec.to_builtins(decisions.decisions),
        "transcript": str(folder.transcript),
        "cost": read_run(folder).cost_usd,
    }
    program.answer(f"Kept in {folder.decisions}. Go on with: autokaggle resume {folder.id}", facts)


@click.command()
@flags.run_reference
@click.option("--model", help="Language model.  [default: the run's]")
@click.option("--operation", type=click.Choice(OPERATIONS), help="What is asked.  [default: as the run would]")
@click.option("--schema-only", is_flag=True, help="Send no values to the model.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def prompt(program: Program, /, run: str, runs_dir: Path | None, **given: Any) -> None:
    """Show what the language model would be sent.

    Nothing is sent. What was sent lies in the run's logs/prompts.
    """
    import msgspec

    from autokaggle.cli.text import harmless, harmless_lines
    from autokaggle.orchestrator.run_chat import preview
    from autokaggle.storage.run_folders import read_run

    folder, settings = program.find_run(run, runs_dir), program.settings(runs_dir)
    known = read_run(folder).options
    named = given["model"] or known.model or settings.model
    options = msgspec.structs.replace(
        known,
        model=None if named == NO_MODEL else named,
        schema_only=given["schema_only"] or known.schema_only,
    )
    operation = given["operation"] or ("understand" if options.chat else "decide")
    found = preview(folder, settings, options, operation)
    files = ", ".join(found.prompt.files)
    program.tell(f"{harmless(found.model) or 'no model is named'}: {found.cost}; prompts: {harmless(files)}")
    text = f"{found.payload.system}\n\n{found.payload.text}"
    facts = {
        "run_id": folder.id,
        "operation": operation,
        "model": found.model or None,
        "system": found.payload.system,
        "message": found.payload.text,
        "form": found.prompt.form,
        "tokens": found.payload.tokens,
        "level": found.payload.level,
        "removed": dict(found.payload.removed),
        "prompt": list(found.prompt.files),
        "prompt_sha256": found.prompt.sha256,
        "estimate": found.cost,
    }
    program.answer(harmless_lines(text), facts)


def model_options(program: Program, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
    """Turn the flags of `run` about the language model into fields of its options.

    Raises:
        UsageError: a flag makes no sense.
        ActionNeeded: the model that was asked for needs a key, and there is none.
    """
    model = choose_model(program, settings, given["model"], offline=given["offline"])
    answers = answers_file(given["answers"])
    cost = max_cost(given["max_cost"]) if given["max_cost"] is not None else None
    if model is None and (given["schema_only"] or cost is not None):
        program.warn("--schema-only and --max-cost change nothing: no language model takes part.")
    return {
        "model": model,
        "chat": answers is not None or _talks(settings, model, given),
        "answers": answers,
        "schema_only": given["schema_only"],
        "max_cost_usd": cost,
    }


def choose_model(program: Program, settings: Settings, name: str | None, *, offline: bool = False) -> str | None:
    """Return the name of the model to ask, None for none; a recording is named by its run's folder.

    Raises:
        UsageError: the name makes no sense.
        ActionNeeded: the flag names a model that needs a key, and there is none.
    """
    from autokaggle.orchestrator import talking
    from autokaggle.storage.run_folders import find_run

    wanted = name if name is not None else settings.model
    if wanted is None or wanted.strip().lower() in ("", NO_MODEL):
        return None
    try:
        model = talking.find_model(wanted, settings)
    except ActionNeeded as error:
        if name is not None:
            raise
        program.warn(f"{error.message} The built-in strategist decides. (AUTOKAGGLE_MODEL is {wanted}.)")
        return None
    if wanted.startswith(talking.REPLAY):
        # `latest` would soon be the run that begins now.
        return talking.REPLAY + str(find_run(wanted.removeprefix(talking.REPLAY), settings).path)
    if offline and not model.is_local:
        if name is not None:
            raise UsageError("--offline asks no server, and --model asks one.", "Leave one of them out.")
        return None
    return wanted


def answers_file(path: Path | None) -> str | None:
    """Return the absolute path of a file with answers.

    Raises:
        UsageError: it cannot be read as text.
    """
    if path is None:
        return None
    try:
        path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--answers {path} cannot be read: {error}.", "Give a text file with one line each."
        ) from error
    return str(path.absolute())


def max_cost(text: str) -> float:
    """Read an amount of US dollars: ``2.50`` or ``$2.50``.

    Raises:
        UsageError: it is no such amount.
    """
    match = MONEY.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--max-cost {text!r} is no amount of money.", "Give US dollars, like 2.50.")
    return float(match.group(1))


def _talks(settings: Settings, model: str | None, given: dict[str, Any]) -> bool:
    """Talk when asked to; else when a model takes part and somebody is there, or when a talk is repeated."""
    from autokaggle.cli.person import at_terminal
    from autokaggle.orchestrator.talking import REPLAY, recorded_lines

    if given["chat"] is not None:
        return bool(given["chat"])
    if recorded_lines(model, settings):
        return True
    is_replay = (model or "").startswith(REPLAY)
    return model is not None and not is_replay and not given["yes"] and at_terminal()
