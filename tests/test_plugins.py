"""Plugins: our own defaults come by the public door, and a broken package costs only itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from autokaggle.errors import UsageError
from autokaggle.plugins import hookspecs
from autokaggle.plugins.kinds import KINDS
from autokaggle.plugins.manager import Plugins
from autokaggle.records.candidate import Search
from autokaggle.skills.dialogue.language_model import ModelFailure, ModelRequest, silently
from autokaggle.skills.pipeline import families
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS
from autokaggle.skills.pipeline.proposals import wants_gpu
from autokaggle.skills.sandbox import backends
from autokaggle.skills.scoring.metric_catalogue import METRICS
from tests.dialogue_facts import profile as make_profile
from tests.small_plans import make_plan

Write = Callable[[str, str], EntryPoint]
METRIC = """
from autokaggle.skills.scoring.metric import Metric
def metric(id, function):
    return Metric(id=id, title=id, greater_is_better=True, input="value", function=function, loss="squared")
"""


@pytest.fixture(autouse=True)
def nothing_stays_in_force() -> Iterator[None]:
    """Take out of the skills' registries what a test's plugins put there."""
    registries: list[dict[str, Any]] = [METRICS, families.PLUGGED, backends.PLUGGED]
    before = [dict(registry) for registry in registries]
    yield
    for registry, known in zip(registries, before, strict=True):
        registry.clear()
        registry.update(known)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a plugin's module and gives its entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def write_plugin(name: str, code: str) -> EntryPoint:
        monkeypatch.delitem(sys.modules, f"plugged_{name}", raising=False)
        (tmp_path / f"plugged_{name}.py").write_text("from autokaggle.plugins import hookimpl\n" + code)
        return EntryPoint(name=name, value=f"plugged_{name}", group="autokaggle")

    return write_plugin


def hook(name: str, given: str) -> str:
    return f"@hookimpl\ndef autokaggle_{name}():\n    return {given}\n"


def test_the_built_in_template_and_proposer_are_there() -> None:
    plugins = Plugins(found=[])
    template = plugins.template("tabular")
    assert (template.folder / "train.py").is_file()
    assert plugins.proposers()[0].name == "portfolio"


def test_what_ships_comes_by_the_same_door() -> None:
    plugins = Plugins(found=[]).put_in_force()
    assert set(METRICS) == set(plugins.given("metrics"))
    assert set(families.family_names()) == set(plugins.given("model_families"))
    assert [backend.name for backend in backends.backends()] == list(plugins.given("isolation_backends"))
    assert plugins.known["built-in"].problems == []


def test_every_hook_has_a_kind_and_every_kind_a_hook() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("autokaggle_")}
    assert {kind.hook for kind in KINDS.values()} == hooks


def test_an_unknown_template_is_a_usage_error_that_lists_the_known() -> None:
    with pytest.raises(UsageError, match="tabular"):
        Plugins(found=[]).template("hologram")


def test_a_plugin_adds_a_template(write: Write, tmp_path: Path) -> None:
    for name in ("train.py", "validate.py", "predict.py"):
        (tmp_path / name).write_text("")
    code = "from pathlib import Path\nfrom autokaggle.plugins.extensions import Template\n"
    code += hook("templates", f"[Template('orchard', Path({str(tmp_path)!r}), ('numpy',))]")
    plugins = Plugins(found=[write("orchard", code)])
    assert plugins.template("orchard").requirements == ("numpy",)
    assert plugins.template("tabular").name == "tabular"


def test_a_plugins_metric_is_found_by_its_name_and_by_its_wording(write: Write) -> None:
    from autokaggle.skills.scoring.metrics import identify_metric

    code = METRIC.replace('loss="squared"', 'loss="squared", aliases=("orchard score",)')
    Plugins(found=[write("orchard", code + hook("metrics", "[metric('orchard', lambda t, p: 1.0)]"))]).put_in_force()
    assert METRICS["orchard"].greater_is_better
    assert identify_metric("Orchard Score", "").metric == "orchard"


def test_a_plugins_family_may_be_planned_and_brings_its_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "model_hedge.py").write_text("def fit(task):\n    return None\n")
    code = "from pathlib import Path\nfrom autokaggle.skills.pipeline.families import ModelFamily\n"
    code += "from autokaggle.skills.pipeline.portfolio import Entry\n"
    code += f"FILE = Path({str(tmp_path)!r}) / 'model_hedge.py'\n"
    code += hook("model_families", "[ModelFamily('hedge', FILE, (), (Entry('Hedge', 'hedge', 1.0, 'Why not.'),))]")
    Plugins(found=[write("hedge", code)]).put_in_force()
    assert "hedge" in families.family_names()


def test_a_plugins_language_model_is_opened_by_its_prefix_and_its_errors_are_failures(write: Write) -> None:
    code = """
from autokaggle.plugins.extensions import ModelProvider
class Parrot:
    is_local = True
    def __init__(self, name, environment):
        self.name = name
    def ask(self, request, on_text):
        raise RuntimeError("no words today")
"""
    plugins = Plugins(found=[write("parrot", code + hook("language_models", "[ModelProvider('parrot', Parrot)]"))])
    model = plugins.language_model("parrot:grey", {})
    assert (model.name, model.is_local) == ("parrot:grey", True)
    with pytest.raises(ModelFailure, match="no words today"):
        model.ask(ModelRequest("decide", "", ()), silently)


def test_a_plugins_backend_comes_after_ours_of_the_same_level(write: Write) -> None:
    code = "from autokaggle.skills.sandbox.backends import Backend\n"
    code += "def wrap(order, job, layout, interpreter):\n    return order\n"
    code += hook("isolation_backends", "[Backend('moat', 'strong', lambda: 'there is no water.', wrap)]")
    Plugins(found=[write("moat", code)]).put_in_force()
    names = [backend.name for backend in backends.backends()]
    assert names[names.index("moat") - 1 :] == ["bubblewrap", "moat", "landlock"] or "sandbox-exec" in names


def test_a_backend_that_builds_no_walls_is_not_used(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from autokaggle.skills.sandbox.isolation import try_backend

    code = "from autokaggle.skills.sandbox.backends import Backend\n"
    code += hook("isolation_backends", "[Backend('air', 'strong', lambda: '', lambda order, *rest: order)]")
    Plugins(found=[write("air", code)]).put_in_force()
    assert try_backend(backends.find_backend("air")).startswith("the probe reached")


def test_a_report_section_is_rendered_and_a_failing_one_is_left_out(write: Write, tmp_path: Path) -> None:
    code = "from autokaggle.plugins.extensions import ReportSection\n"
    sections = "[ReportSection('a', 'Harvest', lambda run: run.name), ReportSection('b', 'Frost', lambda run: 1 / 0)]"
    warnings: list[str] = []
    plugins = Plugins(warnings.append, [write("harvest", code + hook("report_sections", sections))])
    assert list(plugins.report_sections(tmp_path)) == [("Harvest", tmp_path.name)]
    assert len(warnings) == 1
    assert "section b failed" in warnings[0]


def test_a_proposer_that_raises_is_not_asked_again(write: Write) -> None:
    code = """
class Moody:
    name = "moody"
    def propose(self, search):
        raise ValueError("not today")
    def requirements(self, plan, profile):
        return ("numpy",)
"""
    warnings: list[str] = []
    plugins = Plugins(warnings.append, [write("moody", code + hook("proposers", "[Moody()]"))])
    moody = plugins.proposers()[-1]
    plan, profile = make_plan("rmse"), make_profile()
    assert moody.requirements(plan, profile) == ("numpy",)
    search = Search(plan=plan, profile=profile, seconds_left=1.0)
    assert moody.propose(search) is None
    assert plugins.proposers()[-1].propose(search) is None
    assert warnings == ["The proposer moody failed and is not asked again: ValueError('not today')"]


def test_what_a_plugin_proposes_is_the_plugins_though_it_does_not_say_so(write: Write) -> None:
    code = """
from autokaggle.records.candidate import Proposal
class Quick:
    name = "quick"
    def propose(self, search):
        return Proposal(title="LightGBM, quick", family="lightgbm", config={"model": {"gpu": True}})
    def requirements(self, plan, profile):
        return ()
"""
    plugins = Plugins(print, [write("quick", code + hook("proposers", "[Quick()]"))])
    search = Search(plan=make_plan("rmse"), profile=make_profile(), seconds_left=60.0)
    ours, *_, theirs = (proposer.propose(search) for proposer in plugins.proposers())
    assert ours is not None
    assert theirs is not None
    assert (ours.title, ours.author) == ("LightGBM, quick", "portfolio")
    assert (theirs.title, theirs.author) == ("LightGBM, quick", "plugin")
    assert not wants_gpu(theirs)
    # Of this title the portfolio's own is still to come.
    assert plugins.proposers()[0].propose(msgspec.structs.replace(search, running=(theirs,))) == ours


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("import a_library_that_is_not_there\n", "cannot be loaded"),
        ("raise SystemExit(3)\n", "cannot be loaded"),
        ("this is no Python\n", "cannot be loaded"),
        ("@hookimpl\ndef autokaggle_metrics(surprise):\n    return []\n", "cannot be loaded"),
        ("pass\n", "has no hook"),
        (hook("metricz", "[]"), "do not exist: autokaggle_metricz"),
        (hook("metrics", "1 / 0"), "autokaggle_metrics failed"),
        (hook("metrics", "7"), "autokaggle_metrics failed"),
        (hook("metrics", "['rmse']"), "a Metric is wanted"),
        (METRIC + hook("metrics", "[metric('rmse', lambda t, p: 1.0)]"), "gives one of this name already"),
        (METRIC + hook("metrics", "[metric('b b', lambda t, p: 1.0)]"), "no plain name"),
        (METRIC + hook("metrics", "[metric('odd', lambda t, p: 1 / 0)]"), "fails on four rows"),
        (METRIC + hook("metrics", "[metric('odd', lambda t, p: float('nan'))]"), "scores four rows with nan"),
        (hook("templates", "['tabular']"), "a Template is wanted"),
        (hook("proposers", "[object()]"), "a Proposer is wanted"),
        (hook("prompts", "['/nowhere']"), "a Path is wanted"),
        ("from pathlib import Path\n" + hook("prompts", "[Path('/nowhere')]"), "no such folder"),
        (
            "from pathlib import Path\nfrom autokaggle.skills.pipeline.families import ModelFamily\n"
            + hook("model_families", "[ModelFamily('oak', Path('/nowhere/model_oak.py'), (), ())]"),
            "cannot be read",
        ),
    ],
)
def test_a_broken_plugin_is_named_and_skipped_and_others_still_count(write: Write, code: str, fault: str) -> None:
    warnings: list[str] = []
    good = write("good", METRIC + hook("metrics", "[metric('good', lambda t, p: 1.0)]"))
    plugins = Plugins(warnings.append, [write("bad", code), good]).put_in_force()
    assert len(warnings) == 1, warnings
    assert fault in warnings[0]
    assert "bad" in warnings[0]
    assert plugins.known["bad"].problems == warnings
    assert plugins.known["good"].gives == {"metrics": ["good"]}


def test_two_plugins_of_one_name_are_told_apart(write: Write) -> None:
    warnings: list[str] = []
    first, second = write("twin", METRIC + hook("metrics", "[]")), write("other", METRIC + hook("metrics", "[]"))
    Plugins(warnings.append, [first, EntryPoint("twin", second.value, "autokaggle")])
    assert len(warnings) == 1
    assert "another plugin has this name" in warnings[0]


def test_the_example_plugin_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(__file__).resolve().parents[1] / "examples" / "plugin" / "src"
    monkeypatch.syspath_prepend(source)
    entry = EntryPoint("orchard", "autokaggle_orchard", "autokaggle")
    example = entry.load()
    assert isinstance(example, ModuleType)
    warnings: list[str] = []
    plugins = Plugins(warnings.append, [entry]).put_in_force()
    assert warnings == []
    given = plugins.known["orchard"].gives
    assert given == {"metrics": ["within_ten_percent"], "model_families": ["neighbours"]}
    # A line that differs from ours would make its candidates wait for an environment of their own.
    assert all({*family.requirements} <= {*BASE_REQUIREMENTS} for family in example.autokaggle_model_families())
