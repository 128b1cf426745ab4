"""Write the pages of the documentation that the program itself knows best: commands, records, licences.

Run it after changing a command, a record or a dependency; ``--check`` says whether a page is out of date instead.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import msgspec
from packaging.requirements import Requirement

from autokaggle import records
from autokaggle.cli.application import COMMANDS, application
from autokaggle.records.base import Record

DOCS = Path(__file__).resolve().parents[1] / "docs"
WRITTEN = "<!-- written by scripts/write_reference.py -->\n"
DISTRIBUTION = "autokaggle-pilot"
# The modules of records, in the order in which a run comes to them.
SUBJECTS = ("competition", "data_profile", "plan", "prompt", "sandbox", "candidate", "outcome", "run", "event")


def main(arguments: list[str] | None = None) -> int:
    """Write or check all pages; return 1 when one was out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(arguments).check
    stale = False
    for name, text in pages().items():
        path = DOCS / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale = True
        print(f"{path.name} {'is out of date' if check else 'was written'}")
        if not check:
            path.write_text(text, "utf-8")
    return int(check and stale)


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    return {"commands.md": commands_page(), "records.md": records_page(), "licences.md": licences_page()}


def commands_page() -> str:
    """Describe every command, argument and flag as Click knows them."""
    lines = [WRITTEN, "# Commands", "", _help(application), "", *_flags(application), ""]
    lines += ["`RUN` is a run id, an unambiguous prefix of one, `latest` (where none is given), or a run folder.", ""]
    for name in COMMANDS:
        command = application.get_command(click.Context(application), name)
        assert command is not None
        lines += _command(command, f"autokaggle {command.name}", 2)
    return "\n".join(lines).rstrip() + "\n"


def records_page() -> str:
    """Describe every record that is kept as JSON, with its fields, types and defaults."""
    lines = [WRITTEN, "# Records", "", "Every JSON file of a run folder holds one of these. "]
    lines += [*(inspect.getdoc(records) or "").split("\n")[2:], ""]
    for record in _records():
        lines += [f"## {record.__name__}", ""]
        if _own_doc(record):
            lines += [_own_doc(record).replace("``", "`"), ""]
        lines += ["| field | type | default |", "|---|---|---|"]
        lines += [f"| `{field.name}` | {_type(record, field.name)} | {_default(field)} |" for field in _fields(record)]
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def licences_page() -> str:
    """List what an installation of the program brings along, with versions and licences."""
    lines = [WRITTEN, "# Licences", ""]
    lines += [
        "AutoKaggle is under the MIT licence. `pip install` brings these along, at the versions of constraints.txt:"
    ]
    lines += ["", "| package | licence |", "|---|---|"]
    lines += [f"| {name} | {licence_of(name)} |" for name in sorted(dependencies(DISTRIBUTION), key=str.lower)]
    lines += [
        "",
        "Libraries for modelling are installed into run environments only, each at the version that the run's",
    ]
    lines += ["`env/requirements.lock` names."]
    return "\n".join(lines) + "\n"


def dependencies(distribution: str, extra: str = "") -> set[str]:
    """Return the names of all that a distribution needs on this system, directly or not."""
    found: set[str] = set()
    waiting = [(distribution, extra)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker and not requirement.marker.evaluate({"extra": wanted}):
                continue
            known = metadata.distribution(requirement.name).name
            found.add(known)
            waiting += [(known, each) for each in ("", *requirement.extras)]
    return found


def licence_of(distribution: str) -> str:
    """Return the licence as the distribution's metadata say it, shortened to its name."""
    about = metadata.metadata(distribution)
    # Asked before taken: what stands for a missing line depends on which packages were imported.
    if "License-Expression" in about:
        return str(about["License-Expression"])
    classifiers = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or [] if line.startswith("License")]
    classifiers = [name for name in classifiers if name != "OSI Approved"]
    if classifiers:
        return ", ".join(classifiers)
    stated = " ".join(about.get_all("License") or [])
    return (stated or "not stated").strip().split("\n")[0][:60]


def _command(command: click.Command, path: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} {path}"
    yield ""
    yield _help(command)
    yield ""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _command(inner, f"{path} {inner.name}", level + 1)
        return
    pieces = command.collect_usage_pieces(click.Context(command, info_name=path))
    yield from ["```", " ".join([path, *pieces]), "```", ""]
    flags = _flags(command)
    if flags:
        yield from [*flags, ""]


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").replace("\n\n", "\n\n")


def _flags(command: click.Command) -> list[str]:
    options = [each for each in command.params if isinstance(each, click.Option) and each.help and not each.hidden]
    rows = []
    for option in options:
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        metavar = "" if option.is_flag else f" {option.make_metavar(click.Context(command))}"
        text = (option.help or "").replace("|", "\\|")
        if option.show_default and not option.is_flag:
            text += f"  [default: {option.default}]"
        rows.append(f"| {names}{_code(metavar)} | {text} |")
    return ["| flag | meaning |", "|---|---|", *rows] if rows else []


def _code(metavar: str) -> str:
    return f" `{metavar.strip()}`".replace("|", "\\|") if metavar else ""


def _records() -> list[type[Record]]:
    modules = [importlib.import_module(f"{records.__name__}.{subject}") for subject in SUBJECTS]
    found = [(module, each) for module in modules for each in vars(module).values() if inspect.isclass(each)]
    return [each for module, each in found if issubclass(each, Record) and each.__module__ == module.__name__]


def _own_doc(record: type[Record]) -> str:
    return inspect.cleandoc(record.__doc__) if record.__doc__ and record.__doc__ != Record.__doc__ else ""


def _fields(record: type[Record]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(record)


def _type(record: type[Record], name: str) -> str:
    written = str(inspect.get_annotations(record).get(name, "")) or "str"
    alias = getattr(sys.modules[record.__module__], written, None)
    if alias is not None and getattr(alias, "__args__", None):
        written = " or ".join(repr(value) for value in alias.__args__)
    written = re.sub(r"Literal\[(.*?)\]", lambda match: match.group(1).replace(", ", " or "), written)
    return "`" + written.replace("|", "\\|").replace("\n", " ") + "`"


def _default(field: Any) -> str:
    if field.default is not msgspec.NODEFAULT:
        shown = repr(field.default)
    elif field.default_factory is not msgspec.NODEFAULT:
        shown = repr(field.default_factory())
    else:
        return "required"
    return f"`{shown}`".replace("|", "\\|") if not shown.startswith("MetricFinding") else "`MetricFinding()`"


if __name__ == "__main__":
    sys.exit(main())
