"""Tables in docs/benchmarks.md; this file replaces one named block of that page and touches nothing else."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def write_block(name: str, lines: list[str], page: Path = PAGE) -> None:
    """Put ``lines`` between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; append the block when it is new."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    text = page.read_text("utf-8") if page.is_file() else "# Benchmarks\n"
    block = "\n".join([begin, *lines, end])
    if begin in text and end in text:
        before, rest = text.split(begin, 1)
        text = before + block + rest.split(end, 1)[1]
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, "utf-8")


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [" | ".join(["", *cells, ""]).strip() for cells in [header, ["---"] * len(header), *rows]]
