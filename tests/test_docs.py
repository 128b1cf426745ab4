"""The documentation: what is public is described, what is quoted exists, every link leads somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from scripts import write_reference

from autokaggle import errors
from autokaggle.config import CONFIG_KEYS
from autokaggle.plugins.kinds import KINDS

ROOT = Path(__file__).resolve().parents[1]
DOCS, SOURCE = ROOT / "docs", ROOT / "src" / "autokaggle"
# Set by the program for its own child processes, or read only where it is started for completion.
INTERNAL = {"AUTOKAGGLE_COMPLETE", "AUTOKAGGLE_"}
VARIABLE = re.compile(r"(?<![A-Z_])AUTOKAGGLE_[A-Z_]*")


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.mark.parametrize("name", ["commands.md", "records.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert page(name) == write_reference.pages()[name], "run: python scripts/write_reference.py"


def test_every_dependency_is_listed_with_its_licence() -> None:
    rows = dict(re.findall(r"^\| (\S+) \| (.+) \|$", page("licences.md"), re.MULTILINE))
    missing = write_reference.dependencies(write_reference.DISTRIBUTION) - set(rows)
    assert not missing, "run: python scripts/write_reference.py"
    assert "not stated" not in rows.values()


def test_every_hook_is_documented() -> None:
    text = page("plugins.md")
    assert [kind.hook for kind in KINDS.values() if f"`{kind.hook}`" not in text] == []


def test_every_setting_and_variable_is_documented() -> None:
    text = page("settings.md")
    assert [key for key in CONFIG_KEYS if f"`{key}`" not in text] == []
    used = {name for path in SOURCE.rglob("*.py") for name in VARIABLE.findall(path.read_text("utf-8"))}
    assert sorted(name for name in used - INTERNAL if name not in text) == []


def test_every_exit_code_is_documented() -> None:
    known = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    text = page("troubleshooting.md")
    assert [error.__name__ for error in known if f"| {error.exit_code} |" not in text] == []  # type: ignore[attr-defined]


def test_every_event_and_its_fields_are_documented() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+) \| (.*)\|$", page("run-folder.md").split("## events.jsonl")[1], re.MULTILINE)
    documented = {kind.strip("` "): fields for kinds, fields in rows for kind in kinds.split(",")}
    for kind, fields in told_events().items():
        assert kind in documented, f"the event {kind} is not in docs/run-folder.md"
        assert [name for name in sorted(fields) if f"`{name}`" not in documented[kind]] == [], kind


def test_every_message_under_troubleshooting_is_one_of_the_programs() -> None:
    said = " ".join(re.sub(r'["\']\s*\n\s*(?:f?["\'])', "", path.read_text("utf-8")) for path in SOURCE.rglob("*.py"))
    said += " ".join(page(name) for name in ("security.md",))
    quoted = re.findall(r"^\*\*(.+?)\*\*", page("troubleshooting.md").split("## By message")[1], re.MULTILINE)
    assert len(quoted) > 15
    pieces = {message: [part.strip(" .") for part in message.split("...")] for message in quoted}
    gone = [message for message, parts in pieces.items() if any(part and part not in said for part in parts)]
    assert gone == []


def test_the_site_is_built_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "tutorial.html").is_file()


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/plugin/README.md"):
        folder = (ROOT / name).parent
        targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text("utf-8"))
        gone = [target for target in targets if not target.startswith("http") and not (folder / target).exists()]
        assert gone == [], name


def told_events() -> dict[str, set[str]]:
    """Find every ``journal.tell(kind, ..., field=...)`` in the program."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "tell":
                continue
            kind = node.args[0] if node.args else None
            if isinstance(kind, ast.Constant) and isinstance(kind.value, str) and re.fullmatch(r"[a-z_]+", kind.value):
                found[kind.value] |= {
                    keyword.arg for keyword in node.keywords if keyword.arg and keyword.arg != "message"
                }
    return found
