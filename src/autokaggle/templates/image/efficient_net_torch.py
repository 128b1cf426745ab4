"""EfficientNet-Lite0 in PyTorch; this file computes on a GPU what ``efficient_net.py`` computes in numpy.

The weights are the same arrays and each sum has the same terms, so the two agree but for the order of sums.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from efficient_net import Floats, border
from torch import Tensor
from torch.nn import functional

import device

MOST_AT_ONCE = 64
# What a point of an image takes at the widest layer: of 224 x 224 points 112 x 112 have 96 channels, once as they are
# and once with a border, beside 16 before and 24 behind; twice as much, since the library needs memory too.
BYTES_PER_POINT = 500
SHARE_OF_MEMORY = 0.5

Layer = tuple[Tensor, Tensor]


class TorchNetwork:
    """The network on one device; ``weights`` are what ``efficient_net.read_weights`` gives.

    Raises:
        device.GpuMissing, RuntimeError: there is no GPU that PyTorch can use.
    """

    def __init__(self, weights: dict[str, Any], where: str = device.GPU) -> None:
        if where == device.GPU:
            if not torch.backends.cuda.is_built():
                raise device.GpuMissing("this PyTorch was built without CUDA")
            torch.cuda.init()  # where it finds no card it says why
        self.where = where
        # Images are read side by side; on the card they take turns, or would need its memory several times.
        self._turn = threading.Lock()
        stem, bias = weights["stem"]
        self._stem = self._layer(stem.transpose(3, 2, 0, 1), bias)
        self._blocks = [self._block(block) for block in weights["blocks"]]
        self._head = self._mixing(weights["head"])

    def at_once(self, side: int) -> int:
        """Return how many images of this side are best seen together, by the memory that is free."""
        if self.where != device.GPU:
            return MOST_AT_ONCE
        free, _ = torch.cuda.mem_get_info()
        return max(1, min(MOST_AT_ONCE, int(SHARE_OF_MEMORY * free / (side * side * BYTES_PER_POINT))))

    def look(self, pixels: Floats) -> Floats:
        """Return (n, 1280) for ``pixels`` (n, side, side, 3) from -1 to 1."""
        # Convolutions would round what they multiply to 10 bits, which shows in the third digit.
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with self._turn, torch.inference_mode(), exact:
            x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).to(self.where)
            seen: Floats = self._forward(x).cpu().numpy()
        return seen

    def _forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(_convolved(x, self._stem, 2))
        for block in self._blocks:
            inside = x
            if "expand" in block:
                inside = functional.relu6(_convolved(inside, block["expand"]), inplace=True)
            inside = functional.relu6(_convolved(inside, block["depth"], block["stride"], alone=True), inplace=True)
            inside = _convolved(inside, block["project"])
            x = x + inside if block["stride"] == 1 and x.shape == inside.shape else inside
        return functional.relu6(_convolved(x, self._head), inplace=True).mean(dim=(2, 3))

    def _block(self, block: dict[str, Any]) -> dict[str, Any]:
        kernel, bias = block["depth"]
        depth = self._layer(kernel.transpose(2, 0, 1)[:, None], bias)
        mixing: dict[str, Any] = {name: self._mixing(block[name]) for name in ("expand", "project") if name in block}
        return {"stride": block["stride"], "depth": depth, **mixing}

    def _mixing(self, layer: tuple[Floats, Floats]) -> Layer:
        return self._layer(layer[0].T[:, :, None, None], layer[1])

    def _layer(self, kernel: Floats, bias: Floats) -> Layer:
        """Return the kernel (outputs, inputs of each, size, size) and the bias, on the device."""
        on_device = [torch.from_numpy(np.array(each, np.float32, order="C")).to(self.where) for each in (kernel, bias)]
        return on_device[0], on_device[1]


def _convolved(x: Tensor, layer: Layer, stride: int = 1, alone: bool = False) -> Tensor:
    """Convolve all channels together, or each ``alone``."""
    kernel, bias = layer
    size = kernel.shape[-1]
    if size > 1:
        down, right = (border(points, size, stride) for points in x.shape[2:])
        x = functional.pad(x, (*right, *down))
    return functional.conv2d(x, kernel, bias, stride, groups=len(kernel) if alone else 1)
