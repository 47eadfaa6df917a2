"""The shape of the code: imports run one way, SQL lives in its own files, nothing is carried along unused."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from rag_pipeline.database.objects import read_objects
from rag_pipeline.database.statements import sql_folder, statements

TOP = Path(__file__).resolve().parents[2]
PACKAGE = TOP / "rag_pipeline"
MODULES = {
    ".".join(file.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}
QUERY_FILES = sorted(file.stem for file in (sql_folder() / "queries").glob("*.sql"))
LONGEST = 350

# From the ground up: a module imports from its own entry and from those above it in this list.
LAYERS = (
    {"errors", "plugins", "model", "storable", "money", "progress", "recipe", "parquet", "handover"},
    {"settings"},
    {"workspace"},
    {"database"},
    {"sources"},
    {"documents"},
    {"changes"},
    {"chunks"},
    {"embeddings"},
    {"index"},
    {"query"},
    {"evaluation"},
    {"stages", "targets", "building", "planning", "migration"},
    {"service", "mcp"},
    {"defs"},
    {"definitions"},
    {"cli"},
)
QUERY_MAY_IMPORT = {"query", "errors", "model", "storable", "settings", "database", "embeddings"}
ONLY_IN = {
    "dagster": {"defs", "definitions"},
    "pandas": {"defs"},
    "click": {"cli"},
    "pydantic": {"settings", "defs", "service", "mcp"},
    "fastapi": {"service"},
    "mcp": {"mcp"},
    "redis": {"query"},
    "opentelemetry": {"query"},
}

STATEMENT = re.compile(
    r"""\s* (
        select\s .* (\sfrom\s | \() | with\s+\w+\s+as\s | insert\s+into\s | delete\s+from\s | truncate\s
        | update\s+\S+\s+set\s | (grant|revoke)\s .* \s(to|from)\s
        | (create|drop|alter)\s+(or\s+replace\s+|temp\w*\s+|unique\s+|materialized\s+)*
          (table|view|index|schema|function|procedure|database|role|user|extension|policy|sequence|type)\s
    )""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def imported(nodes: Iterator[ast.AST], module: str) -> set[str]:
    """The full names of what some nodes import; names imported from a package count as its modules if they are."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively; write the full name"
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in below}
    return found


def at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements that run when a module is imported: none in functions, none for type checkers only."""
    for statement in body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            continue
        yield statement
        for inner in ast.iter_child_nodes(statement):
            if isinstance(inner, ast.stmt) and not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from at_import([inner])


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def texts(module: str) -> Iterator[str]:
    """String constants that are no docstrings; of an f-string its first piece stands for the whole."""
    nodes = list(ast.walk(tree(module)))
    skipped: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Expr):
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values[1:]}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short_and_says_what_it_promises(module: str) -> None:
    assert ast.get_docstring(tree(module)), f"{module} needs a docstring"
    lines = len(MODULES[module].read_text("utf-8").splitlines())
    assert lines <= LONGEST, f"{module} has {lines} lines; one file has one purpose"


def test_imports_run_one_way() -> None:
    rank = {name: number for number, names in enumerate(LAYERS) for name in names}
    for module in MODULES:
        if module == "rag_pipeline":
            continue
        assert layer(module) in rank, f"say in LAYERS where {module} belongs"
        for other in imported(ast.walk(tree(module)), module):
            if other.startswith("rag_pipeline."):
                assert rank[layer(other)] <= rank[layer(module)], f"{module} imports {other}, which lies above it"


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: imported(at_import(tree(module).body), module) & MODULES.keys() for module in MODULES}
    # A package and what lies in it are imported together, the package first.
    TopologicalSorter({module: others - {module} for module, others in graph.items()}).prepare()


def test_search_knows_nothing_of_how_the_index_is_filled() -> None:
    for module in MODULES:
        if layer(module) == "query":
            ours = {name for name in imported(ast.walk(tree(module)), module) if name.startswith("rag_pipeline.")}
            assert {layer(name) for name in ours} <= QUERY_MAY_IMPORT, module


@pytest.mark.parametrize(("library", "places"), ONLY_IN.items())
def test_a_library_has_its_place(library: str, places: set[str]) -> None:
    for module in MODULES:
        if any(name.split(".")[0] == library for name in imported(ast.walk(tree(module)), module)):
            assert layer(module) in places, f"{module} imports {library}"


@pytest.mark.parametrize(
    "text",
    [
        "select chunk_key from chunks",
        "SELECT pg_notify('x', 'y')",
        "\n  with found as (select 1)",
        "insert into rag.sources values (1)",
        "update chunks set text = ''",
        "delete from chunks",
        "create temp table listed (id int)",
        "grant select on chunks to rag_reader",
    ],
)
def test_the_check_for_sql_sees_it(text: str) -> None:
    assert STATEMENT.match(text)


def test_sql_lives_in_files_of_its_own() -> None:
    found = [(module, text) for module in MODULES for text in texts(module) if STATEMENT.match(text)]
    assert found == []


@pytest.mark.parametrize("file", QUERY_FILES)
def test_every_named_query_is_used(file: str) -> None:
    """By a module that reads the file; a name may be put together from pieces, as in ``f"create_{table}"``."""
    used: set[str] = set()
    patterns: list[str] = []
    for module in MODULES:
        if f'statements("{file}")' in MODULES[module].read_text("utf-8"):
            used |= set(texts(module))
            for node in ast.walk(tree(module)):
                if isinstance(node, ast.JoinedStr):
                    pieces = [str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values]
                    patterns.append(re.escape("".join(pieces)).replace("\0", r"\w+"))
    for name in statements(file):
        assert name in used or any(re.fullmatch(pattern, name) for pattern in patterns), f"{file}.sql: {name}"


def test_every_sql_file_is_used() -> None:
    known = {f"queries/{name}.sql" for name in QUERY_FILES} | {file.name for file in read_objects(sql_folder())}
    mentioned = {text for module in MODULES for text in texts(module)}
    for file in sorted(sql_folder().rglob("*")):
        name = file.relative_to(sql_folder()).as_posix()
        if file.is_file() and name not in known and file.parent.name != "migrations":
            assert file.name in mentioned, f"nothing reads sql/{name}"


def test_the_wheel_carries_what_lies_outside_the_package() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["rag_pipeline"]
    for source, target in wheel["force-include"].items():
        assert (TOP / source).exists()
        folder, _, name = target.partition("/")
        assert folder == "rag_pipeline"
        assert any(name in set(texts(module)) for module in MODULES), f"nothing looks for {target}"
    assert {"sql", "dagster.yaml"} <= wheel["force-include"].keys()
