"""Which proposals are the same; this file knows what of a proposal decides about its predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from autokaggle.records.candidate import Proposal, Search

# It ends fits early, and grows with the time budget; what is fitted stays the same.
TIME_LIMIT = "most_seconds"
# How a language model calls its features together.
GROUPS = "groups"


def wants_gpu(proposal: Proposal) -> bool:
    """Say whether its code is to see a GPU: our own alone, where the portfolio set its model or features to use one."""
    parts = [proposal.config.get(name) for name in ("model", "features")]  # a plugin may have put anything there
    is_set = any(isinstance(part, dict) and part.get("gpu") for part in parts)
    return is_set and proposal.author == "portfolio" and not proposal.files


def can_start(proposal: Proposal, search: Search) -> bool:
    """Say whether its packages are there, and the GPU is free if it uses one: two would share its memory."""
    is_gpu_taken = any(map(wants_gpu, search.running))
    return not {*search.missing} & {*proposal.requirements} and not (is_gpu_taken and wants_gpu(proposal))


def identity(proposal: Proposal) -> bytes:
    """Return the same bytes for proposals that would predict the same, whatever they are called.

    Compared as JSON, which is what a record on disk was read back from.
    """
    config = {key: value for key, value in proposal.config.items() if key not in (TIME_LIMIT, GROUPS)}
    return msgspec.json.encode((proposal.family, config, proposal.files), order="deterministic")


def known_in(search: Search) -> set[bytes]:
    """Return the identities of all that was tried, is at work, or was declined."""
    tried = [candidate.proposal for candidate in search.candidates]
    return {identity(proposal) for proposal in (*tried, *search.running, *search.declined)}


def untried(proposals: Iterable[Proposal], search: Search) -> Iterator[Proposal]:
    """Yield those that the search does not know yet."""
    known = known_in(search)
    return (proposal for proposal in proposals if identity(proposal) not in known)
