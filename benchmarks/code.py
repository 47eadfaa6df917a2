"""How code is cut: whether definitions are found, statements stay whole, and the chunks give the file back.

What the chunker did is checked by the languages' own compilers: Python's `ast`, and TypeScript's, run by node.
"""

import ast
import json
import os
import shutil
import subprocess
import sysconfig
import time
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from benchmarks.options import Options
from benchmarks.report import Report, say
from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.documents.canonical import canonical
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Document, Section
from rag_pipeline.sources.media_types import media_type

TITLE = "Code"
TYPESCRIPT = "RAG_BENCHMARK_TYPESCRIPT"
"""Names the folder of an installed ``typescript`` package; where it is missing, that half is left out."""

_TOKENS, _WINDOW = 200, 800
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "lib2to3"}
_TYPESCRIPT_ENDINGS = {".js", ".cjs", ".mjs", ".ts", ".mts", ".cts"}
_ASK_TYPESCRIPT = """
const ts = require(process.argv[1] + "/lib/typescript.js"), fs = require("fs");
const isScope = node => ts.isClassLike(node) || ts.isInterfaceDeclaration(node) || ts.isModuleDeclaration(node);
const isFunction = node => Boolean(node) && (ts.isArrowFunction(node) || ts.isFunctionExpression(node));
const isNamed = node => ts.isVariableDeclaration(node) ? isFunction(node.initializer)
  : ts.isBinaryExpression(node) && isFunction(node.right);
const isDefinition = node => isScope(node) || ts.isFunctionDeclaration(node) || ts.isEnumDeclaration(node);
const assigned = node => ts.isVariableStatement(node) ? node.declarationList.declarations[0].initializer
  : ts.isExpressionStatement(node) && ts.isBinaryExpression(node.expression) ? node.expression.right : null;
const isElseIf = node => node.parent && ts.isIfStatement(node.parent) && node.parent.elseStatement === node;
for (const file of fs.readFileSync(0, "utf8").split("\\n").filter(Boolean)) {
  const text = fs.readFileSync(file, "utf8").replace(/^\\uFEFF/, "").replace(/\\r\\n?/g, "\\n");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const names = source.statements
    .filter(node => (ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node)) && node.name)
    .map(node => node.name.text);
  const statements = [];
  const visit = (node, inside) => {
    const counts = ts.isStatement(node) && !ts.isBlock(node) && !isScope(node) && !isElseIf(node);
    const at = counts ? statements.push([node.getStart(source), node.end]) - 1 : -1;
    let holds = false;
    const below = inside || ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node) || isNamed(node);
    ts.forEachChild(node, child => { holds = visit(child, below) || holds; });
    if (counts && holds && !inside && !ts.isFunctionDeclaration(node) && !isFunction(assigned(node)))
      statements[at] = null;
    return holds || isDefinition(node) || isNamed(node);
  };
  visit(source, false);
  console.log(JSON.stringify([names, statements.filter(Boolean)]));
}
"""
"""What TypeScript's compiler knows, a line of JSON for each file named on standard input.

A statement outside functions that holds definitions is left out: an outline may open it, as it opens a class.
"""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a compiler says of a file: its top-level functions and classes, and the spans of its statements."""

    names: set[str]
    statements: list[tuple[int, int]]


@dataclass(slots=True)
class _Figures:
    """Sums over the files of one kind of code."""

    files: int = 0
    megabytes: float = 0
    parse_seconds: float = 0
    split_seconds: float = 0
    chunks: int = 0
    names: int = 0
    found: int = 0
    cut: int = 0
    not_given_back: int = 0
    plain: int = 0
    examples: list[str] = field(default_factory=list)


def run(report: Report, options: Options) -> None:
    """Cut the standard library of Python and, where it is installed, TypeScript with its library."""
    python = _python_files(Path(sysconfig.get_path("stdlib")))
    kinds = {"Python's standard library": _figures(_with_python_facts(python[:20] if options.quick else python))}
    reason = ""
    try:
        folder = _typescript()
    except LookupError as error:
        reason = str(error)
    else:
        files = _typescript_files(folder)
        files = [file for file in files if file.stat().st_size < 50_000][:20] if options.quick else files
        kinds["TypeScript's sources and library"] = _figures(_with_typescript_facts(files, folder))

    for kind, figures in kinds.items():
        share = 100 * figures.found / max(1, figures.names)
        report.goal(f"{kind}: top-level functions and classes found", "100", share, "%", figures.found == figures.names)
        report.goal(f"{kind}: statements cut", "0", figures.cut, "", figures.cut == 0)
        given_back = figures.not_given_back == 0
        report.goal(f"{kind}: files that chunks do not give back", "0", figures.not_given_back, "", given_back)
    report.text(
        f"Chunks of at most {_TOKENS} tokens in windows of {_WINDOW}, a token taken as four characters, so "
        "that no model is in the figures. Definitions and statements are those of the languages' own compilers "
        "(`ast`; TypeScript's by node). A statement counts as cut if a chunk's border lies inside it although its "
        "lines fit into a chunk; classes, and statements around definitions such as `if` and `try`, "
        "are outline and may be opened. A file is "
        "given back if its chunks, each at its place, are the file save for white space between them."
    )
    if reason:
        report.text(f"TypeScript was left out: {reason}.")
    report.table(
        (
            "code",
            "files",
            "MB",
            "chunks",
            "definitions",
            "as paragraphs",
            "parse MB/s",
            "parse and split MB/s",
            "files/s",
        ),
        [
            (
                kind,
                figures.files,
                figures.megabytes,
                figures.chunks,
                figures.names,
                figures.plain,
                figures.megabytes / figures.parse_seconds,
                figures.megabytes / (figures.parse_seconds + figures.split_seconds),
                figures.files / (figures.parse_seconds + figures.split_seconds),
            )
            for kind, figures in kinds.items()
        ],
    )
    for kind, figures in kinds.items():
        for example in figures.examples:
            say(f"{kind}: {example}")


def _figures(files: Iterable[tuple[Path, _Facts]]) -> _Figures:
    figures = _Figures()
    for path, facts in files:
        data = path.read_bytes()
        started = time.perf_counter()
        document = parse(data, media_type(path.name), path.name)
        parsed = time.perf_counter()
        sections = split(document, _count, _TOKENS, _WINDOW)
        figures.split_seconds += time.perf_counter() - parsed
        figures.parse_seconds += parsed - started
        figures.files += 1
        figures.megabytes += len(data) / 1e6
        figures.plain += not any(block.title for block in document.blocks) and bool(facts.names)
        chunks = [chunk for section in sections for chunk in section.chunks]
        missing = facts.names - {chunk.place.symbol for chunk in chunks}
        figures.chunks += len(chunks)
        figures.names += len(facts.names)
        figures.found += len(facts.names) - len(missing)
        cut = _cut(document.text, sections, facts.statements)
        figures.cut += len(cut)
        given_back = _given_back(document, sections, data)
        figures.not_given_back += not given_back
        if missing or cut or not given_back:
            lines = [document.text.count("\n", 0, offset) + 1 for offset in cut[:5]]
            figures.examples.append(f"{path}: missing {sorted(missing)[:5]}, cut in lines {lines}, {given_back=}")
    return figures


def _count(texts: list[str]) -> list[int]:
    return [-(-len(text) // 4) for text in texts]


def _cut(text: str, sections: Sequence[Section], statements: Iterable[tuple[int, int]]) -> list[int]:
    """Return the borders of chunks that lie inside a statement whose lines would fit into one chunk."""
    fitting: list[tuple[int, int]] = []
    for start, end in statements:
        first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        size = (last if last >= 0 else len(text)) - first if end - start <= 4 * _TOKENS else end - start
        if size <= 4 * _TOKENS:
            fitting.append((start, end))
    fitting.sort()
    starts = [start for start, _ in fitting]
    reaches = list(accumulate((end for _, end in fitting), max))
    cut: list[int] = []
    for section in sections:
        for chunk in section.chunks:
            border = section.start + chunk.start
            border += len(chunk.text) - len(chunk.text.lstrip())
            before = bisect_left(starts, border) - 1
            if before >= 0 and border < reaches[before]:
                cut.append(border)
    return cut


def _given_back(document: Document, sections: Sequence[Section], data: bytes) -> bool:
    parts: list[str] = []
    done = 0
    for section in sections:
        for chunk in section.chunks:
            gap = document.text[done : section.start + chunk.start]
            parts += (gap if gap.isspace() else "", chunk.text)
            done = section.start + chunk.end
    rest = document.text[done:]
    return "".join([*parts, rest if rest.isspace() else ""]) == canonical(data)


def _python_files(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*.py"))
    return [file for file in files if not _LEFT_OUT & set(file.relative_to(folder).parts)]


def _with_python_facts(files: Iterable[Path]) -> Iterator[tuple[Path, _Facts]]:
    """Yield the files that Python itself can read."""
    for file in files:
        try:
            text = canonical(file.read_bytes())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (DocumentError, SyntaxError, ValueError):
            continue
        names = {node.name for node in tree.body if isinstance(node, _DEFINITIONS)}
        yield file, _Facts(names, list(_python_statements(tree, text)))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)


def _python_statements(tree: ast.Module, text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of statements; an ``elif`` is a branch of its ``if``, not a statement of its own."""
    lines = text.split("\n")
    offsets = [0, *accumulate(len(line) + 1 for line in lines)]

    def offset(line: int, column: int) -> int:
        return offsets[line - 1] + len(lines[line - 1].encode()[:column].decode())

    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, inside = pending.pop()
        inside = inside or isinstance(node, _FUNCTIONS)
        pending += ((child, inside) for child in ast.iter_child_nodes(node))
        if not isinstance(node, ast.stmt) or isinstance(node, ast.ClassDef):
            continue
        start = offset(node.lineno, node.col_offset)
        if (isinstance(node, ast.If) and text.startswith("elif", start)) or (
            not inside and any(isinstance(below, _DEFINITIONS) for below in ast.walk(node))
        ):
            continue
        if isinstance(node, _FUNCTIONS) and node.decorator_list:
            start = text.index("@", offset(node.decorator_list[0].lineno, 0))
        yield start, offset(node.end_lineno or node.lineno, node.end_col_offset or 0)


def _typescript() -> Path:
    """The folder of an installed ``typescript``. Raises `LookupError` with what is missing."""
    if shutil.which("node") is None:
        raise LookupError("there is no node")
    named = os.environ.get(TYPESCRIPT)
    if named is None:
        raise LookupError(f"{TYPESCRIPT} names no installed `typescript` package")
    folder = Path(named).resolve()
    if not (folder / "lib" / "typescript.js").is_file():
        raise LookupError(f"there is no lib/typescript.js in the folder that {TYPESCRIPT} names")
    return folder


def _typescript_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in _TYPESCRIPT_ENDINGS and file.is_file())


def _with_typescript_facts(files: Sequence[Path], folder: Path) -> Iterator[tuple[Path, _Facts]]:
    """Yield the files with what the compiler says; it counts in UTF-16, so a file beyond that keeps its names only."""
    answers = subprocess.run(
        ["node", "-e", _ASK_TYPESCRIPT, folder],
        input="\n".join(map(str, files)),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    for file, line in zip(files, answers.stdout.splitlines(), strict=True):
        names, statements = json.loads(line)
        wide = any(char > "\uffff" for char in canonical(file.read_bytes()))
        yield file, _Facts(set(names), [] if wide else [(start, end) for start, end in statements])
