"""Everything that one stage hands to the next; this file holds the frozen, versioned records and no behaviour.

Each record that is a file of its own starts with ``version``. A reader refuses a newer version and fills
fields that an older version did not have. Times are ISO 8601 in UTC, durations are seconds, sizes are bytes,
fractions are 0 to 1. Row numbers are 0-based positions in file order.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

TaskType = Literal[
    "binary_classification",
    "multiclass_classification",
    "multilabel_classification",
    "ordinal",
    "regression",
    "time_series_forecasting",
    "image_classification",
]
FileRole = Literal["train", "test", "sample_submission", "lookup", "extra", "image", "text", "archive"]
ColumnKind = Literal["id", "category", "ordinal", "number", "datetime", "text", "constant", "duplicate", "code", "path"]
ValidationScheme = Literal["kfold", "stratified", "group", "stratified_group", "time"]
SubmissionKind = Literal["value", "label", "probability", "class_probability", "ranked_labels"]
IsolationLevel = Literal["strong", "partial", "none"]
StageName = Literal["fetch", "profile", "discuss", "plan", "search", "ensemble", "submission", "report"]
RunStatus = Literal["created", "queued", "running", "waiting", "done", "failed", "cancelled", "interrupted"]
OVER: tuple[RunStatus, ...] = ("done", "failed", "cancelled")
CandidateStatus = Literal["proposed", "running", "scored", "failed", "leaking"]
Sealing = Literal["open", "sealed", "unsealed"]
Operator = Literal["draft", "improve", "debug", "fuse"]


class Record(msgspec.Struct, frozen=True):
    """The base of all records: frozen, built by keyword, written as JSON."""


# ---------------------------------------------------------------- what Kaggle says: input/competition.json


class MetricFinding(Record, frozen=True, kw_only=True):
    """Which metric the competition uses, and how surely.

    ``metric`` is an id of ``skills/scoring/metrics``; None when the wording matches no known metric.
    """

    metric: str | None = None
    wording: str = ""
    greater_is_better: bool | None = None
    source: Literal["field", "page", "user", "profile", "default"] = "default"
    confidence: float = 0.0
    evidence: str = ""


class Gate(Record, frozen=True, kw_only=True):
    """One rule of the competition that binds the run, with the sentence that it came from."""

    name: Literal["external_data", "internet", "team_size", "daily_submissions", "winner_licence", "hand_labelling"]
    value: bool | int | str
    sentence: str
    page: str


class SubmissionLimits(Record, frozen=True, kw_only=True):
    daily: int | None = None
    left_today: int | None = None


class DataFile(Record, frozen=True, kw_only=True):
    """One file under ``input/data``; ``name`` is its path there, with forward slashes."""

    name: str
    bytes: int
    sha256: str = ""


class Competition(Record, frozen=True, kw_only=True):
    """What Kaggle (or a local folder) says of a competition; the plan stage adds the agreed columns."""

    version: int = 1
    slug: str
    title: str = ""
    url: str = ""
    category: str = ""
    metric: MetricFinding = MetricFinding()
    deadline: str | None = None
    limits: SubmissionLimits = SubmissionLimits()
    user_has_entered: bool | None = None
    is_code_competition: bool = False
    submissions_disabled: bool = False
    files: tuple[DataFile, ...] = ()
    pages: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    id_columns: tuple[str, ...] = ()
    target_columns: tuple[str, ...] = ()
    submission_columns: tuple[str, ...] = ()
    sources: dict[str, str] = {}


# ---------------------------------------------------------------- what the data are: input/data_profile.json


class Guess(Record, frozen=True, kw_only=True):
    """Something inferred: the value as text, how surely (0 to 1), and why."""

    value: str
    confidence: float
    evidence: str


class ColumnProfile(Record, frozen=True, kw_only=True):
    """One column over train and test. Shares are of rows; ``None`` where the table lacks the column.

    ``low`` and ``high`` are numbers, or ISO dates, as text. ``top`` holds the commonest values (masked when
    ``personal``) with their share of train rows.
    """

    name: str
    kind: ColumnKind
    type: str
    confidence: float = 1.0
    evidence: str = ""
    missing: float | None = 0.0
    missing_test: float | None = None
    distinct: int = 0
    distinct_is_exact: bool = True
    low: str | None = None
    high: str | None = None
    mean: float | None = None
    deviation: float | None = None
    top: tuple[tuple[str, float], ...] = ()
    disguised_missing: tuple[str, ...] = ()
    duplicate_of: str | None = None
    in_train: bool = True
    in_test: bool = True
    drift: float | None = None
    personal: tuple[str, ...] = ()


class FileProfile(Record, frozen=True, kw_only=True):
    """One data file: what it is for, how it is written, and where its parsed table lies.

    ``table`` is the file's name under ``input/tables``, "" for files that are no table. ``join_columns`` maps a
    lookup table's key columns to the train column that each joins.
    """

    name: str
    role: FileRole
    confidence: float = 1.0
    evidence: str = ""
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    rows: int = 0
    ragged_rows: int = 0
    columns: tuple[str, ...] = ()
    table: str = ""
    join_columns: dict[str, str] = {}
    join_is_unique: bool = True


class SplitHints(Record, frozen=True, kw_only=True):
    """How test differs from train, and the validation scheme that follows.

    ``column`` is a column's name, or a group made from one column: ``part(COLUMN, "SEPARATOR", INDEX)`` is the
    0-based part of its text between separators, ``day(COLUMN)`` the day of a time. A column of that very name wins.
    """

    scheme: ValidationScheme = "kfold"
    column: str | None = None
    reason: str = ""
    confidence: float = 0.5
    adversarial_auc: float | None = None
    adversarial_columns: tuple[str, ...] = ()
    duplicate_train_rows: int = 0
    duplicate_rows_across: int = 0


class DataProfile(Record, frozen=True, kw_only=True):
    """What was found in the data folder.

    ``submission_columns`` are all columns of the submission in file order, ids included; ``submission_labels`` maps
    each that holds the probability of one class to its label. ``submission_header`` is the sample's first line where
    it says something else. ``classes`` maps a target of labels to them.
    """

    version: int = 1
    files: tuple[FileProfile, ...]
    columns: tuple[ColumnProfile, ...]
    train: str
    test: str
    sample_submission: str | None = None
    train_rows: int
    test_rows: int
    target_columns: tuple[str, ...]
    target_guess: Guess
    id_columns: tuple[str, ...]
    id_guess: Guess
    submission_columns: tuple[str, ...]
    submission_labels: dict[str, str] = {}
    submission_header: tuple[str, ...] = ()
    submission_kind: SubmissionKind
    task_type: TaskType
    task_guess: Guess
    modality: Literal["tabular", "text", "image", "timeseries"] = "tabular"
    classes: dict[str, tuple[str, ...]] = {}
    metric_suggestion: Guess
    split: SplitHints
    warnings: tuple[str, ...] = ()


# ---------------------------------------------------------------- what was agreed: chat_decisions.json and the plan


class Decision(Record, frozen=True, kw_only=True):
    """One thing agreed before the search; ``by`` says who decided it."""

    key: str
    value: Any
    by: Literal["user", "model", "strategist", "flag", "rules"]
    why: str


class Decisions(Record, frozen=True, kw_only=True):
    version: int = 1
    decisions: tuple[Decision, ...] = ()


class PromptCall(Record, frozen=True, kw_only=True):
    """One call of a language model: logs/prompts/NNNN.json.

    ``system``, ``messages`` ((role, text), oldest first) and ``form`` (JSON Schema of the answer) are the payload as
    sent. ``prompt_sha256`` covers the prompt files named in ``prompt``. ``outcome`` is "answered" or the kind of
    failure; ``cost_usd`` is None where the price is not known. ``removed`` counts what the gate took out.
    """

    version: int = 1
    number: int
    time: str
    operation: str
    model: str
    prompt: tuple[str, ...] = ()
    prompt_sha256: str = ""
    level: int = 0
    system: str
    messages: tuple[tuple[str, str], ...]
    form: dict[str, Any] | None = None
    thinking: str = ""
    max_output_tokens: int = 0
    removed: dict[str, int] = {}
    outcome: str
    answer: str = ""
    problem: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    tokens_are_reported: bool = False
    seconds: float = 0.0
    cost_usd: float | None = None


class Validation(Record, frozen=True, kw_only=True):
    """How folds are made; ``adversarial_auc`` is how surely a model tells test from train, None when not measured."""

    scheme: ValidationScheme
    folds: int
    repeats: int = 1
    column: str | None = None
    reason: str = ""
    adversarial_auc: float | None = None


class SubmissionFormat(Record, frozen=True, kw_only=True):
    """How ``submission.csv`` looks: ``columns`` in file order, ids first as the sample file has them.

    ``ids_from`` is the table (file name under ``input/tables``) whose rows, in order, are the rows to hand in.
    ``header`` is the sample file's first line where columns are called otherwise here: some are empty, or equal.
    """

    kind: SubmissionKind
    columns: tuple[str, ...]
    id_columns: tuple[str, ...]
    ids_from: str
    list_length: int = 0
    header: tuple[str, ...] = ()

    @property
    def first_line(self) -> tuple[str, ...]:
        return self.header or self.columns


class Plan(Record, frozen=True, kw_only=True):
    """What the search works from; ``prediction_columns`` are the columns of the two prediction files.

    ``original_table`` holds the data set behind a synthetic competition, "" when the user gave none.

    They are: one per target for values and for binary probabilities (of the last class), one per class for a
    single multiclass target, ``TARGET=CLASS`` for several multiclass targets.
    """

    version: int = 1
    slug: str
    task_type: TaskType
    target_columns: tuple[str, ...]
    id_columns: tuple[str, ...]
    classes: dict[str, tuple[str, ...]] = {}
    prediction_columns: tuple[str, ...]
    metric: str
    greater_is_better: bool
    submission: SubmissionFormat
    train_table: str
    test_table: str
    validation: Validation
    template: str = "tabular"
    families: tuple[str, ...] = ()
    drop_columns: tuple[str, ...] = ()
    seed: int = 0
    time_budget_seconds: float = 600.0
    original_table: str = ""


# ---------------------------------------------------------------- what was tried: candidates/cNNN/candidate.json


class Proposal(Record, frozen=True, kw_only=True):
    """A pipeline to try: ``config`` overrides the template's, ``files`` replace or add files of ``code/``."""

    operator: Operator = "draft"
    title: str
    family: str
    hypothesis: str = ""
    parent: str | None = None
    config: dict[str, Any] = {}
    files: dict[str, str] = {}
    requirements: tuple[str, ...] = ()
    author: Literal["portfolio", "model", "plugin"] = "portfolio"
    expected_seconds: float | None = None


class Score(Record, frozen=True, kw_only=True):
    """A value of the competition's metric from out-of-fold predictions.

    ``low`` and ``high`` bound the score to expect on the test set (95 %).
    """

    metric: str
    greater_is_better: bool
    mean: float
    std: float
    folds: tuple[float, ...]
    low: float
    high: float


class StepResult(Record, frozen=True, kw_only=True):
    """One script that ran in the sandbox. ``limit`` names the limit that ended it, None when none did."""

    script: str
    exit_code: int | None
    limit: Literal["wall", "cpu", "memory", "disk", "inodes", "log", "processes", "cancelled"] | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    written_bytes: int = 0


class Check(Record, frozen=True, kw_only=True):
    """One part of an audit and what it found; a *leak* puts the candidate out."""

    name: str
    status: Literal["ok", "warn", "leak"]
    detail: str


class Gain(Record, frozen=True, kw_only=True):
    """How much better a candidate scores than ``over`` (an id) on the same rows; negative when worse.

    ``error`` is the standard error of ``value``; ``is_noise`` says that a gain of this size may well be chance.
    ``loss_errors`` is the gain of the smooth loss behind the metric, which is steadier, in its standard errors.
    """

    over: str
    value: float
    error: float
    is_noise: bool
    loss_errors: float = 0.0


class Candidate(Record, frozen=True, kw_only=True):
    """One proposal and what came of it; ``gains`` are over its parent, and over the best single one before it.

    ``sealing`` says what the code saw of the labels that it was scored on: nothing (*sealed*: one run per fold), or all
    of them, since it was written here (*open*) or cannot be sealed (*unsealed*: it counts only by the audit).
    ``ensemble_gain`` is the share by which it lowered the loss of what would be handed in; None until that was asked.
    """

    version: int = 1
    id: str
    proposal: Proposal
    status: CandidateStatus
    reason: str = ""
    score: Score | None = None
    sealing: Sealing = "open"
    steps: tuple[StepResult, ...] = ()
    seconds: float = 0.0
    verdict: str = ""
    code_sha256: str = ""
    gains: tuple[Gain, ...] = ()
    ensemble_gain: float | None = None
    audit: tuple[Check, ...] = ()


class Search(Record, frozen=True, kw_only=True):
    """A search as a proposer sees it.

    ``candidates`` are finished, in the order in which they were made; ``running`` are at work; ``declined`` are not
    started because what is left of the time would not be enough. None of the three need be proposed again.
    ``missing`` are requirements that the environment does not hold, or not yet: who needs one has to wait.
    ``is_improvement`` says that the run was finished before, and goes on: what is usual was tried.
    """

    plan: Plan
    profile: DataProfile
    seconds_left: float
    candidates: tuple[Candidate, ...] = ()
    running: tuple[Proposal, ...] = ()
    declined: tuple[Proposal, ...] = ()
    missing: tuple[str, ...] = ()
    is_improvement: bool = False


class Member(Record, frozen=True, kw_only=True):
    candidate: str
    weight: float


class Ensemble(Record, frozen=True, kw_only=True):
    """The published combination; ``rule`` turns blended predictions into submission values.

    ``blend`` is the scale on which the weighted mean is taken (``templates/ensemble/blend.py``). The same candidates to
    choose from (``chosen_from``) give the same combination again.
    """

    version: int = 1
    method: Literal["single", "greedy", "mean", "stacker"]
    members: tuple[Member, ...]
    blend: Literal["values", "log1p", "logits", "ranks"] = "values"
    score: Score
    rule: dict[str, Any]
    correlation: tuple[tuple[float, ...], ...] = ()
    chosen_from: tuple[str, ...] = ()


# ---------------------------------------------------------------- what came out: output/metrics.json and run.json


class SubmissionFacts(Record, frozen=True, kw_only=True):
    rows: int
    sha256: str


class Metrics(Record, frozen=True, kw_only=True):
    version: int = 1
    metric: str
    greater_is_better: bool
    cv: dict[str, Any]
    audit: dict[str, Any] = {}
    candidates: int
    ensemble: tuple[Member, ...]
    submission: SubmissionFacts
    seconds: dict[str, float]
    isolation: IsolationLevel


class ColumnImportance(Record, frozen=True, kw_only=True):
    """By how much the score gets worse, over all sampled rows and in each fold, when ``columns`` are shuffled."""

    columns: tuple[str, ...]
    loss: float
    folds: tuple[float, ...] = ()


class Importance(Record, frozen=True, kw_only=True):
    """What one candidate's models live on, the most important first: output/importance.json."""

    version: int = 1
    candidate: str
    metric: str
    rows: int
    columns: tuple[ColumnImportance, ...]


class SentSubmission(Record, frozen=True, kw_only=True):
    """One submission as Kaggle knows it; scores are None until Kaggle gives them."""

    ref: int
    description: str
    date: str = ""
    status: Literal["pending", "complete", "error"] = "pending"
    public_score: float | None = None
    private_score: float | None = None
    error: str = ""
    rank: int | None = None
    teams: int | None = None


class RunOptions(Record, frozen=True, kw_only=True):
    """What the person asked for; one field per flag of ``autokaggle run``."""

    target: str
    time_budget_seconds: float = 600.0
    seed: int = 0
    model: str | None = None
    chat: bool = True
    answers: str | None = None
    schema_only: bool = False
    max_cost_usd: float | None = None
    model_family: str = "auto"
    gpu: Literal["auto", "on", "off"] = "auto"
    metric: str | None = None
    validation: str = "auto"
    target_columns: tuple[str, ...] = ()
    template: str = "auto"
    submit: bool = False
    message: str = ""
    skip_execution: bool = False
    cluster: str | None = None
    detach: bool = False
    priority: int = 0
    offline: bool = False
    max_candidates: int | None = None
    original: str | None = None
    folds: int | None = None
    allow_unsandboxed: bool = False
    assume_yes: bool = False


class StageRecord(Record, frozen=True, kw_only=True):
    name: StageName
    status: Literal["running", "done", "failed"]
    started: str
    seconds: float = 0.0
    message: str = ""


class Isolation(Record, frozen=True, kw_only=True):
    """What the probe found: the level in force, the backend's name, and why not a higher level."""

    level: IsolationLevel
    backend: str
    reason: str = ""


class Earlier(Record, frozen=True, kw_only=True):
    """What a run had come to when `improve` went on with it; ``seconds_used`` are of the time budget that it had."""

    ended: str
    time_budget_seconds: float
    seconds_used: float
    candidates: int
    score: Score | None = None
    submission: SubmissionFacts | None = None


class Run(Record, frozen=True, kw_only=True):
    """One run; an improved one has the time budget of its last part, and what it was before in ``earlier``."""

    version: int = 1
    id: str
    slug: str
    target: str
    options: RunOptions
    status: RunStatus
    created: str
    updated: str = ""
    seed: int = 0
    host: dict[str, Any] = {}
    isolation: Isolation | None = None
    stages: tuple[StageRecord, ...] = ()
    plan: Plan | None = None
    ensemble: Ensemble | None = None
    data_sha256: str = ""
    lock_sha256: str = ""
    python: str = ""
    budget_seconds_used: float = 0.0
    earlier: tuple[Earlier, ...] = ()
    sent: tuple[SentSubmission, ...] = ()
    cost_usd: float = 0.0
    error: str = ""


class Event(Record, frozen=True, kw_only=True):
    """One line of logs/events.jsonl; ``fields`` depends on ``kind`` (docs/run-folder.md lists them)."""

    time: str
    kind: str
    message: str = ""
    fields: dict[str, Any] = {}


class Finding(Record, frozen=True):
    """One line of `doctor`; ``next_step`` says what to do about a warning or a failure."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    next_step: str = ""


class Progress(Record, frozen=True, kw_only=True):
    """How far a longer step is; ``total`` is None while unknown."""

    text: str
    done: float = 0.0
    total: float | None = None
    unit: str = ""
