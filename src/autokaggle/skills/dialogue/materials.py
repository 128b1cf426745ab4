"""What a language model gets to read; this file puts the facts of a competition into short lines, level by level.

Levels, from the fullest: 0 everything · 1 no example values · 2 no drift · 3 the columns beyond the first 40 by name or
number alone · 4 pages cut to a third · 5 no pages. Target, metric, rules and what is asked are in every level.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from autokaggle.records.candidate import Candidate
from autokaggle.records.data_profile import ColumnProfile
from autokaggle.records.plan import Decision
from autokaggle.skills.dialogue.brief import Brief
from autokaggle.skills.dialogue.payload import Section

LEVELS = 6
LONGEST_NAME, LONGEST_VALUE = 60, 24
MOST_VALUES = 4
MOST_LINES = 40
MOST_NAME_CHARACTERS = 3000
# Pages in the order in which they matter, by words of their names, with the characters that each may take.
PAGE_SHARES = (
    ("evaluation", 3000),
    ("rule", 1800),
    ("data", 1600),
    ("description", 1200),
    ("overview", 1200),
)
VALUE_KINDS = ("category", "ordinal", "constant")
SHAPE_KINDS = ("code", "path")
RANGE_KINDS = ("number", "ordinal", "datetime")


def competition_section(brief: Brief) -> Section:
    """Say what is to be predicted, for which metric, under which rules, and what the data are."""
    return Section(
        "competition",
        "\n".join(_competition_lines(brief, with_values=True)),
        source="competition.json and data_profile.json",
        without_values="\n".join(_competition_lines(brief, with_values=False)),
    )


def columns_section(brief: Brief, level: int) -> Section:
    """One line a column: name | kind | missing in train/test | distinct | values | drift | flags."""
    targets = brief.profile.target_columns
    columns = sorted(brief.profile.columns, key=lambda column: column.name not in targets)
    detailed = columns if level < 3 else columns[:MOST_LINES]
    rest = columns[len(detailed) :]
    head = "name | kind | missing train/test | distinct | values | drift | flags"
    tail = [f"also: {_names(rest)}"] if rest else []

    def lines(with_values: bool) -> str:
        return "\n".join([head, *(_column_line(column, brief, level, with_values) for column in detailed), *tail])

    return Section("columns", lines(True), source="data_profile.json", without_values=lines(False))


def pages_section(brief: Brief, level: int) -> Section:
    """Quote the pages, evaluation and rules first."""
    if level >= 5:
        return Section("pages", "")
    share = 1 / 3 if level >= 4 else 1.0
    pages = [(name, text.strip(), int(most * share)) for name, text, most in _ordered_pages(brief)]
    full = [_excerpt(name, text, most) for name, text, most in pages]
    bare = [_excerpt(name, _without_tables(text), most) for name, text, most in pages]
    return Section("pages", "\n\n".join(full), source="pages of the competition", without_values="\n\n".join(bare))


def decisions_section(decisions: Sequence[Decision]) -> Section:
    """What is decided so far, by whom and why."""
    lines = [f"{one.key} = {say_value(one.value)} ({one.by}: {_short(one.why, 160)})" for one in decisions]
    bare = [f"{one.key} = {say_value(one.value)} ({one.by})" for one in decisions]
    return Section("decisions", "\n".join(lines), without_values="\n".join(bare))


def host_section(brief: Brief) -> Section:
    """What the search may use."""
    budget = brief.options.time_budget_seconds
    gpu = f"a GPU ({brief.gpu}) for the program's own XGBoost and view of images alone" if brief.gpu else "no GPU"
    return Section(
        "host",
        f"Machine: {brief.cores} cores, {brief.memory_bytes / 1e9:.0f} GB of memory, {gpu}, no internet. "
        f"Time for the whole search: {budget:.0f} s.",
        voice="program",
    )


def menu_section(brief: Brief) -> Section:
    """Which keys a proposal may have, and which values."""
    usable = [name for name in brief.metrics if name not in brief.metric_problems]
    # Those with a cut-off or a quantile differ in its number alone.
    metrics = dict.fromkeys(re.sub(r"(?<=_at_)\d+$", "K", re.sub(r"(?<=pinball_)\d+$", "NN", name)) for name in usable)
    return Section(
        "menu",
        "A proposal is a key and a value, written as here:\n"
        f"metric: one of {', '.join(sorted(metrics))}\n"
        "target: a JSON list of columns of train that test lacks\n"
        "validation: kfold, stratified, group:COLUMN or time:COLUMN; then, if need be, `,folds=N`\n"
        f"families: a JSON list out of {', '.join(brief.families)}\n"
        "drop_columns: a JSON list of columns that must not be used\n"
        "features_to_try, features_to_avoid, constraints: a JSON list of short sentences",
        voice="program",
    )


def results_section(brief: Brief) -> Section:
    """One line for each candidate that was tried, oldest first."""
    recent = brief.candidates[-20:]
    bare = [_candidate_line(candidate) for candidate in recent]
    # The reason of a failure may quote what the candidate printed, and with it values.
    reasons = [f": {_short(candidate.reason, 120)}" if candidate.reason else "" for candidate in recent]
    lines = [line + reason for line, reason in zip(bare, reasons, strict=True)]
    return Section("results", "\n".join(lines), source="candidates of this run", without_values="\n".join(bare))


def quoted(name: str) -> str:
    """A column's name as a JSON string; a very long one is cut, since nobody can repeat it anyway."""
    return json.dumps(name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…", ensure_ascii=False)


def say_value(value: object) -> str:
    """A decision's value in one line."""
    if isinstance(value, dict) and "scheme" in value:
        column = f":{value['column']}" if value.get("column") else ""
        return f"{value['scheme']}{column}, {value.get('folds')} folds"
    if isinstance(value, float):
        return f"{value:g} s"
    if isinstance(value, list | tuple):
        return json.dumps(list(value), ensure_ascii=False) if value else "nothing in particular"
    return str(value)


def _competition_lines(brief: Brief, with_values: bool) -> list[str]:
    competition, profile = brief.competition, brief.profile
    metric = competition.metric
    direction = {True: "higher is better", False: "lower is better", None: "direction not stated"}
    split = profile.split
    sure = f"{metric.confidence:.0%} sure, from the competition's {metric.source}"
    found = f"{metric.metric} ({sure})" if metric.metric else f"unknown; wording {quoted(metric.wording)}"
    lines = [
        f"title: {quoted(competition.title or competition.slug)}",
        f"task: {profile.task_type.replace('_', ' ')}, {profile.modality}; target {_targets(brief, with_values)}",
        f"metric: {found}, {direction[metric.greater_is_better]}",
        f"submission: {', '.join(map(quoted, profile.submission_columns[:20]))}; values: {profile.submission_kind}",
        f"rows: train {profile.train_rows}, test {profile.test_rows}",
        f"split: {split.scheme}{':' + split.column if split.column else ''} ({split.confidence:.0%} sure)",
        *(f"rule: {gate.name} = {_allowed(gate.value)}: {_short(gate.sentence, 160)}" for gate in competition.gates),
        *(f"file: {quoted(file.name)} ({file.role}, {file.rows} rows)" for file in profile.files[:12]),
    ]
    if split.adversarial_auc is not None:
        lines.append(f"telling test rows from train rows: AUC {split.adversarial_auc:.2f}")
    if with_values:
        lines += [f"warning: {_short(warning, 200)}" for warning in profile.warnings[:6]]
    return lines


def _allowed(value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "allowed" if value else "not allowed"
    return str(value)


def _candidate_line(candidate: Candidate) -> str:
    score, proposal = candidate.score, candidate.proposal
    said = f"{score.mean:.5g} (95 %: {score.low:.5g} to {score.high:.5g})" if score else candidate.status
    title = _short(proposal.title, 60)
    return f"{candidate.id} {proposal.operator} [{proposal.family}] {title}: {said}, {candidate.seconds:.0f} s"


def _targets(brief: Brief, with_values: bool) -> str:
    said = []
    for name in brief.profile.target_columns[:10]:
        labels = brief.profile.classes.get(name, ())
        shown = f": {', '.join(quoted(label) for label in labels[:8])}" if with_values and len(labels) <= 8 else ""
        said.append(quoted(name) + (f" ({len(labels)} classes{shown})" if labels else ""))
    return ", ".join(said)


def _column_line(column: ColumnProfile, brief: Brief, level: int, with_values: bool) -> str:
    missing = "/".join("-" if share is None else f"{share:.0%}" for share in (column.missing, column.missing_test))
    flags = [f"personal: {', '.join(column.personal)}"] if column.personal else []
    flags += ["target"] if column.name in brief.profile.target_columns else []
    flags += ["id"] if column.name in brief.profile.id_columns else []
    flags += [f"copy of {quoted(column.duplicate_of)}"] if column.duplicate_of else []
    flags += ["not in test"] if not column.in_test and "target" not in flags else []
    values = _values(column, level) if with_values and not column.personal else ""
    drift = f"{column.drift:.2f}" if column.drift is not None and level < 2 else ""
    cells = (quoted(column.name), column.kind, missing, f"{column.distinct}", values, drift, ", ".join(flags))
    return " | ".join(cells).rstrip(" |")


def _names(columns: Sequence[ColumnProfile]) -> str:
    """List names as far as there is room, then how many more there are of each kind."""
    shown, length = [], 0
    for column in columns:
        length += len(quoted(column.name)) + 2
        if length > MOST_NAME_CHARACTERS:
            break
        shown.append(quoted(column.name))
    left = Counter(column.kind for column in columns[len(shown) :])
    return ", ".join([*shown, *(f"{count} more of kind {kind}" for kind, count in left.items())])


def _values(column: ColumnProfile, level: int) -> str:
    """Common values of categories, ranges of numbers, the shape of codes; nothing of texts and ids."""
    said = []
    if column.kind in RANGE_KINDS and column.low is not None and column.high is not None:
        said.append(f"{_number(column.low)}..{_number(column.high)}")
    if level < 1 and column.kind in VALUE_KINDS:
        said += [f"{_short(value, LONGEST_VALUE)} {share:.0%}" for value, share in column.top[:MOST_VALUES]]
    if level < 1 and column.kind in SHAPE_KINDS:
        shapes = dict.fromkeys(_shape(value) for value, _ in column.top)
        said += [f"like {shape}" for shape in list(shapes)[:3]]
    return ", ".join(said)


def _shape(value: str) -> str:
    """``CA. 2343`` reads ``AA. 9999``: how a code is built, without what it says."""
    return _short(re.sub(r"[^\W\d_]", "A", re.sub(r"\d", "9", value)), LONGEST_VALUE)


def _number(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text[:10]
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e7 else f"{number:.3g}"


def _ordered_pages(brief: Brief) -> list[tuple[str, str, int]]:
    found: dict[str, tuple[str, str, int]] = {}
    for word, most in PAGE_SHARES:
        for name, text in brief.pages.items():
            if word in name.lower() and name not in found:
                found[name] = (name, text, most)
    return list(found.values())


def _excerpt(name: str, text: str, most: int) -> str:
    return f"[{name}]\n{text[:most]}" + ("\n[cut here]" if len(text) > most else "")


def _without_tables(text: str) -> str:
    """Leave out code blocks and tables, which show rows of the data."""
    prose = re.sub(r"```.*?(?:```|\Z)", "[rows left out]", text, flags=re.DOTALL)
    return re.sub(r"^\s*\|.*\n?", "", prose, flags=re.MULTILINE)


def _short(text: str, most: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"
