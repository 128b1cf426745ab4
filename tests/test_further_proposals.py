"""What the portfolio makes of scores: features that helped, more rows for the best, variations while they gain."""

from __future__ import annotations

import ast
from importlib.resources import files

import msgspec
import pytest

from autokaggle.records.candidate import Candidate, Gain, Proposal, Score, Search
from autokaggle.records.data_profile import ColumnProfile
from autokaggle.skills.pipeline import feature_gate
from autokaggle.skills.pipeline.candidate_config import candidate_config
from autokaggle.skills.pipeline.configurations import XGBOOST_FOR_GPU
from autokaggle.skills.pipeline.portfolio import next_proposal, propose
from autokaggle.skills.pipeline.variations import PATIENCE, SETTINGS, variations
from tests.small_competition import SmallCompetition, regression


@pytest.fixture(scope="module")
def competition() -> SmallCompetition:
    return regression("rmsle")


def finish(search: Search, proposal: Proposal, mean: float, seconds: float = 5.0) -> Search:
    name = f"c{len(search.candidates) + 1:03d}"
    metric, greater = search.plan.metric, search.plan.greater_is_better
    score = Score(metric=metric, greater_is_better=greater, mean=mean, std=0.1, folds=(mean,), low=mean, high=mean)
    done = Candidate(id=name, proposal=proposal, status="scored", seconds=seconds, score=score)
    return msgspec.structs.replace(search, candidates=(*search.candidates, done))


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


def large(competition: SmallCompetition) -> Search:
    """A search on five million rows, with one minute."""
    profile = msgspec.structs.replace(competition.profile(), train_rows=5_000_000)
    plan = msgspec.structs.replace(competition.plan(), time_budget_seconds=60.0)
    return Search(plan=plan, profile=profile, seconds_left=60)


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
