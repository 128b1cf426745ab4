"""The tree of candidates: children below parents, gains by folds, and what is noise."""

from __future__ import annotations

import msgspec

from autokaggle.records.candidate import Candidate, Gain, Proposal, Score
from autokaggle.skills.report.candidate_tree import Branch, candidate_tree, gain_over


def score(*folds: float, greater: bool = True) -> Score:
    mean = sum(folds) / len(folds)
    return Score(metric="m", greater_is_better=greater, mean=mean, std=0.1, folds=folds, low=mean, high=mean)


def candidate(name: str, found: Score | None, parent: str | None = None) -> Candidate:
    proposal = Proposal(title=name, family="linear", parent=parent)
    return Candidate(id=name, proposal=proposal, status="scored" if found else "failed", score=found)


def branches(*candidates: Candidate) -> dict[str, Branch]:
    return {branch.candidate.id: branch for branch in candidate_tree(candidates, None)}


def test_a_child_stands_below_its_parent_and_one_step_in() -> None:
    first, second = candidate("c001", score(0.7, 0.8)), candidate("c002", score(0.6, 0.7))
    child, grandchild = candidate("c003", score(0.8, 0.9), "c001"), candidate("c004", None, "c003")
    tree = candidate_tree([first, second, child, grandchild], None)
    assert [(branch.candidate.id, branch.depth) for branch in tree] == [
        ("c001", 0),
        ("c003", 1),
        ("c004", 2),
        ("c002", 0),
    ]


def test_a_gain_on_which_all_folds_agree_is_no_noise() -> None:
    assert not gain_over(score(0.81, 0.71, 0.9), score(0.80, 0.70, 0.89), "c001").is_noise


def test_a_gain_on_which_folds_do_not_agree_is_noise() -> None:
    gain = gain_over(score(0.9, 0.6, 0.9), score(0.8, 0.7, 0.89), "c001")
    assert gain.value > 0
    assert gain.is_noise


def test_a_lower_error_is_a_gain() -> None:
    assert gain_over(score(1.0, 2.0, greater=False), score(2.0, 3.0, greater=False), "c001").value == 1.0


def test_a_draft_is_compared_with_the_best_before_it_and_a_change_with_its_parent() -> None:
    found = branches(
        candidate("c001", score(0.5, 0.5)), candidate("c002", score(0.9, 0.9)), candidate("c003", score(0.6, 0.6)),
        candidate("c004", score(0.7, 0.7), "c001"),
    )  # fmt: skip
    over = {name: branch.gain.over if branch.gain else None for name, branch in found.items()}
    assert over == {"c001": None, "c002": "c001", "c003": "c002", "c004": "c001"}


def test_a_parent_that_is_not_there_does_not_lose_its_children() -> None:
    assert set(branches(candidate("c002", score(0.5, 0.6), "c001"))) == {"c002"}


def test_candidates_that_name_each_other_as_parents_are_all_there_once() -> None:
    tree = candidate_tree([candidate("c001", None, "c002"), candidate("c002", None, "c001")], None)
    assert sorted(branch.candidate.id for branch in tree) == ["c001", "c002"]


def test_a_gain_that_the_judge_measured_is_shown_as_it_is() -> None:
    measured = Gain(over="c001", value=0.01, error=0.001, is_noise=False)
    judged = msgspec.structs.replace(candidate("c002", score(0.5, 0.4), "c001"), gains=(measured,))
    assert branches(candidate("c001", score(0.9, 0.9)), judged)["c002"].gain == measured
