"""How a run looks in a terminal; this file draws the picture of a run with Rich, for any width from 40 columns on.

Every text that came from outside was made harmless before it came here, and none of it is read as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from autokaggle.cli import text
from autokaggle.cli.run_view import CandidateView, RunView, StageView

if TYPE_CHECKING:
    from rich.spinner import Spinner

CANDIDATES_SHOWN = 8
NARROW, WIDE = 60, 100
MARKS = {"waiting": ("·", "dim"), "done": ("✓", "green"), "failed": ("✗", "red")}


class RunDrawing:
    """The picture at one moment, ``now`` in seconds since 1970, with the last ``most`` candidates.

    ``spinner``, if given, marks the stage at work.
    """

    def __init__(self, view: RunView, now: float, spinner: Spinner | None = None, most: int = CANDIDATES_SHOWN) -> None:
        self.view = view
        self.now = now
        self.spinner = spinner
        self.most = most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_narrow = options.max_width < NARROW
        yield self._header(is_narrow)
        yield self._stages(is_narrow)
        if self.view.candidates:
            yield self._candidates(options.max_width >= WIDE)
        yield self._best()

    def _header(self, is_narrow: bool) -> Group:
        view = self.view
        facts = [
            f"isolation {view.isolation}"
            + (f" ({view.backend})" if view.backend not in ("", "none") and not is_narrow else "")
        ]
        facts.append(f"elapsed {text.duration(view.elapsed(self.now))}")
        left = view.left(self.now)
        if left is not None and view.finished is None:
            facts.append(f"left {text.duration(left)}")
        elif view.budget_seconds and view.finished is None:
            facts.append(f"budget {text.duration(view.budget_seconds)}")
        if view.cost_usd is not None:
            facts.append(f"cost ${view.cost_usd:.3f}")
        title = Text(view.run_id or "starting", style="bold", overflow="ellipsis", no_wrap=True)
        # Where all of it would not fit into one line, the time that is left must not be what is cut off.
        lines = [facts[1:], facts[:1]] if is_narrow else [facts]
        said = [Text(" · ".join(line), style="dim", overflow="ellipsis", no_wrap=True) for line in lines]
        return Group(title, *said)

    def _stages(self, is_narrow: bool) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.expand = True
        for stage in list(self.view.stages.values()):
            table.add_row(
                self._mark(stage), Text(stage.name), Text(self._seconds(stage)), self._doing(stage, is_narrow)
            )
        return table

    def _mark(self, stage: StageView) -> Text | Spinner:
        if stage.mark == "running":
            return self.spinner or Text("▸", style="cyan")
        return Text(*MARKS[stage.mark])

    def _seconds(self, stage: StageView) -> str:
        if stage.mark == "running" and stage.started is not None:
            return text.duration(max(0.0, self.now - stage.started))
        return "" if stage.seconds is None else text.duration(stage.seconds)

    def _doing(self, stage: StageView, is_narrow: bool) -> Text | Table:
        if stage.mark != "running":
            return Text(stage.message, style="dim")
        progress = self.view.progress
        said = Text(progress.get("text", ""), overflow="ellipsis", no_wrap=True)
        total = progress.get("total")
        if not total or is_narrow:
            return said
        from rich.progress_bar import ProgressBar

        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=total, completed=progress.get("done", 0.0), width=16), said)
        return row

    def _candidates(self, is_wide: bool) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, justify="right")
        table.expand = True
        earlier = len(self.view.candidates) - self.most
        if earlier > 0:
            table.add_row("", Text(f"{earlier} earlier candidates", style="dim"), "", "")
        for depth, candidate in self.view.tree(self.most):
            name, title, result, seconds = self._candidate(candidate)
            branch = Text("  " * (depth - 1) + "└ " if depth else "", style="dim")
            if is_wide:
                self._tell_more(candidate, title, result)
            table.add_row(name, branch + title, result, seconds)
        return table

    def _tell_more(self, candidate: CandidateView, title: Text, result: Text) -> None:
        """Say besides what was done, what that gained, and how sure the score is: where there is room for it."""
        if candidate.operator not in ("", "draft"):
            title.append(f" ({candidate.operator})", "dim")
        if candidate.status != "scored" or candidate.low is None or candidate.high is None:
            return
        if candidate.verdict:
            title.append(f"  {candidate.verdict}", "dim")
        result.append(f" ({text.number(candidate.low)} to {text.number(candidate.high)})", "dim")

    def _candidate(self, candidate: CandidateView) -> tuple[Text, Text, Text, Text]:
        best = self.view.best
        style = "green" if best is not None and best.candidate == candidate.id else ""
        if candidate.status == "running":
            ran = max(0.0, self.now - candidate.started) if candidate.started is not None else 0.0
            expected = candidate.expected_seconds
            result = "" if expected is None else f"of about {text.duration(expected)}"
            return (
                Text(candidate.id, style="cyan"),
                Text(candidate.title),
                Text(result, style="dim"),
                Text(text.duration(ran)),
            )
        seconds = "" if candidate.seconds is None else text.duration(candidate.seconds)
        if candidate.score is not None and candidate.status == "scored":
            return Text(candidate.id), Text(candidate.title), Text(text.number(candidate.score), style), Text(seconds)
        title = f"{candidate.title}: {candidate.reason}" if candidate.reason else candidate.title
        return Text(candidate.id, style="dim"), Text(title, style="dim"), Text(candidate.status, "red"), Text(seconds)

    def _best(self) -> Text:
        best = self.view.best
        if best is None:
            return Text("no submission yet", style="dim")
        arrow = text.direction(best.greater_is_better, arrow=True)
        line = Text.assemble("best ", (f"{best.metric} {arrow} {text.number(best.score)}", "bold green"))
        if best.low is not None and best.high is not None:
            line.append(f"  ({text.number(best.low)} to {text.number(best.high)})")
        line.append(f"  {best.candidate}", "dim")
        return line
