"""The display of a run: live in a terminal of any width, as lines elsewhere, and never a way to steer the terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.spinner import Spinner

from autokaggle.cli import text
from autokaggle.cli.drawing import RunDrawing
from autokaggle.cli.event_lines import describe
from autokaggle.cli.run_view import RunView
from autokaggle.cli.screen import LiveScreen, PlainScreen, open_screen
from autokaggle.records.event import Event
from autokaggle.records.run import Run, RunOptions
from autokaggle.records.sandbox import Isolation

START = 1_767_323_045.0  # 2026-01-02T03:04:05Z
HOSTILE = "evil\x1b]0;owned\x07\x9b2J\r\n\u202egnp.exe [bold]x[/bold]"


def at(after: int, kind: str, message: str = "", /, **fields: Any) -> Event:
    """Make an event ``after`` seconds after the start."""
    moment = f"2026-01-02T03:{4 + (5 + after) // 60:02}:{(5 + after) % 60:02}Z"
    return Event(time=moment, kind=kind, message=message, fields=fields)


def events() -> list[Event]:
    """Tell a run that is in the middle of its second candidate, 30 s after its start."""
    best = {"metric": "rmsle", "greater_is_better": False, "score": 0.12345678, "low": 0.11, "high": 0.14}
    return [
        at(0, "run_started", run_id="house-1", isolation="strong", backend="bubblewrap", budget_seconds=600.0),
        at(0, "stage_started", "Fetching", stage="fetch"),
        at(2, "stage_finished", "4 files, 1.2 MB", stage="fetch", seconds=2.04),
        at(2, "stage_started", "Searching", stage="search"),
        at(3, "candidate_started", candidate="c001", title="LightGBM, small", family="lightgbm", expected_seconds=5.0),
        at(
            8,
            "candidate_finished",
            candidate="c001",
            status="scored",
            seconds=5.0,
            score=0.12345678,
            low=0.11,
            high=0.14,
        ),
        at(8, "best_changed", candidate="c001", **best),
        at(9, "candidate_started", candidate="c002", title="Ridge", family="linear", expected_seconds=40.0),
        at(12, "candidate_finished", candidate="c002", status="failed", seconds=3.0, reason="memory limit"),
        at(20, "candidate_started", candidate="c003", title="Blend of everything with a long name" * 3, family="x"),
        at(21, "progress", stage="search", text="fold 2", done=2, total=5, unit="folds"),
        at(25, "budget", left_seconds=575.0, used_seconds=25.0),
    ]


def drawn(view: RunView, width: int, *, now: float = START + 30) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False, highlight=False, markup=False).print(RunDrawing(view, now))
    return stream.getvalue()


# ---------------------------------------------------------------- the picture


def test_the_picture_holds_what_a_person_looks_for() -> None:
    out = drawn(RunView().apply_all(events()), 100)
    assert "house-1" in out
    assert "isolation strong (bubblewrap) · elapsed 30 s · left 9:30" in out
    assert re.search(r"✓ fetch +2\.0 s 4 files, 1\.2 MB", out)
    assert re.search(r"▸ search +28 s .*fold 2", out)
    assert re.search(r"· report", out)
    assert re.search(r"c001 LightGBM, small +0\.12346 \(0\.11000 to 0\.14000\) +5\.0 s", out)
    assert re.search(r"c002 Ridge: memory limit +failed +3\.0 s", out)
    assert "best rmsle ↓ 0.12346  (0.11000 to 0.14000)  c001" in out


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    out = drawn(RunView().apply_all(events()), width)
    assert max(len(line.rstrip()) for line in out.splitlines()) <= width
    for needed in ("house-1", "elapsed 30 s", "search", "c001", "rmsle ↓ 0.12346"):
        assert needed in out


def test_a_narrow_picture_still_says_how_much_time_is_left() -> None:
    assert "elapsed 30 s · left 9:30" in drawn(RunView().apply_all(events()), 40)


def test_many_candidates_show_the_last_ones() -> None:
    more = [at(20, "candidate_started", candidate=f"c{number:03}", title="t") for number in range(1, 31)]
    out = drawn(RunView().apply_all([*events(), *more]), 80)
    assert "22 earlier candidates" in out
    assert "c022" not in out
    assert "c030" in out


def test_a_changed_candidate_stands_below_the_one_that_it_changes() -> None:
    told = events()
    told.append(at(26, "candidate_started", candidate="c004", title="One change", family="lightgbm", parent="c001"))
    told.append(at(27, "candidate_started", candidate="c005", title="Another", family="lightgbm", parent="c004"))
    told.append(at(28, "candidate_started", candidate="c006", title="Lost", family="lightgbm", parent="c999"))
    lines = drawn(RunView().apply_all(told), 80).splitlines()
    order = [line[:18].rstrip() for line in lines if re.match(r"c\d{3}", line)]
    assert order[:3] == ["c001 LightGBM, sma", "c004 └ One change", "c005   └ Another"]
    assert order[-1] == "c006 Lost"


def test_what_a_language_model_cost_is_shown_once_one_was_asked() -> None:
    assert "cost" not in drawn(RunView().apply_all(events()), 100)
    calls = [at(1, "model_called", cost_usd=0.01), at(2, "model_called", cost_usd=0.0025), at(3, "model_called")]
    assert "cost $0.013" in drawn(RunView().apply_all([*events(), *calls]), 100)


def test_a_run_that_has_begun_nothing_can_be_drawn() -> None:
    assert "no submission yet" in drawn(RunView(), 40)


def test_resuming_forgets_what_was_cut_short() -> None:
    again = at(50, "run_started", run_id="house-1", isolation="strong", backend="bubblewrap", budget_seconds=600.0)
    view = RunView().apply_all([*events(), again])
    assert list(view.candidates) == ["c001", "c002"]
    assert (view.stages["fetch"].mark, view.stages["search"].mark) == ("done", "waiting")
    assert view.best is not None


def test_the_time_left_counts_from_the_end_of_the_download_without_being_told() -> None:
    view = RunView().apply_all(events()[:4])
    assert view.left(START + 12) == 590.0


def test_a_resumed_run_has_the_time_that_was_left() -> None:
    again = at(500, "run_started", run_id="house-1", isolation="strong", backend="bubblewrap", budget_seconds=600.0)
    view = RunView().apply_all([*events(), again])
    assert view.left(START + 510) == 565.0
    assert view.stages["fetch"].mark == "done"


def test_the_record_says_what_events_do_not() -> None:
    run = Run(
        id="house-1", slug="house", target="house", options=RunOptions(target="house", time_budget_seconds=60.0),
        status="interrupted", created="", updated="2026-01-02T03:04:35Z", budget_seconds_used=28.0,
        isolation=Isolation(level="partial", backend="landlock"),
    )  # fmt: skip
    view = RunView().apply_all(events())
    view.correct(run)
    assert (view.status, view.stages["search"].mark, view.isolation) == ("interrupted", "failed", "partial")
    assert [candidate.status for candidate in view.candidates.values()] == ["scored", "failed", "interrupted"]
    assert view.elapsed(START + 10_000) == 30.0
    assert view.left(START + 10_000) == 32.0


def test_a_killed_run_ended_with_its_last_word() -> None:
    run = Run(
        id="house-1", slug="house", target="house", options=RunOptions(target="house"), status="interrupted",
        created="", updated="2026-01-02T03:04:06Z",
    )  # fmt: skip
    view = RunView().apply_all(events())
    view.correct(run)
    assert view.elapsed(START + 10_000) == 25.0


def test_unknown_kinds_and_fields_change_nothing() -> None:
    view = RunView().apply_all([*events(), at(26, "from_the_future", x=1), at(26, "_end"), at(26, "info", "hello")])
    view.last_told = None
    expected = RunView().apply_all(events())
    expected.last_told = None
    assert view == expected


# ---------------------------------------------------------------- lines


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (events()[0], "run house-1, isolation strong (bubblewrap), time budget 10:00"),
        (events()[1], "fetch: Fetching"),
        (events()[2], "fetch done in 2.0 s: 4 files, 1.2 MB"),
        (events()[4], "c001 started: LightGBM, small (about 5.0 s)"),
        (events()[5], "c001 scored after 5.0 s: 0.12346 (95 %: 0.11000 to 0.14000)"),
        (events()[6], "best so far: rmsle 0.12346 (95 %: 0.11000 to 0.14000) by c001; lower is better"),
        (events()[8], "c002 failed after 3.0 s: memory limit"),
        (events()[10], "fold 2: 2 folds of 5 folds (40%)"),
        (at(1, "progress", text="train.csv", done=1.5e6, total=3e6, unit="bytes"), "train.csv: 1.5 MB of 3.0 MB (50%)"),
        (at(1, "progress", text="train.csv", done=0, total=None, unit="bytes"), "train.csv"),
        (at(1, "budget", left_seconds=3), ""),
        (at(1, "warning", "Odd."), "warning: Odd."),
        (at(1, "info", "Fine."), "Fine."),
        (at(1, "run_finished", "Why.", status="failed"), "run failed: Why."),
    ],
)
def test_each_kind_is_said_in_one_line(event: Event, said: str) -> None:
    assert describe(event) == said


def test_plain_lines_carry_the_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with PlainScreen(stream) as screen:
        screen(at(0, "info", "hello"))
        screen(Event(time="no time", kind="info", message="again"))
    assert re.fullmatch(r"\d\d:\d\d:05 hello\n--:--:-- again\n", stream.getvalue())


@pytest.mark.parametrize(("tells_why", "said"), [(True, "run failed: Why."), (False, "run failed")])
def test_why_a_run_failed_is_left_to_the_last_words_where_they_say_it(tells_why: bool, said: str) -> None:
    stream = io.StringIO()
    with open_screen(stream, tells_why=tells_why) as screen:
        screen(at(1, "run_finished", "Why.", status="failed"))
    assert stream.getvalue().splitlines()[0].partition(" ")[2] == said


def test_progress_lines_are_rare() -> None:
    stream, clock = io.StringIO(), iter(range(0, 100, 2))
    with PlainScreen(stream, clock=lambda: float(next(clock))) as screen:
        for done in range(10):
            screen(at(1, "progress", text="x", done=done, total=10))
    assert len(stream.getvalue().splitlines()) == 4


def test_a_display_that_cannot_be_written_to_falls_silent() -> None:
    stream = io.StringIO()
    with PlainScreen(stream) as screen:
        screen(at(0, "info", "hello"))
        stream.close()
        screen(at(0, "info", "again"))
        screen(at(0, "info", "and again"))


def test_without_a_terminal_there_are_lines() -> None:
    assert isinstance(open_screen(io.StringIO()), PlainScreen)


# ---------------------------------------------------------------- foreign text


def test_foreign_text_cannot_steer_the_terminal() -> None:
    hostile = [
        at(0, "run_started", HOSTILE, run_id=HOSTILE, isolation=HOSTILE, backend=HOSTILE, budget_seconds=1.0),
        at(0, "stage_started", HOSTILE, stage="fetch"),
        at(0, "progress", text=HOSTILE, done=1, total=3, unit=HOSTILE),
        at(1, "candidate_started", candidate=HOSTILE, title=HOSTILE),
        at(1, "candidate_finished", candidate=HOSTILE, status=HOSTILE, reason=HOSTILE, seconds=1.0),
        at(1, "best_changed", candidate=HOSTILE, metric=HOSTILE, greater_is_better=True, score=1.0),
        at(1, "stage_finished", HOSTILE, stage="fetch", seconds=1.0),
        at(1, "warning", HOSTILE),
        at(1, "whatever", HOSTILE),
        at(1, "run_finished", HOSTILE, status=HOSTILE),
    ]
    lines = "\n".join(describe(event) for event in hostile)
    picture = drawn(RunView().apply_all(hostile), 2000)
    for shown in (lines, picture):
        assert set(re.findall(r"[^\n\x20-\x7e·✓✗▸↑━╸╺]", shown)) == set()
        assert "[bold]x[/bold]" in shown


def test_harmless_keeps_letters_of_all_scripts() -> None:
    assert text.harmless("Größe 価格 цена 🏠\ttab\nline") == "Größe 価格 цена 🏠 tab line"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (187, "3:07"),
        (3599.9, "1:00:00"),
        (3723, "1:02:03"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert text.duration(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.5, "0.50000"), (-0.123456, "-0.12346"), (28123.456, "28123.5"), (1e9, "1e+09")]
)
def test_numbers(value: float, said: str) -> None:
    assert text.number(value) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (12_000, "12 kB"), (2.5e12, "2.5 TB")]
)
def test_sizes(count: float, said: str) -> None:
    assert text.size(count) == said


# ---------------------------------------------------------------- a real terminal

DRIVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from autokaggle.cli.screen import LiveScreen, open_screen
from tests.test_screen import events, at
with open_screen(sys.stderr) as screen:
    for event in events():
        screen(event)
    screen(at(26, "warning", "odd \\x1b[2J thing"))
    time.sleep(0.6)
    screen(at(30, "run_finished", status="done"))
print(type(screen).__name__)
"""


def in_terminal(columns: int, **environment: str) -> tuple[str, str]:
    """Run the driver with stderr on a terminal of this width; return what the terminal and stdout got."""
    import fcntl
    import struct
    import termios

    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    root = str(Path(__file__).resolve().parents[1])
    keep = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    }
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, root],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=child,
        text=True,
        env={**keep, "TERM": "xterm-256color", **environment},
    )
    os.close(child)
    seen: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(parent, 65536)
            except OSError:
                return
            if not data:
                return
            seen.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    out, _ = driver.communicate(timeout=120)
    reader.join(60)
    os.close(parent)
    return b"".join(seen).decode(), out


def test_in_a_terminal_the_picture_is_live_and_stays_at_the_end() -> None:
    shown, out = in_terminal(80)
    assert out == "LiveScreen\n"
    assert "\x1b[?25l" in shown
    assert shown.rstrip().endswith("\x1b[?25h")
    assert "warning: odd \\x1b[2J thing" in shown
    assert "\x1b[2J" not in shown
    last = shown[shown.rindex("house-1") :]
    assert "best" in last
    assert "0.12346" in last


@pytest.mark.parametrize("columns", [40, 80])
def test_no_colour_where_it_is_not_wanted(columns: int) -> None:
    shown, _ = in_terminal(columns, NO_COLOR="1")
    colours = [
        code
        for code in re.findall(r"\x1b\[([\d;]*)m", shown)
        for part in code.split(";")
        if part in {"31", "32", "33", "36"}
    ]
    assert colours == []
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown)
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= columns


def test_a_dumb_terminal_gets_lines() -> None:
    shown, out = in_terminal(80, TERM="dumb")
    assert out == "PlainScreen\n"
    assert "\x1b" not in shown


def test_the_live_picture_survives_events_from_another_thread() -> None:
    stream = io.StringIO()
    with LiveScreen(stream) as screen:

        def tell() -> None:
            for event in events():
                screen(event)

        tellers = [threading.Thread(target=tell) for _ in range(4)]
        for teller in tellers:
            teller.start()
        for teller in tellers:
            teller.join()
    assert "0.12346" in stream.getvalue()


def test_the_spinner_is_drawn_where_one_is_given() -> None:
    stream = io.StringIO()
    view = RunView().apply_all(events())
    Console(file=stream, width=80).print(RunDrawing(view, START + 30, Spinner("dots")))
    assert "▸" not in stream.getvalue()
    assert "⠋ search" in stream.getvalue()
