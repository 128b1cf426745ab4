"""A small neural network in numpy: several members that share their layers; this file holds what it computes.

Each member scales the columns in its own way before the shared layers and has outputs of its own, so that one pass
trains and asks an ensemble. PyTorch does the same, but brings gigabytes into an environment. Every number that is
learned lies in one vector: a step of AdamW is a few lines, and the state after the best round one copy.

Sources: members that share layers, Gorishniy et al. 2024, arXiv 2410.24210 (TabM, "mini"); learned scales of columns
at a larger rate and how the rate falls, Holzmüller et al. 2024, arXiv 2407.04491 (RealMLP).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

# How far the members' scales of a column lie apart at first, and how much faster they learn than everything else.
SCALE_SPREAD = 0.5
SCALE_RATE = 15.0
MOMENTUM, SECOND_MOMENTUM, TINY = 0.9, 0.99, 1e-8
# Dropout draws bytes, a quarter of what floats would cost.
BYTE = 256


@dataclass(frozen=True)
class Network:
    """What was learned: ``values`` holds the arrays of ``shapes`` one after the other.

    ``scale`` is (members, 1, columns); ``weights N`` and ``biases N`` belong to hidden layer N; ``heads`` is (members,
    units, outputs), ``offsets`` (members, 1, outputs).
    """

    shapes: dict[str, tuple[int, ...]]
    values: Array

    @property
    def hidden(self) -> range:
        """The numbers of the hidden layers."""
        return range(sum(name.startswith("weights") for name in self.shapes))

    def parts(self, vector: Array) -> dict[str, Array]:
        """Return views of a vector that is laid out like ``values``, by their names."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            end = start + math.prod(shape)
            found[name] = vector[start:end].reshape(shape)
            start = end
        return found

    def copy(self) -> Network:
        """Return a network that stays as this one is now."""
        return Network(self.shapes, self.values.copy())

    def outputs(self, x: Array) -> Array:
        """Return (members, n_rows, outputs) for ``x`` (n_rows, columns): values, or logarithms of odds."""
        parts = self.parts(self.values)
        seen = (x * parts["scale"]).reshape(-1, x.shape[1])
        for number in self.hidden:
            seen = np.maximum(seen @ parts[f"weights {number}"] + parts[f"biases {number}"], 0)
        return _by_member(seen, parts) @ parts["heads"] + parts["offsets"]

    def gradient(self, x: Array, wanted: Array, weights: Array, dropout: float, random: np.random.Generator) -> Array:
        """Return the gradient of the members' losses, summed; each is the weighted mean over the rows.

        ``wanted`` is (n_rows, outputs): values (one output; half the squared error), or 1 for the class and 0 for the
        others (log loss). Units are dropped with the chance ``dropout``, which is rounded to 1/256.
        """
        result = np.zeros_like(self.values)
        parts, slopes = self.parts(self.values), self.parts(result)
        inputs, gates = [(x * parts["scale"]).reshape(-1, x.shape[1])], []
        for number in self.hidden:
            raw = inputs[-1] @ parts[f"weights {number}"] + parts[f"biases {number}"]
            gates.append(_kept(raw, dropout, random) * (raw > 0))
            inputs.append(raw * gates[-1])
        last = _by_member(inputs[-1], parts)
        told = last @ parts["heads"] + parts["offsets"]
        errors = ((chances(told) if told.shape[2] > 1 else told) - wanted) * (weights[:, None] / len(x))
        slopes["heads"][:] = last.transpose(0, 2, 1) @ errors
        slopes["offsets"][:] = errors.sum(axis=1, keepdims=True)
        back = (errors @ parts["heads"].transpose(0, 2, 1)).reshape(inputs[-1].shape)
        for number in reversed(self.hidden):
            back = back * gates[number]
            slopes[f"weights {number}"][:] = inputs[number].T @ back
            slopes[f"biases {number}"][:] = back.sum(axis=0)
            back = back @ parts[f"weights {number}"].T
        slopes["scale"][:, 0] = np.einsum("mrc,rc->mc", _by_member(back, parts), x)
        return result


def start(
    columns: int,
    outputs: Array,
    sizes: Sequence[int],
    members: int,
    random: np.random.Generator,
    kind: type[np.floating[Any]] = np.float32,
) -> Network:
    """Return a network with random weights that tells every row about ``outputs``, one number for each output."""
    shapes: dict[str, tuple[int, ...]] = {"scale": (members, 1, columns)}
    for number, (before, size) in enumerate(zip([columns, *sizes], sizes, strict=False)):
        shapes |= {f"weights {number}": (before, size), f"biases {number}": (size,)}
    shapes |= {"heads": (members, sizes[-1], len(outputs)), "offsets": (members, 1, len(outputs))}
    network = Network(shapes, np.zeros(sum(map(math.prod, shapes.values())), dtype=kind))
    for name, part in network.parts(network.values).items():
        drawn = random.normal(size=part.shape)
        if name == "scale":
            part[:] = 1 + (SCALE_SPREAD * drawn if members > 1 else 0)
        elif name == "heads":
            part[:] = 0.1 * drawn / math.sqrt(part.shape[1])
        elif name == "offsets":
            part[:] = outputs
        else:
            part[:] = drawn * (math.sqrt(2 / len(part)) if name.startswith("weights") else 0.05)
    return network


class AdamW:
    """Steps down the gradient, each number at its own pace; weights shrink a little besides.

    Source: Loshchilov and Hutter 2019, arXiv 1711.05101.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = network
        self.mean = np.zeros_like(network.values)
        self.square = np.zeros_like(network.values)
        self.steps = 0
        self.pace = np.ones_like(network.values)
        self.decay = np.zeros_like(network.values)
        network.parts(self.pace)["scale"][:] = SCALE_RATE
        for name, part in network.parts(self.decay).items():
            if name.startswith(("weights", "heads")):
                part[:] = decay

    def step(self, gradient: Array, rate: float) -> None:
        """Change the network's values by one step of size ``rate``."""
        self.steps += 1
        self.mean += (1 - MOMENTUM) * (gradient - self.mean)
        self.square += (1 - SECOND_MOMENTUM) * (gradient * gradient - self.square)
        size = rate * math.sqrt(1 - SECOND_MOMENTUM**self.steps) / (1 - MOMENTUM**self.steps)
        values = self.network.values
        values -= size * self.pace * self.mean / (np.sqrt(self.square) + TINY) + rate * self.decay * values


def chances(outputs: Array) -> Array:
    """Return probabilities from logarithms of odds, whose last axis are the classes."""
    powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _kept(raw: Array, dropout: float, random: np.random.Generator) -> Array:
    """Return what each unit is multiplied with: 0 where it is dropped, more than 1 elsewhere, 1 on average."""
    dropped = round(dropout * BYTE)
    factor = raw.dtype.type(BYTE / (BYTE - dropped))
    drawn = random.integers(0, BYTE, raw.shape, dtype=np.uint8)
    return (drawn >= dropped) * factor


def _by_member(rows: Array, parts: dict[str, Array]) -> Array:
    """Return (members, n_rows, units) of rows that lie one member after the other."""
    return rows.reshape(len(parts["scale"]), -1, rows.shape[1])
