"""The portfolio proposes a quick baseline first, and only what was asked for."""

from __future__ import annotations

import ast
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from autokaggle.records.candidate import Candidate, Gain, Proposal, Score, Search
from autokaggle.records.data_profile import ColumnProfile, DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import expected_time, feature_gate, portfolio_image, portfolio_timeseries, portfolios
from autokaggle.skills.pipeline.candidate_config import candidate_config
from autokaggle.skills.pipeline.code_checks import check_code
from autokaggle.skills.pipeline.configurations import SPARSE, XGBOOST_FOR_GPU
from autokaggle.skills.pipeline.expected_time import START_SECONDS
from autokaggle.skills.pipeline.pipeline_generator import template_folder, write_candidate
from autokaggle.skills.pipeline.portfolio import (
    BASE_REQUIREMENTS,
    FAMILIES,
    next_proposal,
    propose,
    requirements,
)
from autokaggle.skills.pipeline.portfolio_image import TORCH
from autokaggle.skills.pipeline.proposals import wants_gpu
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE, fits
from autokaggle.skills.pipeline.variations import PATIENCE, SETTINGS, variations
from autokaggle.storage.artifacts import RunFolder
from tests.small_competition import SmallCompetition, mixed_tables, run_all
from tests.template_files import template_file


@pytest.fixture(scope="module")
def competition() -> SmallCompetition:
    train, test, kinds, signal = mixed_tables()
    train["weight"] = np.exp(signal)
    return SmallCompetition(train, test, kinds, ("weight",), "regression", "rmsle", "value")


def with_families(competition: SmallCompetition, *families: str) -> Plan:
    return msgspec.structs.replace(competition.plan(), families=families)


def test_the_quickest_comes_first(competition: SmallCompetition) -> None:
    proposals = list(propose(competition.plan(), competition.profile()))
    first = proposals[0]
    assert first.expected_seconds == min(proposal.expected_seconds or 0 for proposal in proposals)
    assert first.expected_seconds < 4


def test_no_candidate_may_take_the_whole_budget(competition: SmallCompetition) -> None:
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=100.0)
    limits = [proposal.config["most_seconds"] for proposal in propose(plan, competition.profile())]
    assert limits[0] == 20
    assert set(limits[1:]) == {25}


@pytest.mark.parametrize(
    ("rows", "columns", "least", "most"),
    # Seconds of one fit with one thread, as measured: 0.9 to 4.0, 0.5, 1.6, 2.7.
    [(150, 300, 1.0, 4.0), (875, 10, 0.3, 1.0), (1_500, 80, 1.0, 2.5), (10_000, 15, 1.5, 5.5)],
)
def test_a_network_takes_its_time_by_its_weights(
    competition: SmallCompetition, rows: int, columns: int, least: float, most: float
) -> None:
    plan = msgspec.structs.replace(with_families(competition, "mlp"), time_budget_seconds=3600.0)
    numbers = tuple(ColumnProfile(name=f"x{place}", kind="number", type="DOUBLE") for place in range(columns))
    profile = msgspec.structs.replace(competition.profile(), columns=numbers, train_rows=rows)
    (network,) = propose(plan, profile)
    assert network.expected_seconds is not None
    assert least < (network.expected_seconds - START_SECONDS) * FITS_AT_ONCE / fits(plan) < most


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


# Seconds of a fit and its predictions with one thread, as they were measured on tables of these sizes.
@pytest.mark.parametrize(
    ("rows", "predicted", "measured"), [(1_000, 460, 2.5), (3_512, 1_892, 5.8), (12_363, 6_657, 9.4)]
)
def test_a_kernel_takes_its_time_by_its_rows(
    competition: SmallCompetition, rows: int, predicted: int, measured: float
) -> None:
    profile = msgspec.structs.replace(competition.profile(), train_rows=rows, test_rows=predicted)
    plan = msgspec.structs.replace(with_families(competition, "kernel"), time_budget_seconds=3600)
    seconds = [each.expected_seconds for each in propose(plan, profile) if each.config["model"]["parameters"]]
    assert seconds[0]
    assert 0.5 * measured < (seconds[0] - START_SECONDS) * FITS_AT_ONCE / fits(plan) < 2 * measured


def test_a_kernel_is_expected_to_look_at_as_many_rows_as_its_file_does() -> None:
    with template_file("model_kernel") as kernel:
        rows, most = kernel.JUDGED_ROWS, kernel.DEFAULTS["rows"]
        voters, reaches = kernel.kernel_ridge, (len(kernel.REACHES), len(kernel.NEAR))
    assert (rows, most) == (expected_time.JUDGED_ROWS, expected_time.MOST_ROWS)
    assert (expected_time.MOST_VOTERS, expected_time.VOTERS_OF_MANY) == (voters.MOST_VOTERS, voters.VOTERS_OF_MANY)
    assert reaches == (expected_time.FIRST_REACHES, expected_time.LATER_REACHES)


def test_a_network_is_expected_to_take_as_many_steps_as_its_file_does() -> None:
    with template_file("model_mlp") as mlp:
        usual, most_levels = mlp.DEFAULTS, mlp.dense.MOST_LEVELS
        bounds = (mlp.BATCHES, mlp.STEPS_PER_ROUND, mlp.MOST_WATCHED, mlp.MOST_PIECES)
    assert usual["batch_size"] == expected_time.BATCH_ROWS
    assert usual["pieces"] == expected_time.PIECES
    assert usual["rounds"] == expected_time.MOST_ROUNDS
    assert most_levels == expected_time.MOST_LEVELS
    expected = expected_time.MOST_BATCHES, expected_time.STEPS_PER_ROUND, expected_time.MOST_WATCHED
    assert bounds == (*expected, expected_time.MOST_PIECES)


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


def test_features_that_help_beyond_noise_are_used_by_what_follows(competition: SmallCompetition) -> None:
    search = Search(plan=competition.plan(), profile=competition.profile(), seconds_left=60)
    made = []
    while (proposal := next_proposal(search)) is not None:
        made.append(proposal)
        gains: tuple[Gain, ...] = ()
        if proposal.parent:
            errors = 1.5 if proposal.title.endswith("with counts") else 0.5
            gains = (Gain(over=proposal.parent, value=0.01, error=0.1, is_noise=True, loss_errors=errors),)
        done = Candidate(id=f"c{len(made):03d}", proposal=proposal, status="scored", seconds=2.0, gains=gains)
        search = msgspec.structs.replace(search, candidates=(*search.candidates, done))
    trials = [proposal for proposal in made if proposal.operator == "improve"]
    assert {proposal.family for proposal in trials} == {"lightgbm"}
    assert {proposal.parent for proposal in trials} == {"c002"}
    assert len(trials) > 3
    after = made[made.index(trials[-1]) + 1 :]
    assert {tuple(proposal.config["features"]["blocks"]) for proposal in after} == {("counts",)}
    assert {"xgboost", "catboost", "linear", "mlp"} <= {proposal.family for proposal in after}
    assert len({msgspec.json.encode((each.family, each.config)) for each in made}) == len(made)


def test_trials_of_features_take_a_quarter_of_the_budget_at_most(competition: SmallCompetition) -> None:
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=60.0)
    search = Search(plan=plan, profile=competition.profile(), seconds_left=60)
    spent = 0.0
    while (proposal := next_proposal(search)) is not None:
        done = Candidate(id=f"c{len(search.candidates):03d}", proposal=proposal, status="scored", seconds=3.0)
        spent += 3.0 if proposal.operator == "improve" else 0.0
        search = msgspec.structs.replace(search, candidates=(*search.candidates, done))
    assert 0 < spent <= 15


@pytest.mark.parametrize(("ids", "is_tried"), [(("when",), False), (("number",), True)])
def test_the_order_of_dates_is_tried_where_rows_have_a_number_besides(
    competition: SmallCompetition, ids: tuple[str, ...], is_tried: bool
) -> None:
    when = ColumnProfile(name="when", kind="datetime", type="TIMESTAMP", in_train=True, in_test=True)
    profile = msgspec.structs.replace(competition.profile(), columns=(when,), id_columns=ids)
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=600.0)
    base = Candidate(id="c001", proposal=next(propose(plan, profile)), status="scored", seconds=1.0)
    titles = [trial.title for trial in feature_gate.trials(Search(plan=plan, profile=profile, seconds_left=500), base)]
    assert any(title.endswith("with cycles") for title in titles)
    assert any(title.endswith("with order") for title in titles) == is_tried


def test_parts_of_the_target_are_tried_first_and_then_learned_apart_where_that_helps(
    competition: SmallCompetition,
) -> None:
    parts = {competition.targets[0]: ("light", "heavy")}
    plan, profile = competition.plan(), msgspec.structs.replace(competition.profile(), target_parts=parts)
    base = Candidate(id="c001", proposal=next(propose(plan, profile)), status="scored", seconds=1.0)
    search = Search(plan=plan, profile=profile, seconds_left=500, candidates=(base,))
    trial = next(feature_gate.trials(search, base))
    assert (trial.title, trial.config["learn_parts"]) == (f"{base.proposal.title}, with parts", True)
    gain = Gain(over="c001", value=0.01, error=0.01, is_noise=False, loss_errors=2.0)
    done = Candidate(id="c002", proposal=trial, status="scored", seconds=2.0, gains=(gain,))
    search = msgspec.structs.replace(search, candidates=(base, done))
    assert feature_gate.kept(search) == ("parts",)
    assert feature_gate.with_blocks(base.proposal, ("parts",)).config["learn_parts"]
    assert "learn_parts" not in next(feature_gate.trials(search, base)).config
    weighted = msgspec.structs.replace(plan, metric="mape")  # errors count by the sum, which a part does not know
    search = Search(plan=weighted, profile=profile, seconds_left=500, candidates=(base,))
    assert "learn_parts" not in next(feature_gate.trials(search, base)).config
    assert "target_parts" not in candidate_config(base.proposal, weighted, profile)
    assert candidate_config(base.proposal, plan, profile)["target_parts"] == ["light", "heavy"]


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


def test_more_rows_classes_or_folds_are_expected_to_take_longer(competition: SmallCompetition) -> None:
    def slow_seconds(plan: Plan, rows: int) -> float:
        profile = msgspec.structs.replace(competition.profile(), train_rows=rows)
        return next(p.expected_seconds or 0 for p in propose(plan, profile) if p.title == "LightGBM, slow and narrow")

    plan = competition.plan()
    classes = msgspec.structs.replace(
        plan, task_type="multiclass_classification", classes={"weight": ("a", "b", "c", "d", "e")}
    )
    assert slow_seconds(plan, 100_000) > 5 * slow_seconds(plan, 5_000)
    assert slow_seconds(classes, 5_000) > 2 * slow_seconds(plan, 5_000)


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


def large(competition: SmallCompetition) -> Search:
    """A search on five million rows, with one minute."""
    profile = msgspec.structs.replace(competition.profile(), train_rows=5_000_000)
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=60.0)
    return Search(plan=plan, profile=profile, seconds_left=60)


def finish(search: Search, proposal: Proposal, mean: float, seconds: float = 5.0) -> Search:
    name = f"c{len(search.candidates) + 1:03d}"
    metric, greater = search.plan.metric, search.plan.greater_is_better
    score = Score(metric=metric, greater_is_better=greater, mean=mean, std=0.1, folds=(mean,), low=mean, high=mean)
    done = Candidate(id=name, proposal=proposal, status="scored", seconds=seconds, score=score)
    return msgspec.structs.replace(search, candidates=(*search.candidates, done))


def test_of_very_many_rows_the_best_on_a_sample_is_fitted_on_more(competition: SmallCompetition) -> None:
    search, best = large(competition), None
    for number in range(4):
        proposal = next_proposal(search)
        assert proposal is not None
        assert 40_000 <= proposal.config["sample_rows"] < 1_000_000
        mean = -abs(number - 2.0) if search.plan.greater_is_better else abs(number - 2.0)
        best = proposal if number == 2 else best
        search = finish(search, proposal, mean)
    proposal = next_proposal(search)  # a third of the budget went into samples
    assert proposal is not None
    assert best is not None
    assert (proposal.operator, proposal.parent) == ("improve", "c003")
    assert best.title.startswith(proposal.title.removesuffix(", on more rows"))
    times = proposal.config["sample_rows"] / best.config["sample_rows"]
    assert times == pytest.approx(proposal.config["most_seconds"] / best.config["most_seconds"], rel=0.05)
    while proposal is not None and proposal.operator == "improve":
        search = finish(search, proposal, 9.0 if search.plan.greater_is_better else 0.0)
        proposal = next_proposal(search)
    assert sum(each.proposal.parent == "c003" for each in search.candidates) == 1


def test_where_time_is_plenty_the_best_on_a_sample_is_fitted_on_all(competition: SmallCompetition) -> None:
    search = large(competition)
    proposal = next_proposal(search)
    assert proposal is not None
    longer = msgspec.structs.replace(search.plan, time_budget_seconds=10_000.0)
    search = finish(msgspec.structs.replace(search, plan=longer), proposal, 0.5, 4_000.0)
    again = next_proposal(search)
    assert again is not None
    assert again.title.endswith(", on all rows")
    assert "sample_rows" not in again.config


def test_of_few_rows_all_are_used(competition: SmallCompetition) -> None:
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=1.0)
    assert not any("sample_rows" in proposal.config for proposal in propose(plan, competition.profile()))


def spent(competition: SmallCompetition) -> Search:
    """A search whose portfolio is at its end."""
    search = Search(plan=competition.plan(), profile=competition.profile(), seconds_left=60)
    while (proposal := next_proposal(search)) is not None and ", varied" not in proposal.title:
        search = finish(search, proposal, 0.5 + len(search.candidates) / 1000, 1.0)
    return search


def test_what_cannot_start_now_has_no_variations_either(competition: SmallCompetition) -> None:
    plan = msgspec.structs.replace(competition.plan(), gpu=True, families=("xgboost",))
    search = Search(plan=plan, profile=competition.profile(), seconds_left=60)
    while (proposal := next_proposal(search)) is not None and ", varied" not in proposal.title:
        search = finish(search, proposal, 0.5, 1.0)
    assert proposal
    assert next_proposal(msgspec.structs.replace(search, running=(proposal,))) is None
    assert next_proposal(msgspec.structs.replace(search, missing=(XGBOOST_FOR_GPU,))) is None


def gaining(search: Search, proposal: Proposal, gain: float) -> Search:
    search = finish(search, proposal, 0.6, 1.0)
    last = msgspec.structs.replace(search.candidates[-1], ensemble_gain=gain)
    return msgspec.structs.replace(search, candidates=(*search.candidates[:-1], last))


@pytest.mark.parametrize("is_improvement", [False, True])
def test_while_variations_gain_no_run_is_out_of_proposals(competition: SmallCompetition, is_improvement: bool) -> None:
    search = msgspec.structs.replace(spent(competition), is_improvement=is_improvement)
    known = len(search.candidates)
    for number in range(40):
        proposal = next_proposal(search)
        assert proposal is not None
        assert proposal.operator == "improve"
        search = gaining(search, proposal, 0.0 if number % 8 or is_improvement else 0.001)
    made = [candidate.proposal for candidate in search.candidates[known:]]
    assert len({msgspec.json.encode((each.family, each.config)) for each in made}) == len(made)
    assert {each.family for each in made} <= set(SETTINGS)
    assert len({each.family for each in made}) > 2
    drawn = [each.config["model"]["parameters"]["feature_fraction"] for each in made if each.family == "lightgbm"]
    assert len(set(drawn)) > 2
    assert all(0 < share <= 1 for share in drawn)


def test_variations_end_when_the_latest_gained_nothing(competition: SmallCompetition) -> None:
    search = spent(competition)
    for _ in range(PATIENCE):
        proposal = next_proposal(search)
        assert proposal is not None
        search = gaining(search, proposal, 0.00001)
    assert next_proposal(search) is None


def test_variations_end_when_there_is_no_time_for_any(competition: SmallCompetition) -> None:
    search, declined = spent(competition), []
    while (proposal := next_proposal(search)) is not None:
        declined.append(proposal)
        search = msgspec.structs.replace(search, declined=tuple(declined))
    assert 0 < len(declined) <= 4
    assert len({proposal.parent for proposal in declined}) == len(declined)


def test_no_variation_passes_for_the_trial_of_its_parents_features(competition: SmallCompetition) -> None:
    search = spent(competition)
    trials = [one for one in search.candidates if ", with " in one.proposal.title]
    best = msgspec.structs.replace(trials[0], ensemble_gain=0.1, score=search.candidates[-1].score, seconds=1.0)
    alone = msgspec.structs.replace(search, candidates=(best,))
    varied = next(variations(alone))
    assert varied.config["features"] == best.proposal.config["features"]
    gain = Gain(over=best.id, value=1.0, error=0.1, is_noise=False, loss_errors=9.0)
    done = Candidate(id="c999", proposal=varied, status="scored", gains=(gain,))
    assert feature_gate.kept(msgspec.structs.replace(alone, candidates=(best, done))) == ()


def test_variations_start_from_what_the_template_does_by_itself() -> None:
    for family, settings in SETTINGS.items():
        source = (files("autokaggle") / "templates" / "tabular" / f"model_{family}.py").read_text("utf-8")
        tree = ast.parse(source)
        values = [
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and "DEFAULTS" in ast.unparse(node).split("=")[0]
        ]
        assert values[0] is not None
        defaults = ast.literal_eval(values[0])
        assert {name: usual for name, (usual, _) in settings.items()} == {name: defaults[name] for name in settings}


def test_a_forecast_soon_tries_a_plain_table_and_never_spends_half_its_time_on_one_model(
    competition: SmallCompetition,
) -> None:
    plan = competition.plan()
    proposals = list(portfolio_timeseries.propose(plan, competition.profile()))
    told = [(each.family, each.config["features"]["baseline"]) for each in proposals[:3]]
    assert told == [("seasonal", "seasonal"), ("lightgbm", "none"), ("linear", "level")]
    assert all(each.config["most_seconds"] < plan.time_budget_seconds / 4 for each in proposals)


def test_candidates_of_several_classes_take_less_time_each(competition: SmallCompetition) -> None:
    two = msgspec.structs.replace(
        competition.plan(), task_type="multiclass_classification", metric="mlogloss", classes={"weight": ("a", "b")}
    )
    three = msgspec.structs.replace(two, classes={"weight": ("a", "b", "c")})
    many_rows = msgspec.structs.replace(competition.profile(), train_rows=300_000)
    longest = [
        max(each.config["most_seconds"] for each in propose(plan, profile))
        for plan, profile in ((two, competition.profile()), (three, competition.profile()), (three, many_rows))
    ]
    assert longest[1] == longest[0] / 2
    assert longest[2] <= longest[0]
