"""Page texts of a competition; this file makes readable Markdown of them and finds the page for a purpose.

Page names are chosen by hosts, contents are Markdown or HTML. All of it is untrusted text: nothing here obeys it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from autokaggle.records.base import Record
from autokaggle.records.competition import MetricFinding

HTML_BLOCK = re.compile(r"</(?:p|div|h[1-6]|ul|ol|table|section|article)\s*>", re.I)
MARKDOWN_BLOCK = re.compile(r"^(?:#{1,6} |[-*] |\d+\. |```|> |\|.*\|)", re.M)
# Comments are invisible on the site; what a reader cannot see is not part of the page.
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
INVISIBLE_ELEMENT = re.compile(r"<(script|style|iframe|noscript)\b.*?(?:</\1\s*>|\Z)", re.I | re.S)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z*`_\[(])|\n\s*\n|\n(?=\s*(?:[-*#>|]|\d+\.)\s)")
EVALUATION_NAMES = ("evaluation", "metric", "scoring", "judging")
EVALUATION_HEADING = re.compile(r"^(#{1,6})\s*(?:\d+\.\s*)?[^\n]*\b(?:evaluation|scoring|metric)\b[^\n]*$", re.I | re.M)
JUDGED = r"(?:scored|evaluated|judged|ranked|assessed|measured|graded)"
BY = r"(?:on|using|by|with|based on|according to|against)\s+(?:the\s+|a\s+|an\s+|their\s+)?"
WHO = r"\b(?:submissions?|predictions?|entries|results?|models?|teams|performance|you)\b[^.\n]{0,60}?"
# Most telling first; each leaves the metric, or a description of it, in its group.
METRIC_SENTENCES = tuple(
    re.compile(pattern, re.I | re.S)
    for pattern in (
        rf"{WHO}\b(?:are|is|will be|be)\s+(?:\w+ly\s+)?{JUDGED}\s+(?:\w+ly\s+)?{BY}(?P<metric>.+)",
        r"\bmetrics?\b[^.\n]{0,60}?\s(?:is|are|will be)\s+(?:the\s+)?(?P<metric>.+)",
        r"\b(?:known as|called|referred to as)\s+(?:the\s+)?(?P<metric>.+)",
        r"\bwe\s+(?:will\s+)?(?:use|compute|calculate)\s+(?:the\s+)?(?P<metric>.+)",
        r"\b(?:minimi[sz]e|maximi[sz]e)\s+(?:the\s+)?(?P<metric>.+)",
        r"\bscored?\b[^.\n]{0,40}?\b(?:is|using|with|by|on)\s+(?:the\s+)?(?P<metric>.+)",
    )
)
METRIC_WORD = re.compile(
    r"error|loss|accurac|\bauc|\broc\b|\bf\W?\d|f-?score|f-?measure|f_?beta|kappa|precision|recall|correlation|"
    r"coefficient|gini|rmse|rmsle|\bmae\b|\bmse\b|mape|\br\W?2\b|r²|deviance|distance|\biou\b|dice|\bmap\b|ndcg|"
    r"likelihood|entropy|brier|jaccard|bleu|rouge|crps|pinball|quantile|concordance|c-index|\bmcc\b|score",
    re.I,
)
LOGARITHM = re.compile(r"\blog(?:arithms?|s|ged)?\b(?!\W?loss)", re.I)
METRIC_END = re.compile(r"\s(?:between|which|where|of the|for each|defined as|computed)\b|:\s+(?:the|a)\b")
LONGEST_WORDING = 240
LONGEST_EVIDENCE = 500
LONGEST_PAGE = 500_000


class Page(Record, frozen=True, kw_only=True):
    """One page: its name at Kaggle, the file name it gets under ``input/pages``, and its text as Markdown."""

    name: str
    file: str
    text: str


def make_pages(found: Iterable[tuple[str, str, str]]) -> tuple[Page, ...]:
    """Make pages of (name, content, MIME type or "") in the given order; empty ones are left out."""
    pages: list[Page] = []
    taken: set[str] = set()
    for name, content, mime_type in found:
        text = readable(content, mime_type)
        if not text:
            continue
        stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "page"
        file, number = f"{stem}.md", 1
        while file in taken:
            number += 1
            file = f"{stem}-{number}.md"
        taken.add(file)
        pages.append(Page(name=name, file=file, text=text))
    return tuple(pages)


def readable(content: str, mime_type: str = "") -> str:
    """Return the text as Markdown without what a reader of the site cannot see; "" for an empty page."""
    shown = INVISIBLE_ELEMENT.sub("", COMMENT.sub("", content[:LONGEST_PAGE].replace("\r\n", "\n")))
    if is_html(shown, mime_type):
        from markdownify import markdownify

        shown = markdownify(shown, heading_style="ATX", bullets="-", strip=["img"])
        shown = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in shown.split("\n")))
    shown = "".join(char for char in shown if char in "\n\t" or char.isprintable() or char == "\u00a0")
    return shown.strip() + "\n" if shown.strip() else ""


def is_html(content: str, mime_type: str = "") -> bool:
    """Markdown may hold some HTML: it is HTML when blocks are HTML and hardly any block is Markdown."""
    blocks = len(HTML_BLOCK.findall(content))
    if "html" in mime_type.lower():
        return blocks > 0 or bool(re.search(r"<\w+[^>]*>", content))
    return blocks > 0 and blocks > len(MARKDOWN_BLOCK.findall(content))


def find_page(pages: Mapping[str, str], *words: str) -> str | None:
    """Return the key of the page whose name is, else starts with, else holds one of the words (in their order)."""
    plain = {key: re.sub(r"[^a-z0-9]+", " ", key.lower().removesuffix(".md")).strip() for key in pages}
    for word in words:
        for fits in (str.__eq__, str.startswith, str.__contains__):
            for key, name in plain.items():
                if fits(name, word.lower()):
                    return key
    return None


def evaluation_text(pages: Mapping[str, str]) -> tuple[str, str]:
    """Return (page key, text) of what the pages say about evaluation, ("", "") when they say nothing.

    Hosts without an evaluation page put a section of that name on another one.
    """
    key = find_page(pages, *EVALUATION_NAMES)
    if key is not None:
        return key, pages[key]
    for key, text in pages.items():
        if found := EVALUATION_HEADING.search(text):
            rest = text[found.end() :]
            following = re.search(rf"^#{{1,{len(found[1])}}}\s", rest, re.M)
            return key, (found[0] + rest[: following.start() if following else len(rest)]).strip()
    return "", ""


def find_metric(field: str, pages: Mapping[str, str]) -> MetricFinding:
    """Return Kaggle's wording of the metric with its evidence; scoring decides which metric that is, and how surely."""
    key, text = evaluation_text(pages)
    if field.strip():
        return MetricFinding(
            wording=field.strip()[:LONGEST_WORDING],
            source="field",
            evidence=f"Kaggle's field evaluationMetric: {field.strip()[:LONGEST_WORDING]}",
        )
    for is_needed in (METRIC_WORD, re.compile("")):
        for pattern in METRIC_SENTENCES:
            for sentence in sentences(text):
                found = pattern.search(sentence)
                wording = _wording(found["metric"]) if found else ""
                if wording and is_needed.search(wording):
                    return MetricFinding(
                        wording=wording,
                        source="page",
                        evidence=f"{key}: {sentence[:LONGEST_EVIDENCE]}",
                    )
    return MetricFinding()


def sentences(text: str) -> list[str]:
    """Split Markdown into sentences, list items and headings, each on one line; code blocks are left out."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    prose = re.sub(r"^(#{1,6} .*)$", r"\1\n", prose, flags=re.M)
    found = (" ".join(part.split()) for part in SENTENCE_END.split(prose))
    return [part.lstrip("#>- ").removeprefix("* ") for part in found if re.search(r"\w", part)]


def _wording(metric: str) -> str:
    """What a host prints in bold, or as a link, is the metric's name; but logarithms behind it change its meaning."""
    unlinked = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"**\1**", metric)
    emphasised = re.search(r"\*\*(.+?)\*\*", unlinked)
    plain = unlinked.replace("**", "")
    if emphasised and (LOGARITHM.search(emphasised[1]) or not LOGARITHM.search(plain)):
        plain = emphasised[1]
    if not LOGARITHM.search(plain):
        plain = METRIC_END.split(plain)[0]
    return re.split(r"\.(?:\s|$)", plain)[0].strip(" *_`.,;:")[:LONGEST_WORDING]
