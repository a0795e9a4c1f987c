"""What tests share is in plain modules and fixtures: nothing imports a test module, or a conftest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports; of `from x import y`, which may be a module too, both together."""
    for each in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(each, ast.Import):
            yield from (name.name for name in each.names)
        elif isinstance(each, ast.ImportFrom):
            yield from (f"{each.module}.{name.name}" for name in each.names)


def is_collected(name: str) -> bool:
    """Whether a dotted name leads into a module that pytest collects or loads by itself."""
    room, *parts = name.split(".")
    return room == "tests" and any(
        part.startswith("test_") or part == "conftest"
        for depth, part in enumerate(parts)
        if (ROOT / "tests" / Path(*parts[: depth + 1])).with_suffix(".py").exists()
    )


def test_nothing_imports_a_test_module() -> None:
    modules = sorted((ROOT / "tests").rglob("*.py"))
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in modules for name in imported(path) if is_collected(name)]
    assert wrong == []


def test_the_test_above_sees_each_way_to_import(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import tests.test_imports\n"
        "from tests import test_imports, graphs\n"
        "def later():\n    from tests.test_imports import imported\n    from tests.web.conftest import api\n"
    )
    found = [name for name in imported(module) if is_collected(name)]
    assert found == [
        "tests.test_imports",
        "tests.test_imports",
        "tests.test_imports.imported",
        "tests.web.conftest.api",
    ]
