"""Measure the search for personal data on labelled strings; this program writes docs/benchmarks.md.

    python benchmarks/personal_data.py [--name NAME]

The strings are those of tests/personal_strings.py, labelled before the rules were written. Each is judged alone, as a
cell of a column without a telling name. A personal string counts as found when any kind is found in it, since then it
is masked; *named* says of how many the kind is right as well.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tables import table, write_block

from autokaggle.skills.dataset.personal_data import find_personal

sys.path.append(str(Path(__file__).resolve().parents[1]))
from tests.personal_strings import ELSEWHERE, PERSONAL

HEADER = ["strings", "how many", "found", "named", "missed or wrongly found"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="", help="the block of docs/benchmarks.md to write")
    options = parser.parse_args()
    rows, found, wrong = [], 0, 0
    for kind, texts in PERSONAL.items():
        hits = {text: kinds for text in texts if (kinds := _kinds(text))}
        found += len(hits)
        named = sum(kind in kinds for kinds in hits.values())
        rows.append(_row(kind, len(texts), str(len(hits)), str(named), [text for text in texts if text not in hits]))
    for kind, texts in ELSEWHERE.items():
        alarms = [text for text in texts if _kinds(text)]
        wrong += len(alarms)
        rows.append(_row(f"not personal: {kind}", len(texts), str(len(alarms)), "", alarms))
    personal, other = (sum(map(len, texts.values())) for texts in (PERSONAL, ELSEWHERE))
    said = (
        f"{personal} personal and {other} other strings: precision {found / (found + wrong):.1%}, "
        f"recall {found / personal:.1%}."
    )
    lines = [said, "", *table(HEADER, rows)]
    print(*lines, sep="\n")
    if options.name:
        command = f"`python benchmarks/personal_data.py --name {options.name}`"
        write_block(options.name, [command, "", *lines])


def _kinds(text: str) -> set[str]:
    return {finding.kind for finding in find_personal(text)}


def _row(kind: str, count: int, found: str, named: str, examples: list[str]) -> list[str]:
    shown = ", ".join(f"`{text}`" for text in examples)
    return [kind.replace("_", " "), str(count), found, named, shown.replace("|", "\\|")]


if __name__ == "__main__":
    main()
