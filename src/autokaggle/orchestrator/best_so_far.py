"""The best so far; this file keeps every candidate's evaluation, the ensemble of them, and the submission on disk.

``output/submission.csv`` always holds the best that is known, replaced atomically: whenever a run ends, there is
something to hand in. Candidates may run in several threads: what is kept here changes under one lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from autokaggle.orchestrator.context import RunContext
from autokaggle.records.candidate import Candidate, Gain, Score
from autokaggle.records.outcome import Ensemble, SubmissionFacts
from autokaggle.skills.scoring import evaluator, folds
from autokaggle.skills.scoring.comparison import compare, loss_errors
from autokaggle.skills.scoring.ensemble import Blend, build_ensemble
from autokaggle.skills.scoring.evaluator import Evaluation, InvalidPredictions
from autokaggle.skills.scoring.metrics import find_metric
from autokaggle.skills.scoring.model_weights import is_as_good
from autokaggle.skills.scoring.surrogate import Surrogate, make_surrogate
from autokaggle.skills.submission.writer import write_submission
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.templates.tabular.decision import decide


class BestSoFar:
    """The judge's view of a search: what was scored, and what would be handed in now."""

    def __init__(self, context: RunContext) -> None:
        """Read truth and folds, and take the candidates that earlier processes of the run had scored and weighed."""
        self.context = context
        self.plan = context.plan
        self.test_rows = context.profile.test_rows
        self.truth = evaluator.read_truth(self.plan, context.folder.tables)
        self.folds = folds.read_folds(context.folder.folds)
        self.constant = evaluator.constant_evaluation(self.plan, self.truth, self.folds, self.test_rows)
        self.evaluations: dict[str, Evaluation] = {}
        self._families: dict[str, str] = {}
        self.blend: Blend | None = None
        self._whole: Blend | None = None
        self.floor = context.run.earlier[-1].score if context.run.earlier else None
        self._changing = threading.RLock()
        for candidate in context.candidates():
            if candidate.status == "scored" and candidate.ensemble_gain is not None:
                evaluation = self.evaluate_again(candidate)
                if evaluation is not None:
                    self._keep(candidate, evaluation)
        self._combine_again()

    @property
    def score(self) -> Score:
        """The honest score of what would be handed in now."""
        return self.blend.ensemble.score if self.blend else self.constant.score

    @property
    def ensemble(self) -> Ensemble | None:
        return self.blend.ensemble if self.blend else None

    @property
    def loss(self) -> float | None:
        """The honest loss of what would be handed in now; None before any candidate."""
        return self.blend.loss if self.blend else None

    def evaluate(self, folder: CandidateFolder) -> Evaluation:
        """Score what a candidate wrote.

        Raises:
            InvalidPredictions: the files break the candidate contract; the message says how.
        """
        return evaluator.evaluate(
            self.plan, self.truth, self.folds, folder.oof, folder.test_predictions, self.test_rows
        )

    def evaluate_again(self, candidate: Candidate) -> Evaluation | None:
        """Score what an earlier process had scored; None, with a warning, where its files were damaged since."""
        try:
            return self.evaluate(self.context.folder.candidate(candidate.id))
        except InvalidPredictions as error:
            self.context.journal.warn(f"{candidate.id} was scored, but its files are damaged now: {error}")
            return None

    def hand_in(self) -> None:
        """Write the submission of what is best now, and tell of it."""
        self.write()
        score = self.score
        self.context.journal.tell(
            "best_changed",
            candidate=self._name(),
            metric=score.metric,
            greater_is_better=score.greater_is_better,
            score=score.mean,
            low=score.low,
            high=score.high,
        )

    def write(self) -> SubmissionFacts:
        """Write the submission of what is best now; before any candidate, that is the best constant answer."""
        with self._changing:
            test, rule = (
                (self.blend.test, self.blend.ensemble.rule) if self.blend else (self.constant.test, self.constant.rule)
            )
            folder = self.context.folder
            return write_submission(folder.submission, decide(test, rule), self.plan, folder.tables)

    def add(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Take a scored candidate; when the ensemble is better for it, hand that in."""
        with self._changing:
            self._keep(candidate, evaluation)
            self._whole = self._combined()
            if self._take_better(self._whole):
                self.hand_in()
                self.context.save(ensemble=self.ensemble)

    def settle(self) -> None:
        """Hand in the combination of all candidates if it is as good as the best on the way but for noise.

        The least of many losses on the way is luck in part; what all candidates agree on is not. The loss only stands
        for the metric: models that rank well may be far from probabilities, so the score has to agree.
        """
        with self._changing:
            if self.blend is None:
                return
            whole = self._whole or self._combined()
            is_as_high = self.floor is None or not find_metric(self.plan.metric).is_better(
                self.floor.mean, whole.ensemble.score.mean
            )
            is_other = whole.ensemble != self.blend.ensemble
            is_due = is_other and is_as_high and is_as_good(whole.own_losses, self.blend.own_losses)
            if is_due and not _is_worse(whole, self.blend):
                self.blend = whole
                self.hand_in()

    def gains(self, parent: str | None, evaluation: Evaluation) -> tuple[Gain, ...]:
        """Compare a new evaluation with that of its parent, and with the best single one, on the same rows."""
        with self._changing:
            known = dict(self.evaluations)
        metric = find_metric(self.plan.metric)
        over = [parent] if parent in known else []
        if known:
            names = list(known)
            over.append(names[metric.best([known[name].score.mean for name in names])])
        surrogate = make_surrogate(self.plan, self.truth.values[evaluation.rows])
        return tuple(_gain(name, evaluation, known[name], surrogate) for name in dict.fromkeys(over))

    def _keep(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self.evaluations[candidate.id] = evaluation
        self._families[candidate.id] = candidate.proposal.family

    def _take_better(self, blend: Blend) -> bool:
        """Keep the blend if it is better than what would be handed in now, the constant answer included.

        Blends are compared by their honest loss, which is steadier than the score: that of the chosen method, or the
        least of all methods, as a steadier one may have taken over. But none whose score is worse beyond chance is
        taken, and in a run that is being improved none whose score is worse than it was before.
        """
        if self.blend is None:
            metric = find_metric(self.plan.metric)
            is_better = metric.is_better(blend.ensemble.score.mean, self.constant.score.mean)
        else:
            is_less = blend.loss < self.blend.loss or blend.own_loss < self.blend.own_loss
            is_better = is_less and not _is_worse(blend, self.blend)
        if self.floor is not None:
            is_better = is_better and not find_metric(self.plan.metric).is_better(
                self.floor.mean, blend.ensemble.score.mean
            )
        if is_better:
            self.blend = blend
        return is_better

    def _combine_again(self) -> None:
        """Make the combination that was recorded last: from all candidates of today it might be another one."""
        known = self.context.run.ensemble
        names = [name for name in (known.chosen_from if known else ()) if name in self.evaluations]
        if names:
            self.blend = self._combined(names)
        elif self.evaluations:
            self._take_better(self._combined())

    def _combined(self, names: Iterable[str] | None = None) -> Blend:
        """Combine the candidates of these names, all when None."""
        chosen_from = {name: self.evaluations[name] for name in (self.evaluations if names is None else names)}
        families = {name: self._families[name] for name in chosen_from}
        return build_ensemble(self.plan, self.truth, self.folds, chosen_from, families)

    def _name(self) -> str:
        if self.blend is None:
            return "constant"
        members = self.blend.ensemble.members
        return members[0].candidate if len(members) == 1 else "ensemble"


def _is_worse(newer: Blend, older: Blend) -> bool:
    """Say whether the score is worse beyond noise."""
    comparison = compare(newer.evaluation.answers, older.evaluation.answers)
    return comparison.gain < 0 and not comparison.is_noise


def _gain(over: str, newer: Evaluation, older: Evaluation, surrogate: Surrogate) -> Gain:
    found = compare(newer.answers, older.answers)
    return Gain(
        over=over,
        value=found.gain,
        error=found.error,
        is_noise=found.is_noise,
        loss_errors=round(loss_errors(surrogate, newer.oof, older.oof), 3),
    )


def best_so_far(context: RunContext) -> BestSoFar:
    """Return what is best in this run, made once in a process."""
    if context.best is None:
        context.best = BestSoFar(context)
    return context.best
