"""What the parts of a candidate are worth, before it is changed; this file measures it and says it to the model.

Each group of features is shuffled in the rows of one fold, and the fold's models predict again: that takes seconds.
Training without the group would take as long as the candidate did.
"""

from __future__ import annotations

import shutil

from autokaggle.orchestrator.best_so_far import BestSoFar
from autokaggle.orchestrator.code_run import failure_of, run_code
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.sealed_run import sealed_input
from autokaggle.records.candidate import Candidate
from autokaggle.records.outcome import Importance
from autokaggle.skills.pipeline.pipeline_generator import template_folder
from autokaggle.skills.pipeline.proposals import GROUPS
from autokaggle.skills.pipeline.written_code import BASE
from autokaggle.skills.sandbox.environment import Environment
from autokaggle.skills.sandbox.limits import available_cores
from autokaggle.skills.scoring.evaluator import InvalidPredictions
from autokaggle.skills.scoring.importance import read_importance
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import make_private_folder

SCRIPT = "ablation.py"
# Of what is left for the search; imports and reading the models take four seconds.
SHARE, SHORTEST_SECONDS, LONGEST_SECONDS = 0.05, 4.0, 30.0
OTHERS, TEMPLATES = "other new features", "features of the template"


def ablation_text(context: RunContext, best: BestSoFar, candidate: Candidate, environment: Environment) -> str:
    """Say how much worse a candidate is without each group of its features, "" where that was not measured.

    Raises:
        RunInterrupted: the run is stopping.
    """
    seconds = min(LONGEST_SECONDS, SHARE * context.budget.left_for_search_seconds)
    source, fold = context.folder.candidate(candidate.id), best.folds.validated[-1]
    model = source.fold_output(fold) / source.model.name
    if seconds < SHORTEST_SECONDS or not model.is_file() or not (source.code / BASE).is_file():
        return ""
    folder = CandidateFolder(context.folder.trial / "ablation")
    shutil.rmtree(folder.path, ignore_errors=True)
    shutil.copytree(source.code, folder.code)
    shutil.copyfile(template_folder("probe") / SCRIPT, folder.code / SCRIPT)
    shutil.copyfile(model, make_private_folder(folder.output) / model.name)
    step = run_code(
        context,
        environment.folder,
        seconds,
        code=folder.code,
        output=folder.output,
        log=folder.log,
        source=sealed_input(context, best, fold),
        scripts=(SCRIPT,),
        variables={"AUTOKAGGLE_FOLD": str(fold)},
        beside=available_cores(),
    )
    problem = failure_of(step, folder.log)
    if not problem:
        try:
            return _text(candidate, _read(best, candidate, folder))
        except InvalidPredictions as error:
            problem = str(error)
    context.journal.tell("info", f"What the parts of {candidate.id} are worth was not measured: {problem}")
    return ""


def _read(best: BestSoFar, candidate: Candidate, folder: CandidateFolder) -> Importance:
    if candidate.id not in best.evaluations:
        raise InvalidPredictions("it has no score yet")
    rule = best.evaluations[candidate.id].rule
    names = [*candidate.proposal.config.get(GROUPS, {}), OTHERS, TEMPLATES]
    return read_importance(candidate.id, best.plan, best.truth, best.folds, rule, folder.output, names)


def _text(candidate: Candidate, found: Importance) -> str:
    groups = candidate.proposal.config.get(GROUPS, {})
    rows = f"{found.rows} rows of one fold that were not trained on"
    head = f"Loss of {found.metric} when a group of {candidate.id}'s features is shuffled, in {rows}"
    lines = [f"{head} (near zero or negative: not needed):"]
    for each in found.columns:
        (name,) = each.columns
        features = f" ({', '.join(groups[name])})" if name in groups else ""
        lines.append(f"- {name}{features}: {each.loss:.3g}")
    return "\n".join(lines)
