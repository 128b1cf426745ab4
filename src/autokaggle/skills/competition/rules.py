"""From rules in prose to gates; this file keeps each with the sentence that it came from.

Unclear rules give no gate: the page itself is shown instead. What a gate stops is decided where it is enforced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from autokaggle.records.competition import Gate
from autokaggle.skills.competition.pages import sentences

GateValue = bool | int | str
Reader = Callable[[str], GateValue | None]

RULE_PAGES = ("rule", "requirement", "timeline", "overview", "faq", "frequently", "data", "evaluation", "description")
SMALL_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER_WORDS = {word: number for number, word in enumerate(SMALL_NUMBERS, start=1)} | {"fifteen": 15, "twenty": 20}
NUMBER = r"(?P<number>\d+|" + "|".join(NUMBER_WORDS) + r")\b"
LONGEST_SENTENCE = 500

CLAUSE_END = re.compile(r";|,?\s+(?:but|however|although|unless|except)\b")
FORBIDS = re.compile(
    r"\b(?:(?:may|must|can|should|shall|do|does|is|are|be)\s+not\s+(?:be\s+)?(?:allowed|permitted|used?|using|rely|include|"
    r"incorporate|contain|have|enabled?)|not\s+(?:allowed|permitted)|cannot|can't|mustn't|prohibited|forbidden|disallowed|"
    r"banned|disabled|(?:turned|switched)\s+off)\b",
    re.I,
)
ALLOWS = re.compile(
    r"\b(?:allow(?:ed|s)?|permit(?:ted|s)?|may\s+(?:be\s+)?used?|can\s+(?:be\s+)?used?|welcome|enabled|free\s+to\s+use|"
    r"(?:turned|switched)\s+on)\b",
    re.I,
)
EXTERNAL_DATA = r"external\s+data\w*|data\s+other\s+than\s+the\s+competition\s+data"
INTERNET = r"internet(?:\s+access)?"
HAND_LABELLING = r"hand[\s-]?label\w*|manual(?:ly)?\s+label\w*|human\s+prediction\w*"
A_DAY = r"(?:times\s+)?(?:(?:a|per|each|every)\s+day|daily)"
DAILY = re.compile(
    rf"{NUMBER}(?:\s*\(\d+\))?\s+(?:\w+\s+){{0,2}}?(?:submissions?|entries)\s+{A_DAY}"
    rf"|\b(?:submit|submissions?|entries)\b[^.]{{0,40}}?\b(?:up\s+to|at\s+most|maximum\s+of)\s+(?P<second>\w+)"
    rf"(?:\s*\(\d+\))?\s+(?:\w+\s+){{0,2}}?{A_DAY}"
    r"|\bdaily\s+(?:submissions?|entries|submission\s+limit)\s*(?:is|:|=)\s*(?P<third>\w+)",
    re.I,
)
TEAM = re.compile(
    rf"\bteam\s+size\s*(?:limit\s*)?(?:is|of|are|:)\s*(?:limited\s+to\s+)?{NUMBER}"
    r"|\bsize\s+of\s+(?:a|the|each)\s+team\s+(?:is|must\s+not\s+exceed)\s+(?P<second>\w+)"
    r"|\bteams?\b[^.]{0,40}?\b(?:up\s+to|at\s+most|maximum\s+of|no\s+more\s+than|limited\s+to)\s+(?P<third>\w+)"
    r"|\b(?:up\s+to|at\s+most|maximum\s+of)\s+(?P<fourth>\w+)(?:\s*\(\d+\))?\s+(?:team\s+)?members",
    re.I,
)
LICENCE_CONTEXT = re.compile(r"\bwinn\w*\b[^\n]{0,300}\blicen[sc]|\blicen[sc]\w*[^\n]{0,300}\bwinn\w*", re.I)
LICENCES = re.compile(
    r"\b(CC[ -]?BY(?:[ -](?:NC|SA|ND))*(?:[ -]?\d\.\d)?|CC0|Apache(?:[ -]License)?(?:,?\s+Version)?[ -]?2\.0|MIT|"
    r"BSD(?:-\d-Clause)?|A?GPL\w*|non-exclusive|open[ -]source(?:\s+initiative)?(?:-approved)?)",
    re.I,
)


def compile_rules(pages: Mapping[str, str]) -> tuple[Gate, ...]:
    """Return at most one gate of each name; rules pages are read first, and the first clear sentence counts.

    ``pages`` maps file names to Markdown.
    """
    found: dict[str, Gate] = {}
    for page in _in_reading_order(pages):
        for sentence in sentences(pages[page]):
            for name, reader in READERS.items():
                if name in found or (value := reader(sentence)) is None:
                    continue
                shown = sentence[:LONGEST_SENTENCE]
                found[name] = Gate(name=name, value=value, sentence=shown, page=page)  # type: ignore[arg-type]
    return tuple(found[name] for name in READERS if name in found)


def gates_from_fields(max_daily_submissions: int | None, max_team_size: int | None) -> tuple[Gate, ...]:
    """Return the gates that Kaggle states as numbers; these are exact, and win over the rules' prose."""
    source = "Kaggle's competition facts"
    gates = []
    if max_team_size:
        sentence = f"maxTeamSize is {max_team_size}"
        gates.append(Gate(name="team_size", value=max_team_size, sentence=sentence, page=source))
    if max_daily_submissions:
        sentence = f"maxDailySubmissions is {max_daily_submissions}"
        gates.append(Gate(name="daily_submissions", value=max_daily_submissions, sentence=sentence, page=source))
    return tuple(gates)


def merge_gates(exact: tuple[Gate, ...], read: tuple[Gate, ...]) -> tuple[Gate, ...]:
    """Let exact gates replace read ones of the same name; where both agree, the sentence of the prose stays."""
    merged = {gate.name: gate for gate in read}
    for gate in exact:
        other = merged.get(gate.name)
        if other is None or other.value != gate.value:
            merged[gate.name] = gate
    return tuple(merged.values())


def _in_reading_order(pages: Mapping[str, str]) -> list[str]:
    def rank(page: str) -> tuple[int, str]:
        places = [place for place, word in enumerate(RULE_PAGES) if word in page.lower()]
        return (places[0] if places else len(RULE_PAGES), page)

    return sorted(pages, key=rank)


def _permission(topic: str) -> Reader:
    """Read whether the clause that names the topic allows or forbids it; neither gives no gate."""
    named = re.compile(rf"\b(?:{topic})", re.I)
    denied = re.compile(rf"\b(?:no|without)\s+(?:\w+\s+)?(?:{topic})", re.I)

    def read(sentence: str) -> GateValue | None:
        for clause in CLAUSE_END.split(sentence):
            if not named.search(clause):
                continue
            if FORBIDS.search(clause) or denied.search(clause):
                return False
            if ALLOWS.search(clause):
                return True
        return None

    return read


def _count(pattern: re.Pattern[str]) -> Reader:
    def read(sentence: str) -> GateValue | None:
        found = pattern.search(sentence)
        if not found:
            return None
        text = next((group for group in found.groupdict().values() if group), "").lower()
        return int(text) if text.isdigit() else NUMBER_WORDS.get(text)

    return read


def _winner_licence(sentence: str) -> GateValue | None:
    if not LICENCE_CONTEXT.search(sentence):
        return None
    found = LICENCES.search(sentence)
    return found.group(1) if found else None


READERS: dict[str, Reader] = {
    "external_data": _permission(EXTERNAL_DATA),
    "internet": _permission(INTERNET),
    "team_size": _count(TEAM),
    "daily_submissions": _count(DAILY),
    "winner_licence": _winner_licence,
    "hand_labelling": _permission(HAND_LABELLING),
}
