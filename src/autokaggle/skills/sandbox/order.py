"""What the program tells a supervisor and hears back; this file holds the two records, as plain dictionaries."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

# Beside a job's log while its tree lives: the tree's session, and the moment at which it began.
MARK = ".{log}.tree"


class Order(TypedDict):
    """What to run and within which bounds; ``limits`` are the fields of ``Limits``.

    ``filter`` is a seccomp program: where ``command`` names the supervisor's FILTER_PLACE it is handed over as an open
    file, else it is loaded right before the start, as are the Landlock ``rules``. Where ``command`` names STATUS_PLACE,
    the command is bubblewrap and reports there how it went. ``temporary_folders`` lie in memory, inside. ``groups``
    are the folders of a control group to enter, and to remove at the end; ``is_in_scope`` says that ``command`` makes
    one itself. ``mark`` is a file that says where the tree is to be found, should nobody be left to end it; ``scratch``
    is a folder to remove at the end.
    """

    command: list[str]
    variables: dict[str, str]
    folder: str
    log: str
    mark: str
    watched_folders: list[str]
    limits: dict[str, Any]
    filter: NotRequired[bytes]
    rules: NotRequired[dict[str, list[str]]]
    temporary_folders: NotRequired[list[str]]
    groups: NotRequired[list[str]]
    is_in_scope: NotRequired[bool]
    scratch: NotRequired[str]


class Outcome(TypedDict):
    """``exit_code`` is None when a limit ended the step; ``trouble`` says why the walls could not be built."""

    exit_code: int | None
    limit: str | None
    trouble: str
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    written_bytes: int
