"""Checks of a candidate's code before it runs; this file finds what would fail anyway, and says where.

It gives feedback for repairs. It is no protection: code that means harm passes such checks. The sandbox is the
boundary.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from autokaggle.python_code import parse_python

REQUIRED_FILES = ("features.py", "train.py", "validate.py", "predict.py", "config.yaml")
# The functions of features.py, with the number of arguments that they are called with.
REQUIRED_FUNCTIONS = {"fit": 1, "transform": 2}
LARGEST_FILE_BYTES = 200_000
# Packages that a run's environment may hold. Of the standard library everything is allowed but what is named below.
PACKAGES = frozenset(
    [
        "catboost",
        "category_encoders",
        "holidays",
        "imblearn",
        "joblib",
        "lightgbm",
        "numpy",
        "optuna",
        "pandas",
        "PIL",
        "polars",
        "pyarrow",
        "pytabkit",
        "scipy",
        "shap",
        "sklearn",
        "statsmodels",
        "threadpoolctl",
        "torch",
        "torchvision",
        "transformers",
        "xgboost",
        "yaml",
    ]
)
REFUSED_MODULES = frozenset(
    [
        "asyncio",
        "ctypes",
        "ensurepip",
        "ftplib",
        "http",
        "imaplib",
        "pip",
        "poplib",
        "pty",
        "smtplib",
        "socket",
        "socketserver",
        "ssl",
        "subprocess",
        "telnetlib",
        "urllib",
        "venv",
        "webbrowser",
        "xmlrpc",
    ]
)
MODULE_NAMES = frozenset({"__file__", "__name__", "__doc__", "__package__", "__spec__", "__loader__", "__builtins__"})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def check_code(folder: Path) -> tuple[str, ...]:
    """Return the problems of a code folder, as ``file:line: what is wrong``; none when it may run."""
    problems = [f"{name}: the file is missing" for name in REQUIRED_FILES if not (folder / name).is_file()]
    problems += _config_problems(folder / "config.yaml")
    modules: dict[str, Module] = {}
    for path in sorted(folder.glob("*.py")):
        try:
            modules[path.stem] = _parse(path)
        except SyntaxError as error:
            problems.append(f"{path.name}:{error.lineno or 1}: syntax error: {error.msg}")
        except (ValueError, RecursionError) as error:
            problems.append(f"{path.name}: no Python text: {error}")
    for name, module in modules.items():
        found = [*_import_problems(module, modules, folder), *_undefined_names(module)]
        problems += [f"{name}.py:{line}: {problem}" for line, problem in sorted(found)]
    if "features" in modules:
        problems += [f"features.py:{line}: {problem}" for line, problem in _function_problems(modules["features"])]
    return tuple(problems)


@dataclass(frozen=True)
class Module:
    """One file: its syntax tree, and the names that each of its scopes reads and binds, the module's own first."""

    tree: ast.Module
    scopes: tuple[symtable.SymbolTable, ...]

    @property
    def bound(self) -> set[str]:
        """The names that the module binds at its top level, in whatever way."""
        top = {symbol.get_name() for symbol in self.scopes[0].get_symbols() if _binds(symbol)}
        inner = (symbol for scope in self.scopes[1:] for symbol in scope.get_symbols())
        return top | {symbol.get_name() for symbol in inner if symbol.is_declared_global()}


def _binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported()


def _config_problems(path: Path) -> list[str]:
    if not path.is_file():
        return []
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [f"config.yaml: not readable: {' '.join(str(error).split())}"]
    return [] if isinstance(content, dict) else ["config.yaml: must hold keys and values"]


def _parse(path: Path) -> Module:
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise ValueError(f"longer than {LARGEST_FILE_BYTES:,} bytes")
    text = path.read_text("utf-8")
    tree = parse_python(text, path.name)
    compile(tree, path.name, "exec", dont_inherit=True)  # finds what parsing does not: a return outside a function
    scopes = [symtable.symtable(text, path.name, "exec")]
    for scope in scopes:
        scopes.extend(scope.get_children())
    return Module(tree, tuple(scopes))


def _import_problems(module: Module, siblings: dict[str, Module], folder: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if problem := _module_problem(alias.name, folder):
                    yield node.lineno, problem
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "relative import; files beside each other import by plain name"
            elif problem := _module_problem(node.module or "", folder):
                yield node.lineno, problem
            elif node.module in siblings:
                known = siblings[node.module].bound | {"*"}
                for alias in node.names:
                    if alias.name not in known:
                        yield node.lineno, f"{node.module}.py defines no {alias.name!r}"


def _module_problem(module: str, folder: Path) -> str:
    top = module.partition(".")[0]
    if top in PACKAGES or (folder / f"{top}.py").is_file():
        return ""
    if top in REFUSED_MODULES:
        return f"module {top!r} is of no use here: there is no network and no other process"
    if top in sys.stdlib_module_names:
        return ""
    return f"module {top!r} is not installed; there are {', '.join(sorted(PACKAGES))}"


def _undefined_names(module: Module) -> Iterator[tuple[int, str]]:
    """Yield names that are read somewhere and bound nowhere; such a line fails when it is reached."""
    nodes = list(ast.walk(module.tree))
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in nodes):
        return
    top = module.scopes[0]
    read = {
        symbol.get_name()
        for scope in module.scopes
        for symbol in scope.get_symbols()
        if symbol.is_referenced() and (scope is top or symbol.is_global())
    }
    lines = {node.id: node.lineno for node in reversed(nodes) if isinstance(node, ast.Name)}
    for name in sorted(read - module.bound - set(dir(builtins)) - MODULE_NAMES):
        yield lines.get(name, 1), f"name {name!r} is not defined"


def _function_problems(module: Module) -> Iterator[tuple[int, str]]:
    functions = {node.name: node for node in module.tree.body if isinstance(node, FUNCTIONS)}
    for name, given in REQUIRED_FUNCTIONS.items():
        if name not in functions:
            if name not in module.bound:
                yield 1, f"function {name!r} is missing"
            continue
        arguments = functions[name].args
        places = len(arguments.posonlyargs) + len(arguments.args)
        needed = places - len(arguments.defaults)
        enough = places >= given or arguments.vararg is not None
        if needed > given or not enough:
            yield functions[name].lineno, f"{name} is called with {given} arguments, it takes {needed} to {places}"
