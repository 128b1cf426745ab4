"""The image of each row; this file finds it by the column that names it, opens it, and describes how it looks.

Files are found by name or by name without suffix, in whatever folder they lie; where train and test have files of the
same name, those in a folder that is called like the table come first.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageFile

import files

Matrix = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
SAMPLE_ROWS = 200
SIDE = 64
CELLS = 4
DIRECTIONS = 9
PERCENTILES = (5, 25, 50, 75, 95)
# Where looking closely at all images would take more than this share of the time left, a thumbnail must do.
SHARE_OF_TIME = 0.4
THUMBNAIL, TRIED = 8, 24
CLOSE_LIMIT = "images looked at closely"

# A file that ends early is looked at as far as it goes.
ImageFile.LOAD_TRUNCATED_IMAGES = True


@cache
def column(role: str) -> str:
    """Return the column of train or test that names the rows' images.

    Raises:
        SystemExit: no column names image files.
    """
    table = files.load_table(role)
    known = _files_by_name(role)
    names = [str(name) for name in table.columns if name not in files.config()["target_columns"]]
    hits = {name: sum(bool(_find(value, known)) for value in table[name].dropna().head(SAMPLE_ROWS)) for name in names}
    found = max(hits, key=lambda name: hits[name], default="")
    if not found or not hits[found]:
        raise SystemExit(f"No column of {role} names image files under {files.input_folder() / 'data'}.")
    return found


@cache
def paths(role: str) -> tuple[Path | None, ...]:
    """Return the image of each row of train or test, None where there is none."""
    known = _files_by_name(role)
    names = files.load_table(role)[column(role)]
    return tuple(None if pd.isna(value) else _find(value, known) for value in names)


@cache
def looks(role: str) -> Matrix:
    """Return (n_rows, features): size, colours, textures and edges of each image; NaN where it cannot be read."""
    with ThreadPoolExecutor(files.threads()) as pool:
        found = list(pool.map(_describe if _is_time() else _thumbnail, paths(role)))
    width = max((len(row) for row in found if row is not None), default=1)
    empty = np.full(width, np.nan, dtype=np.float32)
    return np.stack([empty if row is None else row for row in found])


def read_image(path: Path | None, side: int) -> tuple[Pixels, tuple[int, int]] | None:
    """Return (side, side, 3) pixels and the original width and height; None when the file cannot be read."""
    if path is None:
        return None
    try:
        with Image.open(path) as image:
            size = image.size
            image.draft("RGB", (side, side))
            small = _eight_bits(image).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
            return np.asarray(small), size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring 16 and 32 bits of grey to 8 by their range; a conversion would cut them off."""
    if not image.mode.startswith(("I", "F")):
        return image
    grey = np.asarray(image, dtype=np.float64)
    low, high = float(grey.min()), float(grey.max())
    return Image.fromarray(((grey - low) * (255 / max(high - low, 1e-12))).astype(np.uint8))


@cache
def _is_time() -> bool:
    """Say whether all images can be looked at closely before the deadline."""
    if (known := files.known_limit(CLOSE_LIMIT)) is not None:
        return bool(known)
    deadline = os.environ.get("AUTOKAGGLE_DEADLINE")
    if not deadline:
        return True
    every = [path for role in ("train", "test") for path in paths(role)]
    started = time.time()
    for path in every[:TRIED]:
        _describe(path)
    expected = (time.time() - started) / max(1, min(TRIED, len(every))) * len(every)
    return bool(files.note_limit(CLOSE_LIMIT, int(expected < SHARE_OF_TIME * (float(deadline) - time.time()))))


def _thumbnail(path: Path | None) -> Matrix | None:
    """Return the colours of a very small copy."""
    found = read_image(path, THUMBNAIL)
    return None if found is None else np.append(found[0].ravel() / 255, found[1]).astype(np.float32)


@cache
def _files_by_name(role: str) -> dict[str, Path]:
    """Map paths below data, and each end of them, with and without suffix, to files."""
    root = files.input_folder() / "data"
    found = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    found.sort(key=lambda path: any(role in part.lower() for part in path.relative_to(root).parts[:-1]))
    known: dict[str, Path] = {}
    for path in found:  # the last one counts
        parts = path.relative_to(root).parts
        for start in range(len(parts)):
            below = PurePosixPath(*parts[start:])
            known |= {str(below.with_suffix("")): path, str(below): path}
    return known


def _find(value: object, known: dict[str, Path]) -> Path | None:
    """Return the file of this path, or of the longest end of it that is known: folders may have moved."""
    written = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    parts = written.replace("\\", "/").strip("/").split("/")
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((known[end] for end in ends if end in known), None)


def _describe(path: Path | None) -> Matrix | None:
    found = read_image(path, SIDE)
    if found is None or path is None:
        return None
    pixels, (width, height) = found
    colours = pixels.astype(np.float32) / 255
    grey = colours.mean(axis=2)
    spread = colours.max(axis=2) - colours.min(axis=2)
    channels = [
        *np.moveaxis(colours, 2, 0),
        spread,
        colours[..., 0] - colours[..., 1],
        colours[..., 1] - colours[..., 2],
    ]
    parts = [
        np.array([width, height, width / height, path.stat().st_size / (width * height)]),
        *(
            np.array([channel.mean(), channel.std(), *np.percentile(channel[::2, ::2], PERCENTILES)])
            for channel in channels
        ),
        *(_cells(channel).mean(axis=(1, 3)).ravel() for channel in channels),
        _cells(grey).std(axis=(1, 3)).ravel(),
        _edges(grey),
        _textures(grey),
    ]
    return np.concatenate(parts).astype(np.float32)


def _cells(channel: Matrix) -> Matrix:
    """Return (CELLS, rows, CELLS, columns): the channel cut into a grid."""
    side = channel.shape[0] // CELLS
    return channel.reshape(CELLS, side, CELLS, side)


def _edges(grey: Matrix) -> Matrix:
    """Return how strong edges of each direction are in each cell, and over all.

    Source: Dalal and Triggs (2005), "Histograms of Oriented Gradients for Human Detection".
    """
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    direction = np.minimum((np.arctan2(down, right) % np.pi / np.pi * DIRECTIONS).astype(np.int64), DIRECTIONS - 1)
    place = np.arange(SIDE) * CELLS // SIDE
    cell = place[:, None] * CELLS + place[None, :]
    sums = np.bincount((cell * DIRECTIONS + direction).ravel(), strength.ravel(), CELLS * CELLS * DIRECTIONS)
    of_cells = sums.reshape(-1, DIRECTIONS)
    shares = of_cells / (np.linalg.norm(of_cells, axis=1, keepdims=True) + 0.1)
    total = of_cells.sum(axis=0)
    extra = np.array([strength.mean(), *np.percentile(strength, PERCENTILES)])
    return np.concatenate([shares.ravel(), total / (total.sum() + 1e-6), extra]).astype(np.float32)


def _textures(grey: Matrix) -> Matrix:
    """Return how often each pattern of brighter neighbours occurs, whichever way it is turned.

    Source: Ojala, Pietikainen, Maenpaa (2002), "Multiresolution gray-scale and rotation invariant texture
    classification with local binary patterns".
    """
    around = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    middle = grey[1:-1, 1:-1]
    bits = np.stack([grey[1 + y : SIDE - 1 + y, 1 + x : SIDE - 1 + x] > middle + 0.01 for y, x in around])
    changes = (bits != np.roll(bits, 1, axis=0)).sum(axis=0)
    pattern = np.where(changes <= 2, bits.sum(axis=0), len(around) + 1)
    counts = np.bincount(pattern.ravel(), minlength=len(around) + 2)
    shares: Matrix = (counts / counts.sum()).astype(np.float32)
    return shares
