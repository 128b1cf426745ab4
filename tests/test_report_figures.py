"""The report's plots: right numbers, hostile names, every task, and the page in a real browser."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import numpy as np
import pytest

from autokaggle.records.data_profile import TaskType
from autokaggle.records.plan import Plan, SubmissionFormat, Validation
from autokaggle.skills.report.curves import precision_recall_points, roc_points
from autokaggle.skills.report.drawing import Axis, Plot, nice_step, short
from autokaggle.skills.report.material import Predictions
from autokaggle.skills.report.quality import quality_figures
from autokaggle.skills.report.report_writer import write_report
from tests.test_report_writer import material

HOSTILE = '<script>alert("x")</script>&"\''
ROWS = 300


def plan(task: TaskType, classes: tuple[str, ...] = ()) -> Plan:
    return Plan(
        slug="orchard",
        task_type=task,
        target_columns=(HOSTILE,),
        id_columns=("id",),
        classes={HOSTILE: classes} if classes else {},
        prediction_columns=classes if task == "multiclass_classification" else (HOSTILE,),
        metric="rmse",
        greater_is_better=False,
        submission=SubmissionFormat(kind="value", columns=("id", HOSTILE), id_columns=("id",), ids_from="test"),
        train_table="train.parquet",
        test_table="test.parquet",
        validation=Validation(scheme="kfold", folds=3),
    )


def predictions(task: TaskType, times: bool = False) -> Predictions:
    random = np.random.default_rng(7)
    if task == "multiclass_classification":
        truth = random.integers(0, 3, ROWS).astype(float)
        oof = np.eye(3)[truth.astype(int)] * 0.5 + 1 / 6
    elif task == "binary_classification":
        truth = random.integers(0, 2, ROWS).astype(float)
        oof = np.clip(truth * 0.4 + random.random(ROWS) * 0.6, 0, 1)[:, None]
    else:
        truth = random.lognormal(3, 1.5, ROWS)
        oof = (truth * random.lognormal(0, 0.2, ROWS))[:, None]
    decided = None if task == "regression" else oof.argmax(axis=1) if oof.shape[1] > 1 else (oof[:, 0] > 0.5) * 1
    return Predictions(
        truth=truth[:, None],
        oof=oof,
        decided=(decided,),
        folds=np.arange(ROWS) % 3,
        times=np.arange(ROWS, dtype=np.float64) * 86_400 if times else None,
    )


@pytest.mark.parametrize(
    ("task", "classes", "titles"),
    [
        ("binary_classification", ("no", HOSTILE),
         {"ROC", "Precision and recall", "Calibration", "Predicted probabilities", "Confusion"}),
        ("multiclass_classification", ("a", "b", HOSTILE), {"ROC", "Precision and recall", "Calibration", "Confusion"}),
        ("regression", (), {"Predicted against true", "Residuals", "Residuals over predictions"}),
    ],
)  # fmt: skip
def test_each_task_gets_its_plots_and_each_is_well_formed(
    task: TaskType, classes: tuple[str, ...], titles: set[str]
) -> None:
    figures = quality_figures(plan(task, classes), predictions(task))
    assert {figure.title for figure in figures} == titles
    for figure in figures:
        ET.fromstring(str(figure.drawing))
        assert "<script" not in figure.drawing


def test_validation_by_time_shows_the_forecast_first() -> None:
    figures = quality_figures(plan("regression"), predictions("regression", times=True))
    assert figures[0].title == "Forecast against actual"


@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_a_target_of_one_class_draws_no_curve_and_fails_nothing(truth: float) -> None:
    found = predictions("binary_classification")
    single = dataclasses.replace(found, truth=np.full((ROWS, 1), truth))
    titles = {figure.title for figure in quality_figures(plan("binary_classification", ("0", "1")), single)}
    assert titles == {"Confusion"}


def test_constant_predictions_are_drawn_all_the_same() -> None:
    found = predictions("regression")
    flat = dataclasses.replace(found, oof=np.full((ROWS, 1), 3.0), truth=np.full((ROWS, 1), 3.0))
    assert [figure.title for figure in quality_figures(plan("regression"), flat)] == ["Predicted against true"]


def test_roc_takes_rows_of_the_same_probability_together() -> None:
    is_true, probability = np.array([True, False, True, False]), np.array([0.9, 0.5, 0.5, 0.1])
    false, true = roc_points(is_true, probability)
    assert false.tolist() == [0, 0, 0.5, 1]
    assert true.tolist() == [0, 0.5, 1, 1]


def test_precision_and_recall_go_by_thresholds() -> None:
    recall, precision = precision_recall_points(np.array([True, False, True]), np.array([0.9, 0.5, 0.1]))
    assert recall.tolist() == [0.5, 0.5, 1.0]
    assert precision.tolist() == [1.0, 0.5, pytest.approx(2 / 3)]


@pytest.mark.parametrize(("least", "step"), [(0.13, 0.2), (1.0, 1.0), (2.1, 2.5), (7.0, 10.0), (0.0, 1.0)])
def test_ticks_are_round(least: float, step: float) -> None:
    assert nice_step(least) == pytest.approx(step)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.25, "0.25"), (25_000.0, "25k"), (3e6, "3M"), (1e-5, "1.0e-05")]
)
def test_tick_texts_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_a_line_breaks_where_a_value_is_missing() -> None:
    plot = Plot(Axis("x", 0, 3), Axis("y", 0, 3), "line")
    plot.line(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, np.nan, 2.0, 3.0]))
    assert str(plot.finish()).split('class="line')[1].count("M") == 2


@pytest.fixture
def page(tmp_path: Path) -> Path:
    base = material(title=HOSTILE)
    found = predictions("binary_classification")
    run = msgspec.structs.replace(base.run, plan=plan("binary_classification", ("no", HOSTILE)))
    write_report(dataclasses.replace(base, run=run, predictions=found), tmp_path / "report.html")
    return tmp_path / "report.html"


def test_the_page_is_small(page: Path) -> None:
    assert page.stat().st_size < 200_000


@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 1280])
def test_a_browser_shows_the_page_without_errors_or_sideways_scrolling(page: Path, width: int, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    # The page forbids scripts, so a frame around it measures: a copy without the policy, with one line of script.
    text = page.read_text("utf-8")
    start = text.index('<meta http-equiv="Content-Security-Policy"')
    text = text[:start] + text[text.index(">", start) + 1 :]
    script = "<script>document.title = `${document.documentElement.scrollWidth <= innerWidth} ${innerWidth}`</script>"
    probe = tmp_path / "probe.html"
    probe.write_text(text.replace("</body>", f"{script}</body>"), "utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--window-size={width},900", "--dump-dom", probe.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert f"<title>true {width}</title>" in shown.stdout


@pytest.mark.parametrize("task", ["binary_classification", "multiclass_classification"])
@pytest.mark.filterwarnings("error")
def test_a_few_rows_are_drawn_without_complaint(task: TaskType) -> None:
    few = predictions(task)
    assert few.decided[0] is not None
    few = dataclasses.replace(
        few, truth=few.truth[:9], oof=few.oof[:9], decided=(few.decided[0][:9],), folds=few.folds[:9]
    )
    classes = ("a", "b", "c") if task == "multiclass_classification" else ("no", "yes")
    (calibration,) = [each for each in quality_figures(plan(task, classes), few) if each.title == "Calibration"]
    assert "nan" not in str(calibration.drawing) + calibration.caption
