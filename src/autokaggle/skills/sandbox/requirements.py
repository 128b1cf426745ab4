"""Which packages generated code may ask for; this file holds the list and explains what is refused.

A name that is not on the list is refused or put to the user: whoever invents a likely name first owns what it installs.
The list says nothing of what a package does at run time; the sandbox is there for that.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from autokaggle.errors import UsageError

# Bounds keep to major versions whose interfaces the templates and the prompts know.
KNOWN_PACKAGES = {
    # tables and numbers
    "numpy": ">=1.26,<3",
    "scipy": ">=1.11,<2",
    "pandas": ">=2.1,<4",
    "polars": ">=1,<2",
    "pyarrow": ">=15",
    "duckdb": ">=1,<3",
    "numexpr": ">=2.8,<3",
    "numba": ">=0.59,<1",
    "bottleneck": ">=1.3,<2",
    "openpyxl": ">=3.1,<4",
    "joblib": ">=1.3,<2",
    "threadpoolctl": ">=3,<4",
    "pyyaml": ">=6,<7",
    "tqdm": ">=4.66,<5",
    # models for tables
    "scikit-learn": ">=1.4,<2",
    "lightgbm": ">=4,<5",
    "xgboost": ">=2,<4",
    "xgboost-cpu": ">=2,<4",
    "catboost": ">=1.2,<2",
    "imbalanced-learn": ">=0.12,<1",
    "category-encoders": ">=2.6,<3",
    "feature-engine": ">=1.7,<2",
    "featuretools": ">=1.28,<2",
    "hdbscan": ">=0.8,<1",
    "umap-learn": ">=0.5,<1",
    "interpret": ">=0.6,<1",
    "shap": ">=0.44,<1",
    "optuna": ">=3.5,<5",
    "hyperopt": ">=0.2.7,<1",
    "networkx": ">=3.2,<4",
    "statsmodels": ">=0.14,<1",
    "rtdl-num-embeddings": "",
    "pytabkit": ">=1,<2",
    "lifelines": ">=0.28,<1",
    "scikit-survival": ">=0.22,<1",
    "implicit": ">=0.7,<1",
    "scikit-surprise": ">=1.1,<2",
    # time
    "prophet": ">=1.1,<2",
    "statsforecast": ">=1.7,<3",
    "mlforecast": ">=0.13,<2",
    "utilsforecast": "",
    "sktime": ">=0.26,<1",
    "tsfresh": ">=0.20,<1",
    "pmdarima": ">=2,<3",
    "holidays": ">=0.45,<1",
    # text
    "nltk": ">=3.8,<4",
    "spacy": ">=3.7,<4",
    "gensim": ">=4.3,<5",
    "textstat": ">=0.7,<1",
    "rapidfuzz": ">=3,<4",
    "regex": "",
    "ftfy": ">=6,<7",
    "langdetect": ">=1,<2",
    "tokenizers": ">=0.15,<1",
    "transformers": ">=4.38,<6",
    "sentence-transformers": ">=2.5,<6",
    "sentencepiece": ">=0.2,<1",
    "beautifulsoup4": ">=4.12,<5",
    "lxml": ">=5,<7",
    # images, sound, deep learning
    "torch": ">=2.2,<3",
    "torchvision": ">=0.17,<1",
    "torchaudio": ">=2.2,<3",
    "pytorch-lightning": ">=2.2,<3",
    "timm": ">=0.9,<2",
    "tensorflow": ">=2.16,<3",
    "tensorflow-cpu": ">=2.16,<3",
    "keras": ">=3,<4",
    "onnxruntime": ">=1.17,<2",
    "pillow": ">=10,<13",
    "opencv-python-headless": ">=4.9,<5",
    "scikit-image": ">=0.22,<1",
    "albumentations": ">=1.4,<3",
    "imageio": ">=2.34,<3",
    "tifffile": "",
    "pydicom": ">=2.4,<4",
    "librosa": ">=0.10,<1",
    "soundfile": ">=0.12,<1",
    # chemistry, places
    "rdkit": "",
    "geopandas": ">=0.14,<2",
    "shapely": ">=2,<3",
    "haversine": ">=2.8,<3",
    "h3": ">=3.7,<5",
    # pictures of data
    "matplotlib": ">=3.8,<4",
    "seaborn": ">=0.13,<1",
    "plotly": ">=5.18,<7",
}

# What people write who think of the import; the package of that name, if any, is another one.
IMPORT_NAMES = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "cv2": "opencv-python-headless",
    "opencv-python": "opencv-python-headless",
    "pil": "pillow",
    "yaml": "pyyaml",
    "bs4": "beautifulsoup4",
    "imblearn": "imbalanced-learn",
    "category-encoder": "category-encoders",
    "umap": "umap-learn",
    "lgbm": "lightgbm",
    "lightning": "pytorch-lightning",
    "sksurv": "scikit-survival",
    "pytorch": "torch",
    "surprise": "scikit-surprise",
}
CLOSE_ENOUGH = 0.8
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Refusal:
    """One requirement that may not be installed, and why; the reason names the package that was likely meant."""

    requirement: str
    reason: str


def check_requirements(lines: Iterable[str]) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
    """Split what generated code asks for into what may be installed and what may not.

    The first part carries the list's version bounds.
    """
    accepted: dict[str, str] = {}
    refused: list[Refusal] = []
    for line in lines:
        verdict = _judge(line.strip())
        if isinstance(verdict, Refusal):
            refused.append(verdict)
        else:
            accepted[verdict] = verdict
    return tuple(accepted), tuple(refused)


def plain_requirement(line: str) -> str:
    """Return a requirement in its normal form: a name, extras, versions, a marker.

    Raises:
        UsageError: it is no requirement, or names a file or an address, which no hash of an index vouches for.
    """
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        raise UsageError(f"{line!r} is no requirement.", "Write a package's name and versions: name>=1,<2") from error
    if requirement.url:
        raise UsageError(
            f"{line!r} names an address instead of a version.", "Write a package's name and versions: name>=1,<2"
        )
    return str(requirement)


def check_lock(lock: str) -> None:
    """Make sure that ``lock`` is nothing but pinned versions with their hashes.

    Raises:
        UsageError: a line could fetch from elsewhere, or fetch anything at all.
    """
    for line in lock.replace("\\\n", " ").splitlines():
        requirement, *hashes = line.partition("#")[0].split(" --hash=")
        if not requirement.strip():
            continue
        versions = list(Requirement(plain_requirement(requirement.strip())).specifier)
        is_pinned = len(versions) == 1 and versions[0].operator == "==" and not versions[0].version.endswith(".*")
        if not is_pinned or not hashes or not all(SHA256.fullmatch(digest.strip()) for digest in hashes):
            raise UsageError(
                f"The lock has a line that is no pinned version with sha256 hashes: {line.strip()[:200]!r}.",
                "Restore requirements.lock, or resolve the requirements again.",
            )


def _judge(line: str) -> str | Refusal:
    try:
        requirement = Requirement(plain_requirement(line))
    except UsageError as error:
        return Refusal(line, error.message)
    name = canonicalize_name(requirement.name)
    if name not in KNOWN_PACKAGES:
        return _unknown(line, name)
    bounds = SpecifierSet(KNOWN_PACKAGES[name])
    for specifier in requirement.specifier:
        if specifier.operator in ("==", "===") and not _allows(bounds, specifier.version):
            return Refusal(line, f"AutoKaggle knows {name} in versions {bounds}.")
    if requirement.extras:
        return Refusal(
            line, f"extras bring packages that may be unknown; ask for {name} alone, and for others by name."
        )
    return f"{name}{requirement.specifier & bounds}"


def _allows(bounds: SpecifierSet, version: str) -> bool:
    try:
        return bounds.contains(Version(version.removesuffix(".*")), prereleases=True)
    except InvalidVersion:
        return False


def _unknown(line: str, name: str) -> Refusal:
    if meant := IMPORT_NAMES.get(name):
        return Refusal(line, f"{name} is the name of an import; its package is {meant}.")
    if near := difflib.get_close_matches(name, KNOWN_PACKAGES, n=1, cutoff=CLOSE_ENOUGH):
        reason = f"{name} looks like {near[0]} but is another package; such names are used to spread harmful code."
        return Refusal(line, reason)
    return Refusal(line, f"{name} is not on the list of well-known packages.")
