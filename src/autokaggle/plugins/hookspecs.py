"""What another package may add; this file is the whole list of hooks.

A plugin is an installed package with an entry point in the group ``autokaggle``; the object that it names implements
any of these functions, marked with ``autokaggle.plugins.hookimpl``. Our own defaults come by the same door.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from autokaggle.plugins.extensions import ModelProvider, Proposer, ReportSection, Template

if TYPE_CHECKING:
    from autokaggle.skills.pipeline.families import ModelFamily
    from autokaggle.skills.sandbox.backends import Backend
    from autokaggle.skills.scoring.metric import Metric

PROJECT = "autokaggle"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def autokaggle_language_models() -> Iterable[ModelProvider]:
    """Give providers of language models, for ``--model NAME:MODEL``."""
    return ()


@hookspec
def autokaggle_model_families() -> Iterable[ModelFamily]:
    """Give model families: a file ``model_NAME.py``, what it needs installed, and configurations to try."""
    return ()


@hookspec
def autokaggle_templates() -> Iterable[Template]:
    """Give templates: pipeline programs that are copied into a candidate's ``code/``, for ``--template NAME``."""
    return ()


@hookspec
def autokaggle_metrics() -> Iterable[Metric]:
    """Give metrics, for ``--metric ID`` and for competitions whose wording is among a metric's aliases."""
    return ()


@hookspec
def autokaggle_prompts() -> Iterable[Path]:
    """Give folders of prompt files: one named like ours (``decide.md``) stands in its place."""
    return ()


@hookspec
def autokaggle_proposers() -> Iterable[Proposer]:
    """Give proposers: each is asked for its next candidate whenever there is room for one."""
    return ()


@hookspec
def autokaggle_isolation_backends() -> Iterable[Backend]:
    """Give ways to build walls around generated code; one that a probe gets out of is not used."""
    return ()


@hookspec
def autokaggle_report_sections() -> Iterable[ReportSection]:
    """Give sections that stand at the end of report.html."""
    return ()
