"""The kinds of things that plugins give; this file says how each is checked, named and put in force.

A thing that is not what its hook asks for is refused here with a reason; ``manager.py`` tells it and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autokaggle.plugins.extensions import ModelProvider, Proposer, ReportSection, Template

# Names become parts of file names, of options on the command line and of YAML.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class Unusable(Exception):
    """Why something that a plugin gave cannot be used."""


@dataclass(frozen=True)
class Kind:
    """One hook: ``check`` raises ``Unusable``; ``registry`` is where skills look things of this kind up."""

    hook: str
    noun: str
    type: Callable[[], type]
    name_of: Callable[[Any], str]
    check: Callable[[Any], None] = lambda thing: None
    registry: Callable[[], MutableMapping[str, Any]] | None = None


def inspect(kind: Kind, thing: object) -> str:
    """Return the name of what a plugin gave.

    Raises:
        Unusable: it is of the wrong type, has no usable name, or cannot work.
    """
    wanted = kind.type()
    if not isinstance(thing, wanted):
        raise Unusable(f"it is a {type(thing).__name__}, and a {wanted.__name__} is wanted")
    name = kind.name_of(thing)
    if kind.hook != "autokaggle_prompts" and not (isinstance(name, str) and NAME.fullmatch(name)):
        raise Unusable(f"its name {name!r} is no plain name")
    kind.check(thing)
    return name


def _metric_type() -> type:
    from autokaggle.skills.scoring.metric import Metric

    return Metric


def _family_type() -> type:
    from autokaggle.skills.pipeline.families import ModelFamily

    return ModelFamily


def _backend_type() -> type:
    from autokaggle.skills.sandbox.backends import Backend

    return Backend


def _metrics() -> MutableMapping[str, Any]:
    from autokaggle.skills.scoring.metric_catalogue import METRICS

    return METRICS


def _families() -> MutableMapping[str, Any]:
    from autokaggle.skills.pipeline import families

    return families.PLUGGED


def _backends() -> MutableMapping[str, Any]:
    from autokaggle.skills.sandbox import backends

    return backends.PLUGGED


def _check_metric(metric: Any) -> None:
    from autokaggle.skills.scoring.metric_trial import trouble_of

    if trouble := trouble_of(metric):
        raise Unusable(trouble)


def _check_family(family: Any) -> None:
    from autokaggle.skills.pipeline.families import trouble_of

    if trouble := trouble_of(family):
        raise Unusable(trouble)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise Unusable("there is no such folder")


def _check_template(template: Template) -> None:
    missing = [name for name in ("train.py", "validate.py", "predict.py") if not (template.folder / name).is_file()]
    if missing and template.parent is None:
        raise Unusable(f"{template.folder} lacks {', '.join(missing)}")


def _by_name(thing: Any) -> str:
    name: str = thing.name
    return name


KINDS = {
    "language_models": Kind("autokaggle_language_models", "language model", lambda: ModelProvider, _by_name),
    "model_families": Kind(
        "autokaggle_model_families", "model family", _family_type, _by_name, _check_family, _families
    ),
    "templates": Kind("autokaggle_templates", "template", lambda: Template, _by_name, _check_template),
    "metrics": Kind(
        "autokaggle_metrics", "metric", _metric_type, lambda metric: str(metric.id), _check_metric, _metrics
    ),
    "prompts": Kind("autokaggle_prompts", "folder of prompts", lambda: Path, str, _check_folder),
    "proposers": Kind("autokaggle_proposers", "proposer", lambda: Proposer, _by_name),
    "isolation_backends": Kind(
        "autokaggle_isolation_backends", "isolation backend", _backend_type, _by_name, registry=_backends
    ),
    "report_sections": Kind("autokaggle_report_sections", "report section", lambda: ReportSection, _by_name),
}
