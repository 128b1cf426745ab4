"""Draw the picture of a terminal from a real run; this file makes ``docs/images/terminal.svg``.

    python scripts/draw_terminal.py RUN_FOLDER docs/images/terminal.svg

The run's own events are drawn by the program's own screen, as they stood when a share of the run's time was over.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.spinner import Spinner
from rich.text import Text

from autokaggle.cli.drawing import RunDrawing
from autokaggle.cli.results import run_facts, run_text
from autokaggle.cli.run_view import RunView
from autokaggle.cli.text import epoch
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.run_folders import read_run
from autokaggle.storage.tail import Tail, decode_events

COLUMNS = 92
# The picture must need no network: the reader's own monospaced font will do.
WEB_FONTS = re.compile(r"@font-face\s*{.*?}\s*", re.DOTALL)


def main() -> int:
    """Draw one run; ``--at`` is the share of its events that have happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--command", default="autokaggle demo")
    parser.add_argument("--at", type=float, default=1.0)
    given = parser.parse_args()
    svg = draw(RunFolder(given.run.absolute()), given.command, given.at)
    given.picture.write_text(svg, "utf-8")
    return 0


def draw(folder: RunFolder, command: str, share: float) -> str:
    """Return the picture as SVG."""
    events = list(decode_events(Tail(folder.events).new_lines()))
    events = events[: max(1, round(share * len(events)))]
    view = RunView().apply_all(events)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {command}", style="bold"))
    now = epoch(events[-1].time) or 0.0
    console.print(RunDrawing(view, now, Spinner("dots", style="cyan")))
    if share >= 1:
        place = str(folder.path.parent.parent) + "/"
        console.print(Text(run_text(run_facts(read_run(folder), folder)).replace(place, "")))
    return WEB_FONTS.sub("", console.export_svg(title="autokaggle"))


if __name__ == "__main__":
    sys.exit(main())
