"""Plugins: our own defaults come by the public door, and a broken package costs only itself."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from autokaggle.errors import UsageError
from autokaggle.plugins.manager import Plugins


def test_the_built_in_template_and_proposer_are_there() -> None:
    plugins = Plugins(found=[])
    template = plugins.template("tabular")
    assert (template.folder / "train.py").is_file()
    assert [proposer.name for proposer in plugins.proposers()] == ["portfolio"]


def test_an_unknown_template_is_a_usage_error_that_lists_the_known() -> None:
    with pytest.raises(UsageError, match="tabular"):
        Plugins(found=[]).template("hologram")


def test_a_broken_plugin_is_named_and_skipped() -> None:
    warnings: list[str] = []
    broken = EntryPoint(name="rusty", value="package_that_is_not_there:hooks", group="autokaggle")
    plugins = Plugins(warn=warnings.append, found=[broken])
    assert plugins.names == ["built-in"]
    assert len(warnings) == 1
    assert "rusty" in warnings[0]


def test_a_plugin_adds_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orchard_plugin.py").write_text(
        "from pathlib import Path\n"
        "from autokaggle.plugins import hookimpl\n"
        "from autokaggle.plugins.extensions import Template\n"
        "@hookimpl\n"
        "def autokaggle_templates():\n"
        "    return [Template('orchard', Path('/orchard'), ('numpy',))]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plugin = EntryPoint(name="orchard", value="orchard_plugin", group="autokaggle")
    plugins = Plugins(found=[plugin])
    assert plugins.template("orchard").requirements == ("numpy",)
    assert plugins.template("tabular").name == "tabular"
