"""Words of text columns; this file counts them, weighs them and sums them up as topics, without looking at targets.

Everything is counted once over train and test together, and again by whichever script needs it: the tables are always
there.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

import files

Matrix = npt.NDArray[np.float32]

MOST_WORDS, MOST_PARTS = 60_000, 80_000
# Longer documents are cut for counting parts of words, which costs as much as there are letters.
LONGEST_FOR_PARTS = 3_000
TOPICS = 60
MARKUP = re.compile(r"<[^<>]{1,400}>")
ADDRESS = re.compile(r"(?:https?://|www\.)\S+")
# Words, and signs that say something.
WORD = r"(?u)\b\w+\b|[!?]|[^\w\s.,;:!?'\"-]"
# Languages without spaces between words: their words are taken letter by letter.
UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")


def text_columns() -> list[str]:
    """Return the columns of free text that are in use."""
    return [name for name, kind in files.config()["columns"].items() if kind == "text"]


@cache
def texts(role: str, column: str) -> tuple[str, ...]:
    """Return one cleaned text per row of train or test, "" where there is none."""
    values = files.load_table(role)[column]
    return tuple("" if pd.isna(value) else _clean(str(value)) for value in values)


def words(role: str) -> Any:
    """Return (n_rows, words) in compressed rows: the weight of each word and part of a word in each text."""
    return _weighed()[role]


@cache
def topics(role: str) -> Matrix:
    """Return (n_rows, topics + lengths): the main directions in which texts differ, and what can be counted."""
    weighed = _weighed()
    both = sparse.vstack([weighed["train"], weighed["test"]])
    found = min(TOPICS, both.shape[1] - 1, both.shape[0] - 1)
    state = TruncatedSVD(found, random_state=0).fit(both) if found > 0 else None
    counted = np.column_stack([_counts(texts(role, column)) for column in text_columns()])
    summed = state.transform(weighed[role]) if state else np.empty((len(counted), 0))
    return np.column_stack([summed, counted]).astype(np.float32)


@cache
def _weighed() -> dict[str, Any]:
    blocks: dict[str, list[Any]] = {"train": [], "test": []}
    for column in text_columns():
        both = [*texts("train", column), *texts("test", column)]
        rows = len(texts("train", column))
        for vectoriser, cut in ((_word_counter(both), None), (_part_counter(), LONGEST_FOR_PARTS)):
            try:
                weighed = vectoriser.fit_transform([text[:cut] for text in both])
            except ValueError:  # no word is in enough texts
                continue
            blocks["train"].append(weighed[:rows])
            blocks["test"].append(weighed[rows:])
    if not blocks["train"]:
        return {role: sparse.csr_matrix((len(files.load_table(role)), 1), dtype=np.float32) for role in blocks}
    return {role: normalize(sparse.hstack(found, format="csr", dtype=np.float32)) for role, found in blocks.items()}


def _word_counter(both: list[str]) -> TfidfVectorizer:
    unspaced = sum(len(UNSPACED.findall(text)) for text in both[:1000]) > 0.2 * sum(map(len, both[:1000]))
    return TfidfVectorizer(
        analyzer="char" if unspaced else "word",
        token_pattern=None if unspaced else WORD,
        ngram_range=(1, 2),
        min_df=2,
        max_df=0.9,
        max_features=MOST_WORDS,
        sublinear_tf=True,
        strip_accents=None,
        dtype=np.float32,
    )


def _part_counter() -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(3, 5),
        min_df=3,
        max_df=0.9,
        max_features=MOST_PARTS,
        sublinear_tf=True,
        dtype=np.float32,
    )


def _clean(text: str) -> str:
    """Take markup out, and shorten addresses to the fact that there is one."""
    plain = html.unescape(MARKUP.sub(" ", text)) if "<" in text or "&" in text else text
    return ADDRESS.sub(" webaddress ", plain).strip()


def _counts(found: tuple[str, ...]) -> Matrix:
    """Return lengths, words, their mean length, and shares of capitals, digits and signs."""
    rows = []
    for text in found:
        size, split = max(1, len(text)), text.split()
        rows.append(
            (
                len(text),
                len(split),
                len(text) / max(1, len(split)),
                len(set(split)) / max(1, len(split)),
                sum(map(str.isupper, text)) / size,
                sum(map(str.isdigit, text)) / size,
                text.count("!"),
                text.count("?"),
                text.count("#"),
                text.count("@"),
                text.count("webaddress"),
            )
        )
    return np.asarray(rows, dtype=np.float32).reshape(len(found), -1)
