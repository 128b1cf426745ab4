"""The tree of errors that a person may see; this file decides the exit code of each.

    AutoKaggleError                 1    our fault
    ├── UsageError                  2    a flag or argument makes no sense
    ├── ActionNeeded                3    only the user can go on: credentials, rules to accept
    ├── OutsideWorldError           4    Kaggle, a registry or a model failed after retries
    │   └── DiskTrouble             4    a disk is full, or a folder cannot be read or written
    ├── CompetitionUnusable         5    the competition or its data cannot be used
    ├── NoValidSubmission           6    the run ended without anything to hand in
    └── RunInterrupted              130  Ctrl-C or a kill; the run can be resumed

Failing generated code is not an error: it is recorded as a failed candidate.
"""

from __future__ import annotations


class AutoKaggleError(Exception):
    """Say what happened, to what, and what to do next.

    ``message`` is one sentence for people; ``next_step`` says what the reader should do.
    Neither may hold a secret.
    """

    exit_code = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n{self.next_step}" if self.next_step else self.message


class UsageError(AutoKaggleError):
    """A flag, argument or setting makes no sense."""

    exit_code = 2


class ActionNeeded(AutoKaggleError):
    """Only the user can go on: give credentials, accept rules, answer a question."""

    exit_code = 3


class OutsideWorldError(AutoKaggleError):
    """Kaggle, a package registry or a language model failed after retries."""

    exit_code = 4


class DiskTrouble(OutsideWorldError):
    """A disk is full, or a file or folder cannot be read or written; what was finished is kept."""


class CompetitionUnusable(AutoKaggleError):
    """The competition, or the data found, cannot be used; the message names file, line or column."""

    exit_code = 5


class NoValidSubmission(AutoKaggleError):
    """The run ended without a submission that Kaggle would accept."""

    exit_code = 6


class RunInterrupted(AutoKaggleError):
    """The user or the system stopped the run; what was finished is kept."""

    exit_code = 130
