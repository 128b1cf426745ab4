"""What another package may add; this file is the whole list of hooks.

A plugin is an installed package with an entry point in the group ``autokaggle``; the object that it names implements
any of these functions, marked with ``autokaggle.plugins.hookimpl``. Our own defaults come by the same door.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pluggy

from autokaggle.plugins.extensions import Proposer, Template

PROJECT = "autokaggle"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def autokaggle_templates() -> Iterable[Template]:
    """Give templates: pipeline programs that are copied into a candidate's ``code/``."""
    return ()


@hookspec
def autokaggle_prompts() -> Iterable[Path]:
    """Give folders of prompt files: one named like ours (``decide.md``) stands in its place."""
    return ()


@hookspec
def autokaggle_proposers() -> Iterable[Proposer]:
    """Give proposers: each is asked for its next candidate whenever there is room for one."""
    return ()
