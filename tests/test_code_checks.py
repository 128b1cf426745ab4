"""Code that would fail anyway is found before it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokaggle.skills.pipeline.code_checks import check_code
from autokaggle.skills.pipeline.pipeline_generator import template_folder

FEATURES = "def fit(train):\n    return None\n\ndef transform(table, state):\n    return table\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for name in ("train.py", "validate.py", "predict.py"):
        (tmp_path / name).write_text("import files\n\nprint(files.NAME)\n")
    (tmp_path / "files.py").write_text("NAME = 'files'\n")
    (tmp_path / "features.py").write_text(FEATURES)
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    return tmp_path


def test_sound_code_has_no_problem(code: Path) -> None:
    assert check_code(code) == ()


def test_the_template_that_ships_has_no_problem(code: Path) -> None:
    for path in template_folder("tabular").glob("*.py"):
        (code / path.name).write_bytes(path.read_bytes())
    assert check_code(code) == ()


@pytest.mark.parametrize("name", ["features.py", "train.py", "validate.py", "predict.py", "config.yaml"])
def test_a_missing_file_is_named(code: Path, name: str) -> None:
    (code / name).unlink()
    assert f"{name}: the file is missing" in check_code(code)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("def broken(:", "syntax error"),
        ("return 1", "syntax error: 'return' outside function"),
        ("x = 'a\0b'", "null bytes"),
        ("import colour_science", "module 'colour_science' is not installed"),
        ("import requests.sessions", "module 'requests' is not installed"),
        ("import socket", "module 'socket' is of no use here"),
        ("from .files import NAME", "relative import"),
        ("from files import NAMES", "files.py defines no 'NAMES'"),
        ("value = colour + 1", "name 'colour' is not defined"),
        ("def f():\n    return [colour for n in range(3)]", "name 'colour' is not defined"),
        ("class C:\n    def f(self):\n        return colour", "name 'colour' is not defined"),
    ],
)
def test_a_line_that_would_fail_is_named(code: Path, line: str, problem: str) -> None:
    (code / "features.py").write_text(f"{FEATURES}\n{line}\n")
    found = check_code(code)
    assert len(found) == 1
    assert found[0].startswith("features.py")
    assert problem in found[0]


@pytest.mark.parametrize(
    "line",
    [
        "import numpy as np, pandas.api.types, lightgbm",
        "from sklearn.linear_model import Ridge as R",
        "def f():\n    global late\n    late = 1\n\ndef g():\n    return late",
        "try:\n    import holidays\nexcept ImportError:\n    holidays = None\nprint(holidays, __file__)",
        "def f(a, *b, c=1, **d):\n    return [x for x in b if (y := x) > c], a, d",
        "class C:\n    n = 1\n    def f(self):\n        return __class__, self.n",
        "match 1:\n    case [first, *rest]:\n        print(first, rest)\n    case {'a': b, **c}:\n        print(b, c)",
    ],
)
def test_sound_lines_pass(code: Path, line: str) -> None:
    (code / "features.py").write_text(f"{FEATURES}\n{line}\n")
    assert check_code(code) == ()


def test_the_line_of_an_undefined_name_is_its_first(code: Path) -> None:
    (code / "features.py").write_text(f"{FEATURES}\nprint(colour)\nprint(colour)\n")
    assert check_code(code) == ("features.py:7: name 'colour' is not defined",)


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ("def transform(table, state):\n    return table\n", "function 'fit' is missing"),
        ("fit = None\n", "function 'transform' is missing"),
        (FEATURES.replace("(train)", "(train, test)"), "fit is called with 1 arguments, it takes 2 to 2"),
        (FEATURES.replace("(table, state)", "(table)"), "transform is called with 2 arguments, it takes 1 to 1"),
    ],
)
def test_features_must_have_its_two_functions(code: Path, features: str, problem: str) -> None:
    (code / "features.py").write_text(features)
    assert any(problem in found for found in check_code(code))


def test_a_configuration_that_cannot_be_read_is_said(code: Path) -> None:
    (code / "config.yaml").write_text("a: [1,\n")
    assert check_code(code)[0].startswith("config.yaml: not readable")
    (code / "config.yaml").write_text("- a\n")
    assert check_code(code) == ("config.yaml: must hold keys and values",)


def test_a_huge_file_is_refused(code: Path) -> None:
    (code / "features.py").write_text(FEATURES + "#" * 300_000)
    assert check_code(code) == ("features.py: no Python text: longer than 200,000 bytes",)
