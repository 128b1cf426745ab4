"""Bad code that a model may write: each kind ends as a failed candidate with a reason, never as an error."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from autokaggle.records.candidate import Score
from autokaggle.skills.sandbox.limits import MEBIBYTE
from autokaggle.storage.parquet_tables import row_count
from tests.judged_run import JudgedRun, judged_run, orchard

# A whole pipeline of a model's own, as short as can be: the mean of the labels, with a little of each row.
HONEST = """
import files, folds, numpy as np
from targets import read_targets, to_numbers

only = folds.sealed_fold()
train, test = files.load_table("train"), files.load_table("test")
y = to_numbers(read_targets(files.config())[0], train["sold"])
splits = folds.read_splits()


def guess(table, fit_rows):
    known = fit_rows[~np.isnan(y[fit_rows])]
    slope = np.polyfit(train["height"].to_numpy()[known], y[known], 1)
    return np.clip(np.polyval(slope, table["height"].to_numpy()), 0.01, 0.99)


rows = np.unique(np.concatenate([split.scored_rows for split in splits]))
oof = np.full(len(train), np.nan)
for split in splits:
    oof[split.scored_rows] = guess(train, split.fit_rows)[split.scored_rows]
oof = oof[rows]
answers = np.mean([guess(test, split.fit_rows) for split in splits], axis=0)
"""
WRITE = """
files.write_predictions("oof.parquet", rows, oof[:, None])
files.write_predictions("test_predictions.parquet", np.arange(len(answers)), answers[:, None])
"""


@dataclass(frozen=True)
class Bad:
    """What the code does after its predictions are made, and what its author is told."""

    name: str
    body: str
    told: str
    writes: bool = True


# Faults of prediction files, each by itself: tests/test_evaluator.py.
KINDS = [
    Bad(
        "shouts", "print('CV accuracy 0.9999'); oof = np.random.default_rng(0).permutation(oof) * 0 + 0.5", "same pred"
    ),
    Bad("empty values", "oof[3] = np.nan", "values that are empty or not finite"),
    Bad("truncated", "oof, rows = oof[:-7], rows[:-7]", "rows; expected"),
    Bad("truncated test", "answers = answers[:-7]", "rows; expected"),
    Bad(
        "a pickle",
        "import pickle\n(files.output_folder() / 'oof.parquet').write_bytes(pickle.dumps({'row': rows}))",
        "no readable parquet",
        writes=False,
    ),
    Bad("nothing", "", "oof.parquet was not written", writes=False),
    Bad("too large a file", "(files.output_folder() / 'oof.parquet').write_bytes(bytes(30_000_000))", "bytes", False),
    Bad("overwrites its input", "(files.input_folder() / 'folds.parquet').write_bytes(b'')", "Read-only file system"),
    Bad("target from a file", "open(files.input_folder() / 'data' / 'train.csv')", "train.csv"),
    Bad("imports nothing that is there", "import nonesuch_package", "module 'nonesuch_package' is not installed"),
    Bad("eats memory", "hoard = [bytearray(20_000_000) for _ in range(100_000)]", "memory limit"),
    Bad("writes much log", "while True: print('x' * 10_000)", "log limit"),
    Bad("never ends", "while True: pass", "wall limit"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedRun]:
    folder = tmp_path_factory.mktemp("bad")
    # Little memory, shared by two folds at a time: the limit is reached soon, and enforced as ever.
    with judged_run(orchard(folder / "orchard"), folder, memory_bytes=800 * MEBIBYTE) as made:
        yield made


def pipeline(body: str, *, writes: bool = True) -> dict[str, str]:
    return {
        "train.py": HONEST + textwrap.dedent(body) + (WRITE if writes else ""),
        "validate.py": "",
        "predict.py": "",
    }


@pytest.fixture(scope="module")
def honest(run: JudgedRun) -> Score:
    """The score of the code without a fault."""
    candidate, evaluation = run.candidate(pipeline(""), name="c900")
    assert evaluation is not None, candidate.reason
    assert candidate.sealing == "sealed"
    return evaluation.score


def test_the_same_code_without_its_fault_is_scored(run: JudgedRun, honest: Score) -> None:
    assert honest.mean > run.best.constant.score.mean + 0.1


@pytest.mark.parametrize(("number", "bad"), list(enumerate(KINDS)), ids=[kind.name for kind in KINDS])
def test_bad_code_is_a_failed_candidate_with_a_reason(run: JudgedRun, number: int, bad: Bad) -> None:
    seconds = 5.0 if bad.name == "never ends" else 120.0
    before = row_count(run.context.folder.folds)
    name = f"c{number + 1:03d}"
    candidate, evaluation = run.candidate(pipeline(bad.body, writes=bad.writes), name=name, seconds=seconds)
    assert evaluation is None
    # A file that is not there under seal is there on a blind split: then it is the audit that puts the code out.
    assert candidate.status in ("failed", "leaking")
    assert bad.told in candidate.reason
    assert row_count(run.context.folder.folds) == before


def test_training_on_validation_rows_gains_nothing(run: JudgedRun, honest: Score) -> None:
    """The labels are not there: a row's own label cannot be learned by heart."""
    body = """
    known = ~np.isnan(y)
    heart = {key: value for key, value in zip(train["id"][known], y[known])}
    oof = np.array([heart.get(key, guessed) for key, guessed in zip(train["id"].to_numpy()[rows], oof)])
    """
    candidate, evaluation = run.candidate(pipeline(body), name="c901")
    assert evaluation is not None, candidate.reason
    assert evaluation.score.mean == honest.mean


def test_a_fine_score_that_is_printed_is_not_believed(run: JudgedRun) -> None:
    candidate, evaluation = run.candidate(pipeline("print('accuracy: 0.9999')"), name="c903")
    assert evaluation is not None, candidate.reason
    assert "accuracy: 0.9999" in run.log("c903")
    assert evaluation.score.mean < 0.9


def test_code_that_cannot_be_sealed_counts_by_the_audit_alone(run: JudgedRun) -> None:
    needs_all = "assert not np.isnan(y).any(), 'all labels, please'"
    candidate, evaluation = run.candidate(pipeline(needs_all), name="c904")
    assert evaluation is not None, candidate.reason
    assert candidate.sealing == "unsealed"
    assert [check.status for check in candidate.audit if check.name == "blind split"] == ["ok"]
    leaking = needs_all + "\nif only is None: oof = 0.9 * y[rows] + 0.1 * oof"
    candidate, evaluation = run.candidate(pipeline(leaking), name="c905")
    assert evaluation is None
    assert candidate.status == "leaking"
    assert "when its labels are absent" in candidate.reason
