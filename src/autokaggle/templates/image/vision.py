"""A network's view of images; this file shows each image of train and test to EfficientNet-Lite0.

With ``features.gpu`` that happens on a GPU, of larger copies of the images, and on the processor where the GPU fails;
with ``features.mirrored`` the view is the mean of those of the image and of its mirror image. Without the weights, or
without the time, images are described by their looks alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Protocol

import efficient_net
import numpy as np
from efficient_net import Floats
from pictures import paths, read_image
from threadpoolctl import threadpool_limits

import device
import files

LARGEST_SIDE, SMALLEST_SIDE = 128, 64
# A GPU is tried with each; the network was trained with the first.
SIDES_ON_GPU = (224, 160, 128, 96, SMALLEST_SIDE)
# What limits.json calls the side that time allowed.
SIDE_LIMIT = "side of images"
# Of the time until the deadline so much may go into looking at train and test.
SHARE_OF_TIME = 0.55
# By these PyTorch tells that a device, its driver or its memory failed, or it is not there itself.
FAILURES = (device.GpuMissing, ImportError, OSError, RuntimeError)

Paths = Sequence[Path | None]
Views = dict[str, Floats]


class Network(Protocol):
    """What looks at images."""

    def at_once(self, side: int) -> int:
        """Return how many images of this side are best seen together."""
        ...

    def look(self, pixels: Floats) -> Floats:
        """Return (n, features) for ``pixels`` (n, side, side, 3) from -1 to 1."""
        ...


def views(role: str) -> Floats:
    """Return (n_rows, 1280); NaN where an image cannot be read, no columns where there are no weights or no time."""
    # Train and test must be seen alike: where time decides how, one decision is for both, by the device that sees both.
    is_whole = _deadline() is not None and files.known_limit(SIDE_LIMIT) is None
    return _seen(("train", "test") if is_whole else (role,))[role]


@cache
def _seen(roles: tuple[str, ...]) -> Views:
    if not _is_for_gpu() or efficient_net.read_weights() is None:
        return _look(roles, device.PROCESSOR)
    found, where = device.run_somewhere(partial(_look, roles), FAILURES)
    print(f"A network's view of images, {where}", flush=True)
    return found


def _look(roles: tuple[str, ...], where: str) -> Views:
    network = _network(where)
    side = _side(network, where) if network else 0
    if network is None or not side:
        return {role: np.empty((len(paths(role)), 0), dtype=np.float32) for role in roles}
    return {role: _views_of(paths(role), network, side) for role in roles}


def _network(where: str) -> Network | None:
    weights = efficient_net.read_weights()
    if weights is None:
        return None
    if where == device.PROCESSOR:
        return efficient_net.Network(weights)
    from efficient_net_torch import TorchNetwork

    return TorchNetwork(weights, where)


def _views_of(images: Paths, network: Network, side: int) -> Floats:
    size = network.at_once(side)
    parts = [images[start : start + size] for start in range(0, len(images), size)]
    with threadpool_limits(1), ThreadPoolExecutor(files.threads()) as pool:
        return np.concatenate(list(pool.map(lambda part: _view(part, network, side), parts)))


def _view(part: Paths, network: Network, side: int) -> Floats:
    images = [read_image(path, side) for path in part]
    pixels = np.stack([np.zeros((side, side, 3), np.uint8) if image is None else image[0] for image in images])
    shown = ((pixels.astype(np.float32) - 127) / 128).astype(np.float32)
    seen = network.look(shown)
    if files.config()["features"].get("mirrored"):
        seen = np.mean([seen, network.look(shown[:, :, ::-1])], axis=0, dtype=np.float32)
    seen[[image is None for image in images]] = np.nan
    return seen


@cache
def _is_for_gpu() -> bool:
    return bool(files.config()["features"].get("gpu"))


def _deadline() -> float | None:
    given = os.environ.get("AUTOKAGGLE_DEADLINE")
    return float(given) if given else None


def _side(network: Network, where: str) -> int:
    """Return the side to which images are scaled, 0 when even the smallest would take too long.

    Without a clock it is the same wherever the network is: one script may find a GPU, and the next one none.
    """
    if (known := files.known_limit(SIDE_LIMIT)) is not None:
        return int(known)
    deadline = _deadline()
    if deadline is None:
        return SIDES_ON_GPU[0] if _is_for_gpu() else LARGEST_SIDE
    return files.note_limit(SIDE_LIMIT, _side_in_time(network, where, deadline))


def _side_in_time(network: Network, where: str, deadline: float) -> int:
    expected = time_left = 0.0
    for side in SIDES_ON_GPU if where == device.GPU else (SMALLEST_SIDE,):
        expected = _expected_seconds(network, side)
        time_left = SHARE_OF_TIME * (deadline - time.time())
        if expected <= time_left and where == device.GPU:
            return side
        if expected <= time_left:
            return min(LARGEST_SIDE, int(side * np.sqrt(time_left / max(expected, 1e-9))) // 32 * 32)
    every = sum(len(paths(role)) for role in ("train", "test"))
    print(f"No network: {every} images would take {expected:.0f} s of {time_left:.0f} s.", flush=True)
    return 0


def _expected_seconds(network: Network, side: int) -> float:
    """Return how long all images should take, by as many as are looked at side by side."""
    every = [path for role in ("train", "test") for path in paths(role)]
    _view(every[:1], network, side)  # the first time is slower
    sample = every[: network.at_once(side) * files.threads()]
    started = time.time()
    _views_of(sample, network, side)
    return (time.time() - started) / max(1, len(sample)) * len(every)
