"""What the portfolio proposes for a GPU, and what it proposes while there is none to be used."""

from __future__ import annotations

import msgspec
import pandas as pd
import pytest

from autokaggle.records.candidate import Candidate, Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import portfolio_image, portfolios
from autokaggle.skills.pipeline.configurations import XGBOOST_FOR_GPU
from autokaggle.skills.pipeline.portfolio import next_proposal, propose
from autokaggle.skills.pipeline.portfolio_image import TORCH
from autokaggle.skills.pipeline.proposals import wants_gpu
from tests.small_competition import SmallCompetition, regression


@pytest.fixture(scope="module")
def competition() -> SmallCompetition:
    return regression("rmsle")


def test_xgboost_alone_is_set_to_a_gpu_in_a_build_of_its_own_and_one_at_a_time(competition: SmallCompetition) -> None:
    plan, profile = msgspec.structs.replace(competition.plan(), gpu=True), competition.profile()
    proposals = list(propose(plan, profile))
    on_gpu = [each for each in proposals if wants_gpu(each)]
    assert {each.family for each in on_gpu} == {"xgboost"}
    packages = {line.split(">")[0] for each in proposals for line in each.requirements}
    assert "xgboost" in packages
    assert "xgboost-cpu" not in packages
    assert not any(map(wants_gpu, propose(competition.plan(), profile)))
    assert not wants_gpu(msgspec.structs.replace(on_gpu[0], author="model"))
    # Two of them would share the card's memory: while one is at work, something else comes next.
    before = proposals[: proposals.index(on_gpu[0])]
    tried = tuple(Candidate(id=f"c{n:03d}", proposal=each, status="failed") for n, each in enumerate(before, start=1))
    search = Search(plan=plan, profile=profile, seconds_left=60, candidates=tried)
    assert next_proposal(search) == on_gpu[0]
    beside = next_proposal(msgspec.structs.replace(search, running=(on_gpu[0],)))
    assert beside
    assert not wants_gpu(beside)


@pytest.fixture
def pictures() -> Search:
    """A search among images whose plan has a GPU."""
    train = pd.DataFrame({"id": [str(row) for row in range(40)], "way": ["up", "down"] * 20})
    classes = {"way": ("down", "up")}
    competition = SmallCompetition(
        train, train[["id"]], {"id": "id"}, ("way",), "binary_classification", "accuracy", "label", classes
    )
    plan = msgspec.structs.replace(competition.plan(), template="image", gpu=True)
    return Search(plan=plan, profile=competition.profile(), seconds_left=60)


def proposed_in_turn(search: Search) -> list[Proposal]:
    """What is proposed when one candidate after the other fails."""
    found: list[Proposal] = []
    while (proposal := portfolios.next_proposal(search)) is not None:
        found.append(proposal)
        failed = Candidate(id=f"c{len(found):03d}", proposal=proposal, status="failed")
        search = msgspec.structs.replace(search, candidates=(*search.candidates, failed))
    return found


def test_images_are_seen_on_the_gpu_of_the_plan(pictures: Search) -> None:
    plan, profile = pictures.plan, pictures.profile
    through_network = [each for each in proposed_in_turn(pictures) if each.config["features"]["pictures"] == "network"]
    assert [each.family for each in through_network] == ["linear", "lightgbm", "xgboost"]
    assert all(wants_gpu(each) and TORCH in each.requirements for each in through_network)
    # A mirror image hides what is left and right: not all do without knowing it.
    assert {bool(each.config["features"].get("mirrored")) for each in through_network} == {True, False}
    assert {TORCH, XGBOOST_FOR_GPU} <= {*portfolios.requirements(plan, profile)}
    assert not wants_gpu(msgspec.structs.replace(through_network[0], author="model"))
    beside = portfolios.next_proposal(msgspec.structs.replace(pictures, running=(through_network[0],)))
    assert beside
    assert not wants_gpu(beside)


def test_without_a_gpu_nothing_is_asked_for_it(pictures: Search) -> None:
    plan = msgspec.structs.replace(pictures.plan, gpu=False)
    found = proposed_in_turn(msgspec.structs.replace(pictures, plan=plan))
    assert {each.requirements for each in found} == {portfolio_image.REQUIREMENTS}
    assert not any(map(wants_gpu, found))
    assert {"looks", "network"} == {each.config["features"]["pictures"] for each in found}


def test_while_what_the_gpu_needs_is_not_there_images_are_seen_on_the_processor(pictures: Search) -> None:
    missing = (TORCH, XGBOOST_FOR_GPU)
    early = proposed_in_turn(msgspec.structs.replace(pictures, missing=missing))
    assert not any(map(wants_gpu, early))
    assert "network" in {each.config["features"]["pictures"] for each in early}
    tried = tuple(Candidate(id=f"c{n:03d}", proposal=each, status="failed") for n, each in enumerate(early, start=1))
    late = proposed_in_turn(msgspec.structs.replace(pictures, candidates=tried))
    assert len(late) == 3
    assert all(map(wants_gpu, late))


def test_whether_anything_can_use_a_gpu_is_read_from_the_proposals(
    competition: SmallCompetition, pictures: Search
) -> None:
    def can(plan: Plan, profile: DataProfile, *families: str, template: str = "") -> bool:
        plan = msgspec.structs.replace(plan, gpu=True, families=families, template=template or plan.template)
        return portfolios.can_use_gpu(plan, profile)

    assert can(competition.plan(), competition.profile())
    assert not can(competition.plan(), competition.profile(), "lightgbm", "linear")
    assert not can(competition.plan(), competition.profile(), template="text")
    assert can(pictures.plan, pictures.profile, "linear")
    assert not can(pictures.plan, pictures.profile, "extra_trees")
