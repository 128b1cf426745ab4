"""The pipeline for images finds each row's file, sees what is in it, and lives with files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from autokaggle.storage.artifacts import CandidateFolder
from tests.small_competition import SmallCompetition, prepare, run_all, shuffling_costs

TRAIN_ROWS, TEST_ROWS, SIDE = 120, 30, 24


def stripes() -> SmallCompetition:
    """Return rows that name images of upright or lying stripes."""
    label = np.random.default_rng(0).integers(0, 2, TRAIN_ROWS)
    train = pd.DataFrame({"id": [f"{row:03d}" for row in range(TRAIN_ROWS)], "way": np.array(["down", "up"])[label]})
    test = pd.DataFrame({"id": [f"{row:03d}" for row in range(TEST_ROWS)]})
    classes = {"way": ("down", "up")}
    return SmallCompetition(train, test, {"id": "id"}, ("way",), "binary_classification", "accuracy", "label", classes)


def write_images(competition: SmallCompetition, candidate: CandidateFolder, suffix: str, deeper: str) -> None:
    """Write one file per row: train and test use the same names, in folders of their own."""
    random = np.random.default_rng(1)
    data = candidate.path.parents[1] / "input" / "data"
    for role, table in (("train", competition.train), ("test", competition.test)):
        folder = data / f"{role}_images" / deeper
        folder.mkdir(parents=True, exist_ok=True)
        for row, name in enumerate(table["id"]):
            upright = table["way"].iloc[row] == "up" if role == "train" else row % 2 == 0
            wave = 127 + 100 * np.sign(np.sin(np.arange(SIDE) * 1.5 + random.uniform(0, 6)))
            pixels = np.tile(wave, (SIDE, 1)) + random.normal(0, 20, (SIDE, SIDE))
            picture = np.clip(pixels if upright else pixels.T, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{name}{suffix}")


def run(folder: Path, family: str, config: dict[str, Any], suffix: str = ".png", deeper: str = "") -> CandidateFolder:
    competition = stripes()
    candidate = prepare(competition, folder, config, family, template="image")
    write_images(competition, candidate, suffix, deeper)
    images = candidate.path.parents[1] / "input" / "data" / "train_images" / deeper
    (images / f"000{suffix}").write_bytes(b"no image at all")
    (images / f"001{suffix}").unlink()
    run_all(candidate)
    return candidate


def test_edges_tell_the_way_of_stripes_and_shuffling_the_images_costs_what_they_were_worth(tmp_path: Path) -> None:
    config = {"features": {"pictures": "looks"}, "model": {"parameters": {"rounds": 60}}}
    candidate = run(tmp_path, "lightgbm", config)
    check_tells_the_way(candidate.output)
    is_up = (stripes().train["way"] == "up").to_numpy()
    costs = shuffling_costs(candidate, lambda part: float(((part["way"] > 0.5) == is_up[part["row"]]).mean()))
    assert costs["id",] > 0.3


def test_the_network_for_tables_can_learn_from_images(tmp_path: Path) -> None:
    config = {"features": {"pictures": "looks"}, "model": {"parameters": {"flat": 20, "rounds": 30}}}
    check_tells_the_way(run(tmp_path, "mlp", config).output)


def test_without_weights_the_network_is_left_out(tmp_path: Path) -> None:
    config = {"features": {"pictures": "network"}, "model": {"parameters": {}}}
    check_tells_the_way(run(tmp_path, "linear", config, ".jpg", "part/one").output)


def check_tells_the_way(output: Path) -> None:
    oof, test = pd.read_parquet(output / "oof.parquet"), pd.read_parquet(output / "test_predictions.parquet")
    assert ((oof["way"] > 0.5) == (stripes().train["way"] == "up")).mean() > 0.95
    assert ((test["way"] > 0.5) == (np.arange(TEST_ROWS) % 2 == 0)).mean() > 0.95


def test_files_of_one_name_in_folders_of_labels_are_kept_apart(tmp_path: Path) -> None:
    number = np.arange(TRAIN_ROWS) // 2
    label = np.arange(TRAIN_ROWS) % 2
    names = [f"train/{('lying', 'upright')[value]}/{place}.tif" for place, value in zip(number, label, strict=True)]
    train = pd.DataFrame({"id": names, "way": np.array(["down", "up"])[label]})
    competition = SmallCompetition(**{**vars(stripes()), "train": train})
    config = {"features": {"pictures": "looks"}, "columns": {"id": "path"}, "model": {"parameters": {"rounds": 60}}}
    candidate = prepare(competition, tmp_path, config, "lightgbm", template="image")
    data = candidate.path.parents[1] / "input" / "data"
    upright_rows = {f"train/upright/{place}.tif": True for place in number}
    lying_rows = {f"train/lying/{place}.tif": False for place in number}
    asked = {f"test/{name}.tif": row % 2 == 0 for row, name in enumerate(competition.test["id"])}
    for place, (name, upright) in enumerate((upright_rows | lying_rows | asked).items()):
        wave = 30_000 + 20_000 * np.sign(np.sin(np.arange(SIDE) * 1.5 + place))
        grey = np.tile(wave, (SIDE, 1)).astype(np.uint16)
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey if upright else np.ascontiguousarray(grey.T)).save(data / name)
    run_all(candidate)
    test = pd.read_parquet(candidate.output / "test_predictions.parquet").sort_values("row")
    assert ((test["way"] > 0.5) == (np.arange(TEST_ROWS) % 2 == 0)).mean() > 0.95
