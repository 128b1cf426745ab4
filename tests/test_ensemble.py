"""The ensemble is the combination that does best on rows that it was not fitted on, and says so honestly."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from autokaggle.records.outcome import Ensemble
from autokaggle.skills.scoring.ensemble import build_ensemble
from autokaggle.skills.scoring.evaluator import Evaluation, judge, read_truth
from autokaggle.skills.scoring.folds import Folds, make_folds
from autokaggle.skills.scoring.model_weights import mean_of_families
from autokaggle.skills.scoring.surrogate import make_surrogate
from autokaggle.skills.scoring.truth import Truth
from autokaggle.templates.ensemble.blend import blend
from tests.small_plans import Floats, SmallPlan, ids, make_plan, text_column, write_tables

TEST_ROWS = 50
RANDOM = np.random.default_rng(9)


@pytest.fixture(autouse=True)
def same_numbers_in_any_order() -> None:
    """Draw the same numbers whichever tests ran before."""
    RANDOM.bit_generator.state = np.random.default_rng(9).bit_generator.state


class Library:
    """A plan with its truth, and a way to add models that are so far off."""

    def __init__(self, small: SmallPlan, latent: Floats) -> None:
        self.small, self.latent = small, latent
        self.truth: Truth = read_truth(small.plan, small.tables)
        self.folds: Folds = make_folds(small.plan, small.tables, small.tables / "folds.parquet")
        self.evaluations: dict[str, Evaluation] = {}

    def add(self, predictions: Floats) -> None:
        rows = np.arange(len(predictions))
        test = predictions[:TEST_ROWS] + 0.0
        name = f"c{len(self.evaluations) + 1:03d}"
        self.evaluations[name] = judge(self.small.plan, self.truth, self.folds, rows, predictions, test)

    def combine(self) -> Ensemble:
        return build_ensemble(self.small.plan, self.truth, self.folds, self.evaluations).ensemble


def numbers(folder: Path, metric: str = "rmse", rows: int = 1500) -> Library:
    latent = RANDOM.normal(size=(rows, 1))
    truth = np.exp(latent[:, 0]) if metric == "rmsle" else latent[:, 0] + 0.5 * RANDOM.normal(size=rows)
    small = write_tables(make_plan(metric), folder, {"id": ids("a", rows), "y": truth}, {"id": ids("t", TEST_ROWS)})
    return Library(small, latent)


def test_a_target_far_from_zero_is_combined_like_one_near_it(tmp_path: Path) -> None:
    combined = []
    for far in (0.0, 1.6e12):
        truth = np.random.default_rng(1).normal(size=(300, 1))
        small = write_tables(
            make_plan("rmse"),
            tmp_path / str(far),
            {"id": ids("a", 300), "y": far + truth[:, 0]},
            {"id": ids("t", TEST_ROWS)},
        )
        library, random = Library(small, truth), np.random.default_rng(2)
        for error in (0.3, 0.4, 0.5):
            library.add(far + truth + error * random.normal(size=truth.shape))
        combined.append(library.combine())
    near, distant = combined
    assert distant.method == near.method
    np.testing.assert_allclose([m.weight for m in distant.members], [m.weight for m in near.members], atol=0.01)


def labels(folder: Path, metric: str = "accuracy", rows: int = 3000, classes: int = 3) -> Library:
    latent = RANDOM.normal(size=(rows, classes))
    truth = np.argmax(latent + RANDOM.gumbel(size=latent.shape), axis=1)
    names = [f"k{number}" for number in range(classes)]
    plan = make_plan(metric, task="multiclass_classification", kind="label", classes={"y": names})
    small = write_tables(
        plan, folder, {"id": ids("a", rows), "y": text_column([names[k] for k in truth])}, {"id": ids("t", TEST_ROWS)}
    )
    return Library(small, latent)


def shares(latent: Floats, noise: float) -> Floats:
    raised = np.exp(latent + noise * RANDOM.normal(size=latent.shape))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def test_one_candidate_is_published_as_it_is(tmp_path: Path) -> None:
    library = numbers(tmp_path)
    library.add(library.latent)
    found = library.combine()
    only = library.evaluations["c001"]
    assert (found.method, found.members[0].weight) == ("single", 1.0)
    assert found.score == only.score
    assert found.rule == only.rule


def test_independent_models_together_beat_the_best_alone(tmp_path: Path) -> None:
    library = numbers(tmp_path)
    for _ in range(6):
        library.add(library.latent + 0.6 * RANDOM.normal(size=library.latent.shape))
    found = library.combine()
    assert found.method != "single"
    assert found.score.mean < min(each.score.mean for each in library.evaluations.values()) - 0.05
    assert sum(member.weight for member in found.members) == pytest.approx(1)


def test_a_bad_model_gets_no_weight(tmp_path: Path) -> None:
    library = numbers(tmp_path)
    for noise in (0.3, 0.3, 5.0):
        library.add(library.latent + noise * RANDOM.normal(size=library.latent.shape))
    assert "c003" not in {member.candidate for member in library.combine().members}


def test_the_best_alone_wins_when_the_others_only_add_noise(tmp_path: Path) -> None:
    library = numbers(tmp_path)
    library.add(library.latent)
    for _ in range(5):
        library.add(library.latent + 2.0 * RANDOM.normal(size=library.latent.shape))
    found = library.combine()
    assert found.method == "single"
    assert [member.candidate for member in found.members] == ["c001"]


def test_a_choice_among_useless_models_is_not_scored_on_the_rows_that_it_was_made_on(tmp_path: Path) -> None:
    library = numbers(tmp_path, rows=300)
    for _ in range(30):
        library.add(0.3 * RANDOM.normal(size=library.latent.shape))
    found = build_ensemble(library.small.plan, library.truth, library.folds, library.evaluations)
    truth = library.truth.values
    on_its_own_rows = float(np.sqrt(np.mean((found.evaluation.oof - truth) ** 2)))
    assert found.ensemble.score.mean > on_its_own_rows
    assert found.ensemble.score.mean >= 0.99 * float(np.std(truth))


def test_of_few_rows_a_mean_is_taken_unless_something_else_is_better_beyond_noise(tmp_path: Path) -> None:
    library = numbers(tmp_path, rows=200)
    for _ in range(8):
        library.add(library.latent + 0.6 * RANDOM.normal(size=library.latent.shape))
    found = build_ensemble(library.small.plan, library.truth, library.folds, library.evaluations)
    assert found.ensemble.method == "mean"
    assert all(member.weight > 0 for member in found.ensemble.members)
    assert found.loss == min(found.losses.values())


def test_each_kind_of_model_gets_the_same_weight_unless_it_is_worse_beyond_noise(tmp_path: Path) -> None:
    library = numbers(tmp_path, rows=300)
    surrogate = make_surrogate(library.small.plan, library.truth.values)
    noises = (0.31, 0.30, 0.30, 3.0)
    evidence = np.stack([library.latent + noise * RANDOM.normal(size=library.latent.shape) for noise in noises])
    weights = mean_of_families(surrogate, evidence, ["lightgbm", "lightgbm", "linear", "nearest"])
    assert sorted(weights[:2]) == [0, 0.5]
    assert weights[2:].tolist() == [0.5, 0]


def test_errors_of_logarithms_are_blended_as_logarithms(tmp_path: Path) -> None:
    library = numbers(tmp_path, "rmsle")
    for _ in range(4):
        library.add(np.exp(library.latent + 0.5 * RANDOM.normal(size=library.latent.shape)))
    found = build_ensemble(library.small.plan, library.truth, library.folds, library.evaluations)
    assert found.ensemble.blend == "log1p"
    used = [library.evaluations[member.candidate].oof for member in found.ensemble.members]
    expected = blend(used, [member.weight for member in found.ensemble.members], "log1p")
    assert np.array_equal(found.evaluation.oof, expected)


def test_a_stack_may_subtract_what_models_have_in_common(tmp_path: Path) -> None:
    library = numbers(tmp_path, rows=3000)
    shared = RANDOM.normal(size=library.latent.shape)
    library.add(library.latent + shared)
    library.add(library.latent + 2 * shared)
    found = library.combine()
    weights = {member.candidate: member.weight for member in found.members}
    assert found.method == "stacker"
    assert weights == pytest.approx({"c001": 2.0, "c002": -1.0}, abs=0.05)
    assert found.score.mean < library.evaluations["c001"].score.mean - 0.1


def test_few_rows_are_not_stacked(tmp_path: Path) -> None:
    library = numbers(tmp_path, rows=600)
    shared = RANDOM.normal(size=library.latent.shape)
    library.add(library.latent + shared)
    library.add(library.latent + 2 * shared)
    assert all(member.weight > 0 for member in library.combine().members)


def test_a_stack_of_probabilities_is_a_logistic_regression_on_logits(tmp_path: Path) -> None:
    rows = 3000
    latent, shared = RANDOM.normal(size=(rows, 1)), RANDOM.normal(size=(rows, 1))
    truth = RANDOM.random(rows) < 1 / (1 + np.exp(-2 * latent[:, 0]))
    plan = make_plan("log_loss", task="binary_classification", kind="probability", classes={"y": ("False", "True")})
    train = {"id": ids("a", rows), "y": text_column(truth)}
    library = Library(write_tables(plan, tmp_path, train, {"id": ids("t", TEST_ROWS)}), latent)
    library.add(1 / (1 + np.exp(-3 * latent - 2 * shared)))
    library.add(1 / (1 + np.exp(-latent + 2 * shared)))
    found = build_ensemble(plan, library.truth, library.folds, library.evaluations)
    assert (found.ensemble.method, found.ensemble.blend) == ("stacker", "logits")
    assert [member.weight for member in found.ensemble.members] == pytest.approx([0.5, 0.5], abs=0.05)
    assert found.loss == min(found.losses.values())


def test_accuracy_is_served_by_weights_chosen_for_the_log_loss(tmp_path: Path) -> None:
    library = labels(tmp_path)
    for _ in range(6):
        library.add(shares(library.latent, 0.8))
    found = library.combine()
    assert len(found.members) > 1
    assert found.score.mean > max(each.score.mean for each in library.evaluations.values())
    assert found.rule["parts"][0]["method"] == "argmax"


def test_several_targets_on_different_scales_count_alike(tmp_path: Path) -> None:
    rows = 1000
    latent = RANDOM.normal(size=(rows, 2))
    plan = make_plan("mcrmse", targets=("u", "v"))
    train = {"id": ids("a", rows), "u": latent[:, 0], "v": 1000 * latent[:, 1]}
    library = Library(write_tables(plan, tmp_path, train, {"id": ids("t", TEST_ROWS)}), latent)
    scale = np.array([1.0, 1000.0])
    noise = RANDOM.normal(size=(2, rows, 2))
    library.add((latent + noise[0] * [0.1, 1.0]) * scale)
    library.add((latent + noise[1] * [1.0, 0.1]) * scale)
    weights = {member.candidate: member.weight for member in library.combine().members}
    assert weights["c001"] == pytest.approx(0.5, abs=0.15)


def test_the_same_candidates_give_the_same_ensemble_in_any_order(tmp_path: Path) -> None:
    library = labels(tmp_path, rows=600)
    for _ in range(5):
        library.add(shares(library.latent, 0.8))
    first = library.combine()
    library.evaluations = dict(reversed(library.evaluations.items()))
    assert library.combine() == first


def test_correlation_of_the_members_is_recorded(tmp_path: Path) -> None:
    library = numbers(tmp_path)
    for _ in range(3):
        library.add(library.latent + 0.6 * RANDOM.normal(size=library.latent.shape))
    found = library.combine()
    names = [member.candidate for member in found.members]
    columns = [library.evaluations[name].oof[:, 0] for name in names]
    assert np.array(found.correlation) == pytest.approx(np.corrcoef(columns), abs=1e-3)


def test_the_record_survives_json(tmp_path: Path) -> None:
    library = numbers(tmp_path)
    for _ in range(3):
        library.add(library.latent + 0.6 * RANDOM.normal(size=library.latent.shape))
    found = library.combine()
    assert msgspec.json.decode(msgspec.json.encode(found), type=Ensemble) == found


def test_forward_folds_combine_what_was_validated(tmp_path: Path) -> None:
    rows = 400
    latent = RANDOM.normal(size=(rows, 1))
    plan = make_plan("mae", scheme="time", column="t")
    train = {"id": ids("a", rows), "y": latent[:, 0], "t": np.arange(rows)}
    small = write_tables(plan, tmp_path, train, {"id": ids("t", TEST_ROWS), "t": rows + np.arange(TEST_ROWS)})
    library = Library(small, latent)
    validated = library.folds.validated_rows
    for name in ("c001", "c002", "c003"):
        oof = (latent + 0.5 * RANDOM.normal(size=latent.shape))[validated]
        library.evaluations[name] = judge(plan, library.truth, library.folds, validated, oof, oof[:TEST_ROWS])
    found = library.combine()
    assert len(found.score.folds) == len(library.folds.validated)


def test_twenty_models_of_seven_classes_are_combined_within_seconds(tmp_path: Path) -> None:
    library = labels(tmp_path, "mlogloss", rows=15_000, classes=7)
    small = library.small
    plan = msgspec.structs.replace(
        small.plan,
        submission=msgspec.structs.replace(
            small.plan.submission, kind="class_probability", columns=("id", *small.plan.classes["y"])
        ),
    )
    library.small = SmallPlan(plan, small.tables)
    for _ in range(20):
        library.add(shares(library.latent, 0.8))
    started = time.process_time()
    library.combine()
    assert time.process_time() - started < 10
