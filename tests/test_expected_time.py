"""How long candidates of the portfolio are expected to take, and how long they may."""

from __future__ import annotations

import msgspec
import pytest

from autokaggle.records.data_profile import ColumnProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import expected_time
from autokaggle.skills.pipeline.expected_time import SCIKIT_LEARN_SECONDS, START_SECONDS
from autokaggle.skills.pipeline.portfolio import propose
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE, fits
from tests.small_competition import SmallCompetition, regression
from tests.template_files import template_file


@pytest.fixture(scope="module")
def competition() -> SmallCompetition:
    return regression("rmsle")


def test_no_candidate_may_take_the_whole_budget(competition: SmallCompetition) -> None:
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=100.0)
    limits = [proposal.config["most_seconds"] for proposal in propose(plan, competition.profile())]
    assert limits[0] == 20
    assert set(limits[1:]) == {25}


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


@pytest.mark.parametrize(
    ("rows", "columns", "least", "most"),
    # Seconds of one fit with one thread, as measured: 0.9 to 4.0, 0.5, 1.6, 2.7.
    [(150, 300, 1.0, 4.0), (875, 10, 0.3, 1.0), (1_500, 80, 1.0, 2.5), (10_000, 15, 1.5, 5.5)],
)
def test_a_network_takes_its_time_by_its_weights(
    competition: SmallCompetition, rows: int, columns: int, least: float, most: float
) -> None:
    plan = msgspec.structs.replace(competition.plan(), families=("mlp",), time_budget_seconds=3600.0)
    numbers = tuple(ColumnProfile(name=f"x{place}", kind="number", type="DOUBLE") for place in range(columns))
    profile = msgspec.structs.replace(competition.profile(), columns=numbers, train_rows=rows)
    (network,) = propose(plan, profile)
    assert network.expected_seconds is not None
    assert least < (network.expected_seconds - START_SECONDS) * FITS_AT_ONCE / fits(plan) < most


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


# Seconds of a fit and its predictions with one thread, as they were measured on tables of these sizes.
@pytest.mark.parametrize(
    ("rows", "predicted", "measured"), [(1_000, 460, 2.5), (3_512, 1_892, 5.8), (12_363, 6_657, 9.4)]
)
def test_a_kernel_takes_its_time_by_its_rows(
    competition: SmallCompetition, rows: int, predicted: int, measured: float
) -> None:
    profile = msgspec.structs.replace(competition.profile(), train_rows=rows, test_rows=predicted)
    plan = msgspec.structs.replace(competition.plan(), families=("kernel",), time_budget_seconds=3600.0)
    seconds = [each.expected_seconds for each in propose(plan, profile) if each.config["model"]["parameters"]]
    assert seconds[0]
    assert 0.5 * measured < (seconds[0] - START_SECONDS) * FITS_AT_ONCE / fits(plan) < 2 * measured


@pytest.mark.parametrize(("classes", "measured"), [(2, 2.5), (10, 2.8), (30, 3.3)])
def test_a_kernel_takes_longer_for_more_classes(competition: SmallCompetition, classes: int, measured: float) -> None:
    profile = msgspec.structs.replace(competition.profile(), train_rows=1_000, test_rows=800)
    values = msgspec.structs.replace(competition.plan(), families=("kernel",), time_budget_seconds=3600.0)
    labels = tuple(str(label) for label in range(classes))
    several = msgspec.structs.replace(values, task_type="multiclass_classification", classes={"weight": labels})

    def seconds(plan: Plan) -> float:
        found = [each.expected_seconds or 0 for each in propose(plan, profile) if each.config["model"]["parameters"]]
        return found[0] - START_SECONDS - SCIKIT_LEARN_SECONDS

    seconds_for_values = 2.3  # measured, as the others: 15 columns, three machines, one thread
    assert seconds(several) / seconds(values) == pytest.approx(measured / seconds_for_values, rel=0.1)


def test_a_kernel_is_expected_to_look_at_as_many_rows_as_its_file_does() -> None:
    with template_file("model_kernel") as kernel:
        rows, most = kernel.JUDGED_ROWS, kernel.DEFAULTS["rows"]
        voters, reaches = kernel.kernel_ridge, (len(kernel.REACHES), len(kernel.NEAR))
    assert (rows, most) == (expected_time.JUDGED_ROWS, expected_time.MOST_ROWS)
    assert (expected_time.MOST_VOTERS, expected_time.VOTERS_OF_MANY) == (voters.MOST_VOTERS, voters.VOTERS_OF_MANY)
    assert reaches == (expected_time.FIRST_REACHES, expected_time.LATER_REACHES)
