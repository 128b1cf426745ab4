"""The policy: quickest first, then by what each kind of candidate was worth; the same results, the same choice."""

from __future__ import annotations

from typing import Any

import pytest

from autokaggle.orchestrator.policy import FIRST_GUESS, GIBIBYTE, Policy, candidates_at_once
from autokaggle.records.candidate import Candidate, Proposal


def proposal(
    author: Any = "portfolio", family: str = "lightgbm", seconds: float | None = 10.0, **more: Any
) -> Proposal:
    return Proposal(title="a test", family=family, author=author, expected_seconds=seconds, **more)


def done(tried: Proposal, seconds: float, status: Any = "scored", gain: float = 0.0) -> Candidate:
    return Candidate(id="c001", proposal=tried, status=status, seconds=seconds, ensemble_gain=gain)


@pytest.mark.parametrize(("cores", "gigabytes", "at_once"), [(1, 8, 1), (2, 8, 1), (8, 64, 4), (64, 8, 4), (5, 1, 1)])
def test_each_candidate_gets_two_cores_and_memory(cores: int, gigabytes: int, at_once: int) -> None:
    assert candidates_at_once(cores, gigabytes * GIBIBYTE) == at_once


def test_before_anything_is_known_the_quicker_offer_is_chosen() -> None:
    slow, quick = proposal(seconds=40.0), proposal("model", seconds=5.0)
    assert Policy().choose([slow, quick]) is quick


def test_a_proposer_whose_candidates_gain_is_preferred_and_one_whose_do_not_falls_back() -> None:
    policy = Policy()
    for _ in range(3):
        policy.learn(done(proposal("model"), 10.0, gain=0.05))
        policy.learn(done(proposal("portfolio", "linear"), 10.0))
    offers = [proposal("portfolio", "linear"), proposal("model")]
    assert policy.choose(offers) is offers[1]
    for _ in range(30):
        policy.learn(done(proposal("model"), 10.0, "failed"))
    assert policy.choose(offers) is offers[0]


def test_a_family_that_takes_longer_than_expected_is_expected_to_do_so_again() -> None:
    policy = Policy()
    for _ in range(6):
        policy.learn(done(proposal(family="catboost"), 40.0))
    assert policy.expected_seconds(proposal(family="catboost")) > 35
    assert policy.expected_seconds(proposal("model", "linear")) > 10


def test_what_a_proposer_does_not_say_is_learned_from_its_earlier_candidates() -> None:
    policy = Policy()
    unknown = proposal("plugin", seconds=None)
    assert policy.expected_seconds(unknown) < 10
    policy.learn(done(unknown, 90.0))
    assert policy.expected_seconds(unknown) == 90


def test_a_repeatable_search_does_not_look_at_measured_time() -> None:
    fast, slow = Policy(is_repeatable=True), Policy(is_repeatable=True)
    for seconds, policy in ((1.0, fast), (500.0, slow)):
        policy.learn(done(proposal(), seconds))
        policy.learn(done(proposal("plugin", seconds=None), seconds))
    for each in (proposal(), proposal("model", "linear"), proposal("plugin", seconds=None)):
        assert fast.worth(each) == slow.worth(each)


def test_code_of_others_may_not_take_the_whole_budget() -> None:
    policy = Policy()
    assert policy.most_seconds(proposal(), left=90, total=100) == 90
    assert policy.most_seconds(proposal("model", seconds=5.0), left=90, total=100) == 25
    assert policy.most_seconds(proposal("model", seconds=20.0), left=90, total=100) == 60
    assert policy.most_seconds(proposal("plugin", seconds=5.0), left=8, total=100) == 8
    on_gpu = proposal(config={"model": {"gpu": True}, "most_seconds": 15.0})
    assert policy.most_seconds(on_gpu, left=90, total=100) == 50  # a driver may hang
    assert policy.most_seconds(proposal(config={"model": {"gpu": True}}), left=90, total=100) == 90
    assert policy.most_seconds(proposal(config={"model": "any"}), left=90, total=100) == 90


def test_gains_raise_what_is_expected_of_a_kind_and_failures_lower_it() -> None:
    policy = Policy()
    policy.learn(done(proposal("model"), 12.0, gain=0.05))
    assert policy.kinds["model", "draft"].expected_gain > FIRST_GUESS
    policy.learn(done(proposal("plugin"), 1.0, "failed"))
    assert policy.kinds["plugin", "draft"].expected_gain < FIRST_GUESS
