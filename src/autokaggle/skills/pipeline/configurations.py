"""The models of the portfolio; this file lists their settings in the order in which they should be tried.

First the quickest sane baseline, so that something can be handed in at once; then what adds most to an ensemble per
second: slow, narrow, column-sampled boosting of three libraries, then what errs otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

XGBOOST = "xgboost-cpu>=3.0"
CATBOOST = "catboost>=1.2.7"
HOLIDAYS = "holidays>=0.45"
# The same library built for CUDA; an environment holds one of the two, since both have the same files.
XGBOOST_FOR_GPU = "xgboost>=3.0"


@dataclass(frozen=True)
class Entry:
    """One configuration; ``cost`` is its training time: a multiple of slow LightGBM's, or of its family's estimate.

    With ``encode_all`` the model is told a category's mean target too. One that has ``requirements`` needs more than
    the base environment. ``goal`` says for which targets it is worth its time, the rows for tables of which size.
    """

    title: str
    family: str
    cost: float
    hypothesis: str
    parameters: dict[str, Any] = field(default_factory=dict)
    encode_all: bool = False
    requirements: tuple[str, ...] = ()
    seed_offset: int = 0
    goal: Literal["any", "values", "classes"] = "any"
    least_rows: int = 0
    most_rows: float = math.inf


QUICK = "LightGBM, quick"
SLOW = "LightGBM, slow and narrow"
LINEAR = "Linear"
SPARSE = "Linear, few columns"
KERNEL = "Kernel, columns weighed"
EXTRA_TREES = {
    "extra_trees": True,
    "learning_rate": 0.04,
    "num_leaves": 40,
    "feature_fraction": 0.6,
    "min_data_in_leaf": 10,
    "lambda_l2": 1.0,
}
STUMPY = {
    "learning_rate": 0.04,
    "num_leaves": 8,
    "feature_fraction": 0.25,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
}
PLAIN = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "bagging_freq": 0,
    "min_data_in_leaf": 20,
    "lambda_l2": 0.0,
    "patience": 50,
}
LEAFY = {
    "learning_rate": 0.06,
    "num_leaves": 127,
    "feature_fraction": 0.7,
    "min_data_in_leaf": 100,
    "patience": 50,
}
# Meta-tuned for classification over many data sets. Source: Holzmüller et al. 2024, arXiv 2407.04491 (pytabkit).
TUNED_LIGHTGBM = {
    "learning_rate": 0.04,
    "num_leaves": 50,
    "feature_fraction": 1.0,
    "bagging_fraction": 0.75,
    "min_data_in_leaf": 40,
    "min_sum_hessian_in_leaf": 1e-7,
    "lambda_l2": 0.0,
}
TUNED_CATBOOST = {
    "learning_rate": 0.08,
    "depth": 7,
    "l2_leaf_reg": 1e-5,
    "subsample": 0.9,
    "rsm": 1.0,
    "random_strength": 0.8,
    "leaf_estimation_iterations": 1,
    "border_count": 254,
}
DEEPER_CATBOOST = {"learning_rate": 0.05, "depth": 6, "rsm": 1.0, "border_count": 254}

ENTRIES = (
    Entry(
        QUICK,
        "lightgbm",
        0.2,
        "A few quick trees show that the whole path works and give a first score.",
        {"learning_rate": 0.1, "rounds": 300, "patience": 30, "feature_fraction": 0.6},
    ),
    Entry(
        "LightGBM, many leaves",
        "lightgbm",
        1.5,
        "Where rows are plenty, deeper trees find what shallow ones cannot.",
        LEAFY,
        encode_all=True,
        least_rows=50_000,
    ),
    Entry(
        SLOW,
        "lightgbm",
        1.2,
        "Many small steps, few leaves and a part of the columns for each tree; a category's mean target says at once "
        "what splits would have to find.",
        encode_all=True,
    ),
    Entry(
        LINEAR,
        "linear",
        0.1,
        "A straight line errs elsewhere than trees do, and costs next to nothing.",
    ),
    Entry(
        "XGBoost, slow",
        "xgboost",
        1.5,
        "Another boosting library grows other trees from the same data.",
        requirements=(XGBOOST,),
    ),
    Entry(
        "CatBoost",
        "catboost",
        5.0,
        "Symmetric trees and ordered encoding of categories: often the best single model, and the dearest.",
        requirements=(CATBOOST,),
    ),
    Entry(
        KERNEL,
        "kernel",
        1.0,
        "A smooth function of how alike rows are errs otherwise than trees; columns count by what they do.",
        {"weighings": 2},
        encode_all=True,
        most_rows=50_000,
    ),
    Entry(
        SPARSE,
        "linear",
        0.4,
        "A straight line through the few columns that matter: good where columns are many and rows few.",
        {"sparse": True},
        most_rows=20_000,
    ),
    Entry(
        "Neural network",
        "mlp",
        1.0,
        "A small network whose members are averaged: smooth where trees have steps.",
        most_rows=200_000,
    ),
    Entry(
        "LightGBM, random cuts",
        "lightgbm",
        1.0,
        "Cuts at random places make trees that differ more, and smoother predictions.",
        EXTRA_TREES,
    ),
    Entry(
        "Extra trees",
        "extra_trees",
        1.3,
        "Trees that are grown alone and averaged err otherwise than trees that correct each other.",
        {"rounds": 150},
        encode_all=True,
    ),
    Entry(
        "LightGBM, eight leaves",
        "lightgbm",
        0.8,
        "Shallower trees on fewer columns each: less interaction, less noise.",
        STUMPY,
    ),
    Entry(
        "XGBoost, shallow",
        "xgboost",
        1.5,
        "Three levels and a third of the columns: less interaction, less noise.",
        {"eta": 0.04, "max_depth": 3, "colsample_bytree": 0.3},
        requirements=(XGBOOST,),
    ),
    Entry(
        "LightGBM, plain",
        "lightgbm",
        0.6,
        "All rows and all columns for each tree, larger steps: good where there are many rows.",
        PLAIN,
    ),
    Entry(
        SLOW,
        "lightgbm",
        1.0,
        "The best single model per second where categories are few.",
    ),
    Entry(
        "CatBoost, deeper",
        "catboost",
        6.0,
        "Six levels, finer bins and all columns for each level: good where values follow few columns closely.",
        DEEPER_CATBOOST,
        goal="values",
        requirements=(CATBOOST,),
    ),
    Entry(
        "CatBoost",
        "catboost",
        5.0,
        "Means of the target, computed by us beside CatBoost's own.",
        encode_all=True,
        requirements=(CATBOOST,),
    ),
    Entry(
        "Kernel",
        "kernel",
        1.0,
        "A smooth function of how alike rows are, all columns alike: good where rows are too few to tell which matter.",
        most_rows=50_000,
    ),
    Entry(
        "LightGBM, tuned over many data sets",
        "lightgbm",
        1.5,
        "Defaults that were best over a hundred data sets.",
        TUNED_LIGHTGBM,
        goal="classes",
    ),
    Entry(
        "CatBoost, tuned over many data sets",
        "catboost",
        8.0,
        "Defaults that were best over a hundred data sets.",
        TUNED_CATBOOST,
        goal="classes",
        requirements=(CATBOOST,),
    ),
    Entry(
        LINEAR,
        "linear",
        0.1,
        "Many levels in few columns suit a linear model when data are few.",
        encode_all=True,
    ),
    Entry(
        "Neighbours",
        "nearest",
        0.3,
        "The rows most alike say what trees average away.",
        most_rows=20_000,
    ),
    Entry(
        "XGBoost, slow",
        "xgboost",
        1.7,
        "The same trees, told each category's mean target.",
        encode_all=True,
        requirements=(XGBOOST,),
    ),
    Entry(
        f"{SLOW}, another seed",
        "lightgbm",
        1.2,
        "The same model with other random choices: the mean of two is steadier than either.",
        encode_all=True,
        seed_offset=1,
    ),
    Entry(
        "LightGBM, eight leaves, another seed",
        "lightgbm",
        0.9,
        "Shallow trees profit most from what is told at once.",
        STUMPY,
        encode_all=True,
        seed_offset=2,
    ),
    Entry(
        "CatBoost, another seed",
        "catboost",
        5.0,
        "The same model with other random choices: the mean of two is steadier than either.",
        requirements=(CATBOOST,),
        seed_offset=3,
    ),
    Entry(
        "LightGBM, random cuts, another seed",
        "lightgbm",
        1.2,
        "Random cuts seldom find a category's few good levels by themselves.",
        EXTRA_TREES,
        encode_all=True,
        seed_offset=4,
    ),
)
FAMILIES = tuple(dict.fromkeys(entry.family for entry in ENTRIES))
