"""Code from proposals; this file copies a template, writes its configuration, and publishes the winner.

It runs nothing, and never loads a fitted model.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from autokaggle.errors import AutoKaggleError, UsageError
from autokaggle.records.candidate import Proposal
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.outcome import Ensemble
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.candidate_config import candidate_config, config_text, ensemble_config
from autokaggle.storage.artifacts import CandidateFolder, RunFolder
from autokaggle.storage.records_file import link_or_copy, make_private_folder, write_atomically

TEMPLATES = Path(str(resources.files("autokaggle.templates")))
# A family of models is a file of this beginning and its name.
FAMILY_PREFIX = "model_"
# What a blend shares with a pipeline of tables: finding files, and making the submission.
SHARED_WITH_ENSEMBLE = ("files.py", "decision.py", "submission.py")
PREDICTIONS = ("oof.parquet", "test_predictions.parquet")
MODEL = "model.joblib"
LIMITS = "limits.json"
MOST_BYTES_OF_LIMITS = 1 << 20


def write_candidate(
    proposal: Proposal, plan: Plan, profile: DataProfile, folder: CandidateFolder, templates: Sequence[Path] = ()
) -> None:
    """Write ``code/``: the template's files, those of the proposal over them, and ``config.yaml``.

    ``templates`` are folders whose files are laid over each other in this order; none stand for the plan's built-in
    template.

    Raises:
        UsageError: no such template ships, or the proposal names a file outside ``code/``.
    """
    config = candidate_config(proposal, plan, profile)
    make_private_folder(folder.code)
    for path in _template_files(templates or [template_folder(plan.template)], str(config["model"]["family"])):
        write_atomically(folder.code / path.name, path.read_bytes())
    for name, text in proposal.files.items():
        if not name or Path(name).name != name or name.startswith("."):
            raise UsageError(f"A candidate's file cannot be named {name!r}.", "Use a plain file name.")
        write_atomically(folder.code / name, text)
    write_atomically(folder.config, config_text(config))


def publish(ensemble: Ensemble, plan: Plan, run: RunFolder) -> None:
    """Make the run's ``code/`` and ``output/`` from the ensemble's members; what was published before is replaced.

    One member is published flat, with the decision rule in its ``config.yaml``. Several become sub-folders of
    ``code/members`` and ``output/members``, blended by scripts at the top; so does one that ran fold by fold.
    """
    code = run.code.with_name(".code.new")
    shutil.rmtree(code, ignore_errors=True)
    make_private_folder(code)
    shutil.rmtree(run.output / "members", ignore_errors=True)
    candidates = [run.candidate(member.candidate) for member in ensemble.members]
    if len(candidates) == 1 and not candidates[0].fold_outputs():
        copy_code(candidates[0], code)
        write_atomically(code / "config.yaml", config_text({**_config(candidates[0]), "decision": ensemble.rule}))
        _link_outputs(candidates[0], run.output)
    else:
        for name in SHARED_WITH_ENSEMBLE:
            write_atomically(code / name, (template_folder("tabular") / name).read_bytes())
        for path in _template_files([template_folder("ensemble")]):
            write_atomically(code / path.name, path.read_bytes())
        for candidate in candidates:
            copy_code(candidate, make_private_folder(code / "members" / candidate.id))
            _link_outputs(candidate, make_private_folder(run.output / "members" / candidate.id))
        folds = {candidate.id: list(candidate.fold_outputs()) for candidate in candidates}
        config = ensemble_config(ensemble, plan, _config(candidates[0]), folds)
        write_atomically(code / "config.yaml", config_text(config))
        _blend_outputs(ensemble, plan, candidates, run.output)
    _replace_folder(run.code, code)


def code_hash(code: Path) -> str:
    """Return a SHA-256 of the names and contents of a code folder's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in code.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(code).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def template_folder(name: str) -> Path:
    """Return the folder of a template that ships.

    Raises:
        UsageError: there is no such template.
    """
    folders = {path.name: path for path in sorted(TEMPLATES.iterdir()) if path.is_dir() and path.name[0].isalpha()}
    if name not in folders:
        raise UsageError(f"There is no template {name!r}.", f"These ship: {', '.join(folders)}.")
    return folders[name]


def _template_files(folders: Sequence[Path], family: str | None = None) -> list[Path]:
    """Return the files to copy, each name from the last folder that has it.

    Of the files ``model_*.py`` only that of the family in use is copied.
    """
    files = {path.name: path for folder in folders for path in sorted(folder.iterdir())}
    return [
        path
        for name, path in files.items()
        if path.suffix in (".py", ".md")
        and name != "__init__.py"
        and (family is None or not name.startswith(FAMILY_PREFIX) or path.stem == f"{FAMILY_PREFIX}{family}")
    ]


def _config(candidate: CandidateFolder) -> dict[str, Any]:
    content = yaml.safe_load(candidate.config.read_text("utf-8"))
    if not isinstance(content, dict):
        raise AutoKaggleError(f"{candidate.config} is damaged.", "Start a new run; nothing else was touched.")
    return content


def copy_code(candidate: CandidateFolder, code: Path) -> None:
    """Copy the candidate's files, with the rounds at which the clock ended its fits: a later run does the same."""
    for path in sorted(candidate.code.iterdir()):
        if path.is_file():
            write_atomically(code / path.name, path.read_bytes())
    outputs = [candidate.output, *candidate.fold_outputs().values()]
    found = [limits for output in outputs if isinstance(limits := _read_limits(output / LIMITS), dict)]
    if found:
        merged = {name: rounds for limits in found for name, rounds in limits.items()}
        write_atomically(code / LIMITS, json.dumps(merged, ensure_ascii=False, indent=1))


def _read_limits(path: Path) -> Any:
    """Return what the code wrote there, None where that is nothing sensible: it may be anybody's code."""
    try:
        return json.loads(path.read_text("utf-8")) if path.stat().st_size < MOST_BYTES_OF_LIMITS else None
    except (OSError, ValueError):
        return None


def _link_outputs(candidate: CandidateFolder, output: Path) -> None:
    parts = {output: candidate.output}
    parts |= {output / "folds" / str(fold): source for fold, source in candidate.fold_outputs().items()}
    for target, source in parts.items():
        make_private_folder(target)
        for name in (*PREDICTIONS, MODEL):
            if (source / name).is_file():
                _link(source / name, target / name)


def _link(source: Path, target: Path) -> None:
    """Link or copy the file there, in place of what is there."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    link_or_copy(source, part)
    part.replace(target)


def _blend_outputs(ensemble: Ensemble, plan: Plan, candidates: list[CandidateFolder], output: Path) -> None:
    """Write what the published scripts would: blended predictions, and a model file that names the members."""
    from autokaggle.skills.pipeline.blended_files import write_blend

    weights = [member.weight for member in ensemble.members]
    for name in PREDICTIONS:
        paths = [candidate.output / name for candidate in candidates]
        write_blend(paths, weights, ensemble.blend, plan.prediction_columns, output / name)
    members = [{"model": f"members/{member.candidate}/{MODEL}", "weight": member.weight} for member in ensemble.members]
    write_atomically(output / MODEL, pickle.dumps({"version": 1, "blend": ensemble.blend, "members": members}))


def _replace_folder(folder: Path, new: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
