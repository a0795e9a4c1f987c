"""The rooms of the code and the arrows between them, read from its imports; `docs/architecture.md` draws them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "comfybridge"
DRAWING = ROOT / "docs" / "architecture.md"

# Top to bottom. A room is a folder, or a file that lies in none of these folders. It imports rooms of lower floors
# only: not of its own floor, nor of higher ones.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("serving",),
    ("web.application",),
    ("web.document", "web.monitoring", "web.page"),
    ("web.dialects.*",),  # each a room
    ("web.dialects",),
    ("web.answers",),
    ("web.access", "web.errors"),
    ("web.parsing",),
    ("web.current", "web.describing", "web.request_log"),
    ("web.marks", "web.times"),
    ("assets",),
    ("jobs",),
    ("",),  # the public names, in comfybridge/__init__.py
    ("bridge", "client", "engine"),
    ("prompts",),
    ("policy",),
    ("files",),
    ("media", "workflow", "comfyui"),
    ("shorthand",),
    ("request", "settings"),
    ("webhook_secrets", "own_words"),
    (
        *("address", "credentials", "deadline", "durations", "engine_address", "errors", "expected_size"),
        *("json_size", "keys", "logs", "saving", "shipped", "showing", "state", "tasks", "validation"),
    ),
    ("simulator",),
)
# Libraries, and the only rooms that may import them.
FOREIGN = {
    "flask": ("web",),
    "werkzeug": ("web",),
    "gunicorn": ("serving",),
    "waitress": ("serving",),
    "nats": ("engine",),
    "standardwebhooks": ("jobs",),
    "blake3": ("assets",),
}
# The servers take a Flask application, and name its type.
ALLOWED = {"serving": {"flask.Flask"}}
DIALECTS = "web.dialects."


@cache
def modules() -> dict[str, Path]:
    """The file of each module, by its name below the package: `web.access.door`."""
    found = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(parts).removesuffix("__init__").rstrip(".")] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> frozenset[str]:
    """All imports of a module, at any place in it, as full names: `flask.Flask`."""
    names = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


@cache
def own_imports(module: str) -> frozenset[str]:
    """The modules of the package that a module imports."""
    found = set()
    for name in imports(module):
        if name.partition(".")[0] != PACKAGE:
            continue
        below = name.partition(".")[2]
        found.add(below if below in modules() else below.rpartition(".")[0])
    return frozenset(found)


def room_of(module: str) -> str:
    """The room that a module is or lies in."""
    if module in ("web", "web.application"):
        return "web.application"
    if module.startswith(DIALECTS) and module != f"{DIALECTS}dialect":
        return ".".join(module.split(".")[:3])
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "web" else 1])


def floor_of(room: str) -> int:
    wanted = f"{DIALECTS}*" if room.startswith(DIALECTS) else room
    for number, floor in enumerate(FLOORS):
        if wanted in floor:
            return number
    pytest.fail(f"comfybridge.{room} is no room: add it to FLOORS in tests/test_house.py and to {DRAWING.name}.")


def arrows() -> Iterator[tuple[str, str]]:
    for module in modules():
        yield from ((module, imported) for imported in own_imports(module))


def circle(edges: dict[str, set[str]]) -> list[str]:
    """A cycle of names, each of which leads to the next; empty if there is none."""
    left = {name: set(targets) - {name} for name, targets in edges.items()}
    while left:
        ends = [name for name, targets in left.items() if not targets & left.keys()]
        if not ends:
            name = next(iter(left))
            trail: list[str] = []
            while name not in trail:
                trail.append(name)
                name = next(iter(left[name] & left.keys()))
            return [*trail[trail.index(name) :], name]
        for name in ends:
            del left[name]
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = {module: set(own_imports(module)) - {""} for module in modules()}
    assert circle(edges) == []


def test_a_room_imports_lower_rooms_only() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, imported in arrows()
        if room_of(module) != room_of(imported) and floor_of(room_of(module)) >= floor_of(room_of(imported))
    ]
    assert wrong == []


def test_the_simulator_knows_nobody() -> None:
    assert not [each for each in arrows() if room_of(each[0]) == "simulator" != room_of(each[1])]


def test_no_dialect_knows_another_and_nobody_but_the_application_and_the_command_line_knows_one() -> None:
    users = {
        (room_of(module), room_of(imported))
        for module, imported in arrows()
        if room_of(imported).startswith(DIALECTS) and room_of(module) != room_of(imported)
    }
    assert {user for user, _ in users} <= {"web.application", "cli"}


@pytest.mark.parametrize("package", sorted(FOREIGN))
def test_the_packages_of_a_server_are_for_those_who_serve(package: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        if module.partition(".")[0] not in FOREIGN[package]
        for name in imports(module)
        if name.partition(".")[0] == package and name not in ALLOWED.get(module.partition(".")[0], ())
    ]
    assert wrong == []


def calls(module: str, names: set[str]) -> list[str]:
    """Where a module calls functions or methods of these names."""
    found = []
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in names:
                found.append(f"{module}:{node.lineno} calls {called}")
    return found


def test_there_is_one_way_from_an_http_request_to_one_that_can_be_queued() -> None:
    """Its types see to the rest: `Bridge.submit` and what else queues a request take `Admitted` only."""
    makers = [each for module in modules() for each in calls(module, {"Admitted"})]
    assert [each.partition(":")[0] for each in makers] == ["bridge", "jobs.requests"]  # an agent's, from a bridge
    of_web = [module for module in modules() if module.startswith("web.") and module != "web.answers.admission"]
    assert [each for module in of_web for each in calls(module, {"admit"})] == []
    of_views = [module for module in of_web if not module.startswith("web.answers.")]
    assert [each for module in of_views for each in calls(module, {"submit", "generating"})] == []
    library = re.compile(r"bridge(\(\))?\.generate\(")  # for programs, which nothing imports
    assert [module for module in of_web if library.search(modules()[module].read_text(encoding="utf-8"))] == []


# -- its drawing ---------------------------------------------------------------------------------------------------


def drawn() -> list[str]:
    """The folders and files of the drawing, as `web/access/` and `web/errors.py`, in its order."""
    drawing = re.search(r"```\ncomfybridge/\n(.*?)```", DRAWING.read_text(encoding="utf-8"), re.DOTALL)
    assert drawing is not None
    found: list[str] = []
    above = [""]  # the folder at each depth
    for line in drawing[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        words = line.split()
        names = words if all(each.endswith(".py") for each in words) else words[:1]
        found += [above[depth - 1] + name for name in names]
        above[depth:] = found[-1:]
    return found


def test_the_drawing_shows_every_folder_and_every_file_that_lies_in_none() -> None:
    folders = {
        f"{path.relative_to(ROOT / PACKAGE).as_posix()}/"
        for path in (ROOT / PACKAGE).rglob("*")
        if (path / "__init__.py").is_file()
    }
    loose = {
        path.relative_to(ROOT / PACKAGE).as_posix()
        for folder in ("", "web")
        for path in (ROOT / PACKAGE / folder).glob("*.py")
        if path.name != "__init__.py"
    }
    assert set(drawn()) == folders | loose
    assert len(drawn()) == len(set(drawn()))


def test_the_drawing_has_the_rooms_in_their_order() -> None:
    rooms = [each.removesuffix("/").removesuffix(".py").replace("/", ".") for each in drawn()]
    rooms = [each for each in rooms if each != "web" and room_of(each) == each and each != "web.dialects"]
    floors = [floor_of(each) for each in rooms]
    assert floors == sorted(floors)
