"""The built-in strategist; this file decides what a run needs when no language model is asked.

Decisions have these keys, which ``pipeline.plan.make_plan`` reads: ``metric`` (id), ``target`` (columns),
``validation`` (``{"scheme", "column", "folds", "repeats"}``), ``families`` (model families), ``template``,
``drop_columns``, and where there is a choice ``gpu`` ("on" or "off"). Every decision says who took it and why. The same
input gives the same decisions.
"""

from __future__ import annotations

from autokaggle.records.competition import Competition, MetricFinding
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Decision, Decisions
from autokaggle.records.run import RunOptions

DEFAULT_FOLDS = 5
# So many predictions of rows tell models apart; fewer rows are predicted again under other folds.
ENOUGH_ROWS = 1000
MOST_REPEATS = 5
# Of smaller tables the way to the GPU and back takes longer than what it saves.
LEAST_GPU_ROWS, LEAST_GPU_CELLS = 100_000, 1_000_000
# To see images there takes gigabytes of libraries, which come too late for a short run.
LEAST_GPU_IMAGES, LEAST_GPU_SECONDS = 300, 300.0
GPU_FAMILIES = {"tabular": {"xgboost"}, "image": {"linear", "lightgbm", "xgboost"}}


def decide(
    competition: Competition, profile: DataProfile, options: RunOptions, default_metric: str, gpu: str = ""
) -> Decisions:
    """Decide everything that the plan needs.

    ``default_metric`` is the named default for the profile's task, used when nothing better is known. ``gpu`` is the
    name of the GPU that may be used, "" for none.
    """
    chosen = (
        _metric(competition.metric, options, profile, default_metric),
        _target(profile),
        _validation(profile, options),
        _families(options),
        _template(profile, options),
        _dropped(profile),
        *_gpu(profile, options, gpu),
    )
    return Decisions(decisions=chosen)


def _metric(finding: MetricFinding, options: RunOptions, profile: DataProfile, default_metric: str) -> Decision:
    if options.metric:
        return Decision(key="metric", value=options.metric, by="flag", why="given with --metric")
    if finding.metric:
        sureness = f"{finding.confidence:.0%} sure, from the competition's {finding.source}"
        why = f"{sureness}: {finding.evidence or finding.wording}"
        return Decision(key="metric", value=finding.metric, by="strategist", why=why)
    if finding.wording:
        said = f"the competition's wording {finding.wording!r} matches no known metric"
    else:
        said = "the competition states none"
    task = profile.task_type.replace("_", " ")
    return Decision(
        key="metric",
        value=default_metric,
        by="strategist",
        why=f"{said}; {default_metric} is the default for {task}; overrule it with --metric",
    )


def _target(profile: DataProfile) -> Decision:
    guess = profile.target_guess
    return Decision(
        key="target",
        value=list(profile.target_columns),
        by="strategist",
        why=f"{guess.evidence} ({guess.confidence:.0%} sure)",
    )


def _validation(profile: DataProfile, options: RunOptions) -> Decision:
    folds = options.folds or DEFAULT_FOLDS
    scheme, _, column = options.validation.partition(":")
    if scheme != "auto":
        value = {"scheme": scheme, "column": column or None, "folds": folds, "repeats": 1}
        return Decision(key="validation", value=value, by="flag", why="given with --validation")
    hint = profile.split
    repeats = 1 if hint.scheme == "time" else _repeats(profile.train_rows)
    value = {"scheme": hint.scheme, "column": hint.column, "folds": folds, "repeats": repeats}
    return Decision(
        key="validation",
        value=value,
        by="flag" if options.folds else "strategist",
        why=hint.reason or "nothing speaks against random folds",
    )


def _repeats(rows: int) -> int:
    """Return how often to share out so many rows: one split of few rows says more of the split than of the models."""
    return max(1, min(MOST_REPEATS, ENOUGH_ROWS // max(1, rows)))


def _families(options: RunOptions) -> Decision:
    if options.model_family != "auto":
        families = [family.strip() for family in options.model_family.split(",")]
        return Decision(key="families", value=families, by="flag", why="given with --model-family")
    why = "the portfolio decides: quickest sane baseline first, then what adds most per second"
    return Decision(key="families", value=[], by="strategist", why=why)


def _template(profile: DataProfile, options: RunOptions) -> Decision:
    if options.template != "auto":
        return Decision(key="template", value=options.template, by="flag", why="given with --template")
    why = f"the data look like {profile.modality}"
    return Decision(key="template", value=profile.modality, by="strategist", why=why)


def _dropped(profile: DataProfile) -> Decision:
    useless = [column for column in profile.columns if column.kind in ("constant", "duplicate")]
    value = [column.name for column in useless]
    why = "constant or a copy of another column" if value else "no column is constant or a copy of another"
    return Decision(key="drop_columns", value=value, by="strategist", why=why)


def _gpu(profile: DataProfile, options: RunOptions, found: str) -> tuple[Decision, ...]:
    """Decide on the GPU where there is a choice; without one, and without the flag, there is nothing to decide."""
    if options.gpu != "auto":
        return (Decision(key="gpu", value=options.gpu, by="flag", why="given with --gpu"),)
    template = str(_template(profile, options).value)
    usable = GPU_FAMILIES.get(template, set())
    families = set(_families(options).value) or usable
    if not found or not families & usable:
        return ()
    pays, why = _gpu_for_images(profile, options, found) if template == "image" else _gpu_for_tables(profile, found)
    return (Decision(key="gpu", value="on" if pays else "off", by="strategist", why=why),)


def _gpu_for_images(profile: DataProfile, options: RunOptions, found: str) -> tuple[bool, str]:
    images = profile.train_rows + profile.test_rows
    if images < LEAST_GPU_IMAGES:
        return False, f"{images:,} images are too few to be seen faster on {found}"
    if options.time_budget_seconds < LEAST_GPU_SECONDS:
        return False, f"what {found} needs to see images would come too late: it is gigabytes"
    return True, f"a network sees {images:,} images larger and faster on {found}"


def _gpu_for_tables(profile: DataProfile, found: str) -> tuple[bool, str]:
    columns = sum(column.in_train and column.in_test for column in profile.columns)
    pays = profile.train_rows >= LEAST_GPU_ROWS and profile.train_rows * columns >= LEAST_GPU_CELLS
    size = f"{profile.train_rows:,} rows of {columns} columns"
    why = f"XGBoost trains {size} faster on {found}" if pays else f"{size} are too few to train faster on {found}"
    return pays, why
