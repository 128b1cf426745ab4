"""Walls around what plugins do in the middle of a run; this file turns whatever they raise into what a run can bear."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from autokaggle.plugins.extensions import Proposer
from autokaggle.records.candidate import Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan

if TYPE_CHECKING:
    from autokaggle.skills.dialogue.language_model import Answer, LanguageModel, ModelRequest, OnText

Warn = Callable[[str], None]
Answered = TypeVar("Answered")


class GuardedProposer:
    """A proposer that is not asked again after its first error; only what ships proposes in the portfolio's name."""

    def __init__(self, proposer: Proposer, warn: Warn, *, is_ours: bool) -> None:
        self.name = proposer.name
        self._is_ours = is_ours
        self._proposer: Proposer | None = proposer
        self._warn = warn

    def propose(self, search: Search) -> Proposal | None:
        """See ``Proposer.propose``; None from the first error on."""
        proposal = self._ask(lambda proposer: proposer.propose(search))
        if isinstance(proposal, Proposal):
            is_signed = self._is_ours or proposal.author != "portfolio"
            return proposal if is_signed else msgspec.structs.replace(proposal, author="plugin")
        if proposal is None:
            return None
        self._give_up(f"it gave a {type(proposal).__name__}, and a Proposal is wanted")
        return None

    def requirements(self, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
        """See ``Proposer.requirements``; none from the first error on."""
        return self._ask(lambda proposer: tuple(map(str, proposer.requirements(plan, profile)))) or ()

    def _ask(self, question: Callable[[Proposer], Answered]) -> Answered | None:
        try:
            return None if self._proposer is None else question(self._proposer)
        except Exception as error:  # noqa: BLE001 - the search goes on with what others propose
            self._give_up(repr(error))
            return None

    def _give_up(self, reason: str) -> None:
        self._proposer = None
        self._warn(f"The proposer {self.name} failed and is not asked again: {reason}")


class GuardedModel:
    """A language model whose every error is a ``ModelFailure``, which a run can do without."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return str(self._model.name)

    @property
    def is_local(self) -> bool:
        return bool(self._model.is_local)

    def ask(self, request: ModelRequest, on_text: OnText) -> Answer:
        """See ``LanguageModel.ask``."""
        from autokaggle.skills.dialogue.language_model import Answer, ModelFailure

        try:
            answer = self._model.ask(request, on_text)
        except ModelFailure:
            raise
        except Exception as error:
            raise ModelFailure("malformed", f"The language model {self.name} failed: {error!r}.") from error
        if not isinstance(answer, Answer):
            raise ModelFailure("malformed", f"The language model {self.name} gave a {type(answer).__name__}.")
        return answer
