"""The house rules that a machine can hold: direction of imports, purity, sizes, and what the wheel contains."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "connect", "streams", "dsl", "cli")
GENERATED = ("core/wire/messages/",)

PURE_FILES = (
    "core/errors.py",
    "core/properties.py",
    "core/wire/",
    "core/coordinators/",
    "streams/plan.py",
    "streams/windows.py",
)
PURE_FILES += ("streams/watermark.py", "streams/ops/", "connect/spec.py", "connect/common_fields.py")
IMPURE_MODULES = {"asyncio", "socket", "ssl", "threading", "time", "random", "os", "pathlib"}

# A package may import itself and what stands here; everything outside this project is free.
MAY_IMPORT = {
    "core.errors": set(),
    "core.ports": {"core.errors"},
    "core.flow_control": {"core.ports"},
    "core.stopping": set(),
    "core.tasks": set(),
    "core.config": {"core.errors"},
    "core.properties": {"core.errors"},
    "core.wire": {"core.errors"},
    "core.records": {"core.errors", "core.kernels"},
    "core.formats": {"core.errors", "core.records", "core.kernels", "core.config"},
    "core.kernels": {"core.errors"},
    "core.filesystems": {"core.errors", "core.config", "core.ports"},
    "core.log": {"core.errors", "core.config", "core.ports", "core.wire"},
    "core.coordinators": {"core.errors", "core.config", "core.wire"},
    "core.broker": {"core.errors", "core.config", "core.ports", "core.wire", "core.log", "core.coordinators"}
    | {"core.tasks", "core.flow_control"},
    "core.client": {"core.errors", "core.config", "core.ports", "core.wire", "core.records", "core.kernels"}
    | {"core.tasks", "core.flow_control"},
    "connect": {"core.errors", "core.config", "core.ports", "core.client", "core.records", "core.formats"}
    | {"core.filesystems", "core.kernels", "core.properties", "core.tasks"},
    "streams": {"core.errors", "core.config", "core.ports", "core.client", "core.records", "core.formats"}
    | {"core.filesystems", "core.kernels", "core.tasks"},
    "dsl": {"core.errors", "core.config", "core.formats", "core.records", "core.ports", "streams", "core.client"}
    | {"core.stopping"},
}


@functools.cache
def source_files() -> tuple[Path, ...]:
    folders = [sorted((ROOT / package).rglob("*.py")) for package in PACKAGES]
    return (*chain.from_iterable(folders), *sorted(ROOT.glob("*.py")))


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(path)))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_generated(path: Path) -> bool:
    return relative(path).startswith(GENERATED)


@functools.cache
def imported_modules(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and dotted name, from the package root, of each import of this project's own modules; others as written."""
    return tuple(_imported_modules(path))


def _imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    package = list(path.relative_to(ROOT).parent.parts)
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
                for alias in node.names:
                    yield node.lineno, f"{module}.{alias.name}".strip(".")
            else:
                yield node.lineno, node.module or ""
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name


@functools.cache
def area(module: str) -> str:
    """The entry of MAY_IMPORT that a module of ours belongs to: the longest that fits."""
    fitting = [name for name in MAY_IMPORT if module == name or module.startswith((name + ".", name + "_"))]
    return max(fitting, key=len, default="")


def test_imports_point_only_in_the_allowed_directions() -> None:
    wrong = []
    for path in source_files():
        own = area(relative(path).removesuffix(".py").replace("/", "."))
        if not own:
            continue
        for line, module in imported_modules(path):
            target = area(module)
            ours = module.split(".")[0] in (*PACKAGES, "embedded")
            if ours and target != own and target not in MAY_IMPORT[own]:
                wrong.append(f"{relative(path)}:{line} ({own}) imports {module}")
    assert wrong == []


def test_pure_modules_import_no_clock_disk_socket_or_loop() -> None:
    wrong = []
    for path in source_files():
        if relative(path).startswith(PURE_FILES):
            for line, module in imported_modules(path):
                if module.split(".")[0] in IMPURE_MODULES:
                    wrong.append(f"{relative(path)}:{line} imports {module}")
    assert wrong == []


def test_inside_the_package_imports_are_relative() -> None:
    wrong = [
        f"{relative(path)}:{line}"
        for path in source_files()
        for line, module in imported_modules(path)
        if module.split(".")[0] == "millstream"
    ]
    assert wrong == []


def test_files_stay_below_four_hundred_lines_or_say_why() -> None:
    wrong = []
    for path in source_files():
        count = path.read_text().count("\n")
        header = ast.get_docstring(parsed(path)) or ""
        if not is_generated(path) and (count > 600 or (count > 400 and "over 400 lines" not in header)):
            wrong.append(f"{relative(path)}: {count} lines")
    assert wrong == []


def test_functions_stay_below_seventy_lines() -> None:
    wrong = []
    for path in source_files():
        if is_generated(path):
            continue
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                if count > 70:
                    wrong.append(f"{relative(path)}:{node.lineno} {node.name}: {count} lines")
    assert wrong == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        relative(path)
        for path in source_files()
        if path.name != "__init__.py" and not is_generated(path) and not ast.get_docstring(parsed(path))
    ]
    assert silent == []


def test_the_files_that_docstrings_name_are_there() -> None:
    folders = (*PACKAGES, "tests", "benchmarks", "examples", "tools")
    known = [relative(path) for folder in folders for path in (ROOT / folder).rglob("*.py")]
    known += [path.name for path in ROOT.glob("*.py")]
    ours = re.compile(r"(?<![\w/.{*-])(?:[\w-]+/)*[\w-]+\.py\b")
    wrong = []
    for path in source_files():
        if is_generated(path):
            continue
        for name in ours.findall(ast.get_docstring(parsed(path)) or ""):
            ends = f"/{name}"
            if not any(f"/{one}".endswith(ends) and (not name.startswith("tests/") or one == name) for one in known):
                wrong.append(f"{relative(path)} names {name}")
    assert wrong == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK", "NotImplementedError"])
def test_nothing_is_left_unfinished_in_the_code(word: str) -> None:
    pattern = re.compile(rf"\b{word}\b")
    found = [
        f"{relative(path)}:{number}"
        for path in source_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_every_package_folder_is_listed_for_the_wheel() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {"millstream"} | {
        "millstream." + path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert folders == listed


def test_importing_the_package_loads_neither_polars_nor_numba_nor_pyarrow() -> None:
    code = "import sys, millstream, millstream.cli.app; print({'polars', 'numba', 'pyarrow'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert result.stdout.strip() == "set()"
