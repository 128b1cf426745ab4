"""A trial before a run; this file runs code that a language model wrote on few rows, and says what is wrong with it.

What it says goes back to the model. A trial that fails outside the model's own files says nothing: few rows may lack a
class, or what else a whole table has.
"""

from __future__ import annotations

import re
import shutil

import msgspec

from autokaggle.orchestrator.code_run import SCRIPTS, last_line, run_code
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.said_by_code import tellable
from autokaggle.records.candidate import Proposal
from autokaggle.skills.pipeline.candidate_config import merge
from autokaggle.skills.pipeline.pipeline_generator import template_folder, write_candidate
from autokaggle.skills.pipeline.sample_input import make_sample_input
from autokaggle.skills.pipeline.written_code import BASE, OWN_MODEL
from autokaggle.skills.sandbox.environment import Environment
from autokaggle.skills.sandbox.limits import available_cores
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import write_atomically

PROBE = "probe.py"
LONGEST_SECONDS = 30.0
FIT_SECONDS = 2.0
LONGEST_MESSAGE = 200


def trial_problem(context: RunContext, environment: Environment, proposal: Proposal) -> str:
    """Run the proposal's features, then all of it, on about 1 % of the rows; return what is wrong, "" for nothing.

    Raises:
        RunInterrupted: the run is stopping.
    """
    plan, profile = context.plan, context.profile
    source = make_sample_input(plan, profile, context.folder.input, context.folder.trial / "input")
    folder = CandidateFolder(context.folder.trial / "candidate")
    shutil.rmtree(folder.path, ignore_errors=True)
    hasty = msgspec.structs.replace(proposal, config=merge(proposal.config, {"most_seconds": FIT_SECONDS}))
    write_candidate(hasty, plan, profile, folder)
    write_atomically(folder.code / PROBE, (template_folder("probe") / PROBE).read_bytes())
    seconds = min(LONGEST_SECONDS, context.budget.left_for_search_seconds)
    step = run_code(
        context,
        environment.folder,
        seconds,
        code=folder.code,
        output=folder.output,
        log=folder.log,
        source=source,
        scripts=(PROBE, *SCRIPTS),
        beside=available_cores(),
    )
    if step.limit:
        return f"Trial: it reached the {step.limit} limit after {step.seconds:.0f} s on a small sample of the rows."
    if step.exit_code == 0:
        return ""
    log = folder.log.read_text("utf-8", "replace") if folder.log.is_file() else ""
    last = last_line(folder.log)
    place = _place(log, last, [name for name in proposal.files if name != BASE])
    (told,) = tellable(context, [last])
    return f"{place}: {told[:LONGEST_MESSAGE]}" if place else ""


def _place(log: str, last: str, names: list[str]) -> str:
    """Return the place in the model's own files that the failure came from, "" when it came from none."""
    if last.startswith("Probe:"):
        return "Trial"
    for name, line in reversed(re.findall(r'File "[^"]*?([^/"]+)", line (\d+)', log)):
        if name in names:
            return f"Trial: {name}, line {line}"
    # A model of its own is used by our scripts: what fails there, fails for what it is.
    return "Trial" if OWN_MODEL in names else ""
