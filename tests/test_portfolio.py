"""The portfolio proposes a quick baseline first, and only what was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from autokaggle.records.candidate import Candidate, Search
from autokaggle.records.data_profile import ColumnProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import portfolio_timeseries
from autokaggle.skills.pipeline.code_checks import check_code
from autokaggle.skills.pipeline.configurations import FAMILIES, SPARSE
from autokaggle.skills.pipeline.pipeline_generator import template_folder, write_candidate
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS, next_proposal, propose, requirements
from autokaggle.storage.artifacts import RunFolder
from tests.small_competition import SmallCompetition, regression, run_all


@pytest.fixture(scope="module")
def competition() -> SmallCompetition:
    return regression("rmsle")


def with_families(competition: SmallCompetition, *families: str) -> Plan:
    return msgspec.structs.replace(competition.plan(), families=families)


def test_the_quickest_comes_first(competition: SmallCompetition) -> None:
    proposals = list(propose(competition.plan(), competition.profile()))
    first = proposals[0]
    assert first.expected_seconds == min(proposal.expected_seconds or 0 for proposal in proposals)
    assert first.expected_seconds < 4


def test_what_needs_a_package_that_is_not_there_yet_waits_for_it(competition: SmallCompetition) -> None:
    plan, profile = competition.plan(), competition.profile()
    heavy = tuple(line for line in requirements(plan, profile) if line not in BASE_REQUIREMENTS)
    assert {line.split(">")[0] for line in heavy} == {"catboost", "xgboost-cpu"}
    search = Search(plan=plan, profile=profile, seconds_left=60, missing=heavy)
    without = []
    while (proposal := next_proposal(search)) is not None:
        without.append(proposal)
        done = Candidate(id=f"c{len(without):03d}", proposal=proposal, status="scored")
        search = msgspec.structs.replace(search, candidates=(*search.candidates, done))
    assert {proposal.requirements for proposal in without} == {BASE_REQUIREMENTS}
    late = next_proposal(msgspec.structs.replace(search, missing=()))
    assert late
    assert late.family in ("catboost", "xgboost")


NUMBERED = ColumnProfile(name="id", kind="id", type="BIGINT")
ALWAYS = ColumnProfile(name="always", kind="constant", type="BIGINT", distinct=1)
SIZE = ColumnProfile(name="size", kind="number", type="DOUBLE", distinct=40)
WEIGHT = ColumnProfile(name="weight", kind="number", type="DOUBLE", distinct=40, in_test=False)


@pytest.mark.parametrize(
    ("columns", "is_enough"),
    [
        ((NUMBERED, ALWAYS, WEIGHT), True),
        ((SIZE, msgspec.structs.replace(WEIGHT, distinct=1)), True),
        ((NUMBERED, ALWAYS, SIZE, WEIGHT), False),
        ((msgspec.structs.replace(NUMBERED, type="VARCHAR"), WEIGHT), False),
    ],
    ids=["no column varies", "the target does not vary", "a column varies", "ids of text"],
)
def test_where_nothing_is_to_be_learned_one_proposal_is_enough(
    competition: SmallCompetition, columns: tuple[ColumnProfile, ...], is_enough: bool
) -> None:
    plan = msgspec.structs.replace(competition.plan(), drop_columns=("always",))
    profile = msgspec.structs.replace(competition.profile(), columns=columns)
    search = Search(plan=plan, profile=profile, seconds_left=60)
    first = next_proposal(search)
    assert first
    tried = Candidate(id="c001", proposal=first, status="failed", seconds=1.0)
    assert (next_proposal(msgspec.structs.replace(search, candidates=(tried,))) is None) == is_enough


def test_the_template_of_a_plugin_may_learn_where_no_column_varies(competition: SmallCompetition) -> None:
    plan = msgspec.structs.replace(competition.plan(), template="sounds")
    profile = msgspec.structs.replace(competition.profile(), columns=(NUMBERED, WEIGHT))
    search = Search(plan=plan, profile=profile, seconds_left=60)
    first = next_proposal(search)
    assert first
    tried = Candidate(id="c001", proposal=first, status="scored", seconds=1.0)
    assert next_proposal(msgspec.structs.replace(search, candidates=(tried,)))


@pytest.mark.parametrize(("rows", "is_first"), [(500, True), (15_000, False)])
def test_a_kernel_comes_before_further_features_only_where_it_takes_little_of_the_budget(
    competition: SmallCompetition, rows: int, is_first: bool
) -> None:
    profile = msgspec.structs.replace(competition.profile(), train_rows=rows)
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=60.0)
    families = []
    search = Search(plan=plan, profile=profile, seconds_left=60)
    while (proposal := next_proposal(search)) is not None and ", with " not in proposal.title:
        families.append(proposal.family)
        tried = Candidate(id=f"c{len(families):03d}", proposal=proposal, status="scored", seconds=1.0)
        search = msgspec.structs.replace(search, candidates=(*search.candidates, tried))
    assert {"lightgbm", "linear", "xgboost", "catboost"} <= {*families}
    assert ("kernel" in families) == is_first


@pytest.mark.parametrize(("columns", "is_early"), [(300, True), (100, False)])
def test_where_columns_outnumber_rows_a_line_through_few_of_them_comes_early(
    competition: SmallCompetition, columns: int, is_early: bool
) -> None:
    numbers = tuple(ColumnProfile(name=f"x{place}", kind="number", type="DOUBLE") for place in range(columns))
    profile = msgspec.structs.replace(competition.profile(), columns=numbers, train_rows=150)
    titles = [proposal.title for proposal in propose(competition.plan(), profile)]
    assert titles.count(SPARSE) == 1
    assert (titles.index(SPARSE) < titles.index("XGBoost, slow")) == is_early


def test_what_suits_many_rows_or_values_alone_is_proposed_for_them_alone(competition: SmallCompetition) -> None:
    def families(rows: int) -> set[str]:
        profile = msgspec.structs.replace(competition.profile(), train_rows=rows)
        return {proposal.family for proposal in propose(competition.plan(), profile)}

    assert {"kernel", "nearest", "mlp"} <= families(900)
    assert not {"kernel", "nearest", "mlp"} & families(1_000_000)


def test_only_families_that_were_asked_for_are_proposed(competition: SmallCompetition) -> None:
    asked = list(propose(with_families(competition, "catboost", "linear"), competition.profile()))
    assert {proposal.family for proposal in asked} == {"catboost", "linear"}


def test_the_same_plan_gives_the_same_proposals_and_no_two_are_alike(competition: SmallCompetition) -> None:
    plan = with_families(competition, *FAMILIES)
    proposals = list(propose(plan, competition.profile()))
    assert proposals == list(propose(plan, competition.profile()))
    assert len({msgspec.json.encode((each.family, each.config)) for each in proposals}) == len(proposals)


def test_each_proposal_is_made_once_also_after_a_resume_with_another_budget(competition: SmallCompetition) -> None:
    profile, plan = competition.profile(), competition.plan()
    search = Search(plan=plan, profile=profile, seconds_left=60)
    made = []
    while (proposal := next_proposal(search)) is not None:
        made.append(proposal)
        on_disk = msgspec.json.decode(msgspec.json.encode(proposal), type=type(proposal))
        tried = Candidate(id=f"c{len(made):03d}", proposal=on_disk, status="scored", seconds=1000)
        search = msgspec.structs.replace(search, candidates=(*search.candidates, tried))
    assert made == list(propose(plan, profile))
    longer = msgspec.structs.replace(plan, time_budget_seconds=7 * plan.time_budget_seconds)
    assert next_proposal(msgspec.structs.replace(search, plan=longer)) is None
    left = msgspec.structs.replace(search, candidates=(), running=tuple(made[:1]), declined=tuple(made[1:3]))
    assert next_proposal(left) == made[3]


def test_without_categories_nothing_is_tried_twice(competition: SmallCompetition) -> None:
    columns = [msgspec.structs.replace(column, type="DOUBLE") for column in competition.profile().columns]
    profile = msgspec.structs.replace(competition.profile(), columns=tuple(columns))
    proposals = list(propose(competition.plan(), profile))
    assert len({msgspec.json.encode((each.family, each.config)) for each in proposals}) == len(proposals)
    assert len(proposals) < len(list(propose(competition.plan(), competition.profile())))
    assert not any("features" in proposal.config for proposal in proposals)


def test_the_plans_seed_reaches_every_proposal(competition: SmallCompetition) -> None:
    plan = competition.plan()
    other = msgspec.structs.replace(plan, seed=100)
    seeds = [proposal.config["seed"] for proposal in propose(plan, competition.profile())]
    assert [seed + 100 for seed in seeds] == [each.config["seed"] for each in propose(other, competition.profile())]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_its_file_in_the_template(family: str) -> None:
    assert (template_folder("tabular") / f"model_{family}.py").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1, 2, 4, 8])
def test_proposals_run(competition: SmallCompetition, tmp_path: Path, place: int) -> None:
    small = replace(competition, folds=2)
    light = [each for each in propose(small.plan(), small.profile()) if each.requirements == BASE_REQUIREMENTS]
    proposal = light[place]
    run = RunFolder.create(tmp_path, "orchard-20260801-101500-3f2a")
    candidate = run.candidate("c001")
    small.write_input(run)
    write_candidate(proposal, small.plan(), small.profile(), candidate)
    assert check_code(candidate.code) == ()
    assert "fold 1" in run_all(candidate)


def test_of_few_rows_all_are_used(competition: SmallCompetition) -> None:
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=1.0)
    assert not any("sample_rows" in proposal.config for proposal in propose(plan, competition.profile()))


def test_a_forecast_soon_tries_a_plain_table_and_never_spends_half_its_time_on_one_model(
    competition: SmallCompetition,
) -> None:
    plan = competition.plan()
    proposals = list(portfolio_timeseries.propose(plan, competition.profile()))
    told = [(each.family, each.config["features"]["baseline"]) for each in proposals[:3]]
    assert told == [("seasonal", "seasonal"), ("lightgbm", "none"), ("linear", "level")]
    assert all(each.config["most_seconds"] < plan.time_budget_seconds / 4 for each in proposals)
