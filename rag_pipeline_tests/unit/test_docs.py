"""Documentation cannot rot: commands, options, settings, JSON keys and links are checked against the software."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rag_pipeline.cli import main
from rag_pipeline.handover import Published
from rag_pipeline.index.housekeeping import Removed
from rag_pipeline.index.migration import Flip, MigrationStatus, Plan, SourceProgress
from rag_pipeline.index.verify import Verification
from rag_pipeline.query import Answer, Citation, Hit
from rag_pipeline.settings import (
    Answers,
    Budget,
    Chunking,
    Database,
    Embedding,
    Evaluation,
    Guards,
    Keywords,
    Parsing,
    Queries,
    Retrieval,
    Service,
    Settings,
    SourceSettings,
    TicketFields,
    Tracing,
    Workspace,
)
from rag_pipeline.settings.sources import SOURCE_TYPES

TOP = Path(__file__).resolve().parents[2]
DOCS = TOP / "docs"
GENERATED = DOCS / "benchmarks.md"
PAGES = sorted([TOP / "README.md", TOP / "CHANGELOG.md", *DOCS.rglob("*.md")])
SECTIONS = {
    "workspace": Workspace,
    "database": Database,
    "embedding": Embedding,
    "budget": Budget,
    "parsing": Parsing,
    "chunking": Chunking,
    "keywords": Keywords,
    "retrieval": Retrieval,
    "answers": Answers,
    "evaluation": Evaluation,
    "queries": Queries,
    "service": Service,
    "tracing": Tracing,
}
SOURCES = (SourceSettings, *(kind for kind in SourceSettings.__subclasses__() if kind.__module__.startswith("rag_")))
REPEATED_WHERE_IT_APPLIES = {"json", "help"}


def commands(group: click.Group = main, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield f"{above}{name}", command
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def sections(page: str, level: str = "## ") -> dict[str, str]:
    """The text below each heading of a page, by the heading without its marks."""
    _, *parts = re.split(rf"^{level}", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE)
    return {head.strip("`"): body for head, _, body in (part.partition("\n") for part in parts)}


def code(page: Path) -> Iterator[str]:
    """The lines of a page that a reader would type into a shell."""
    text = page.read_text("utf-8")
    for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL):
        yield from (line.removeprefix("$ ").strip() for line in block.splitlines())
    yield from (span.replace("\n", " ") for span in re.findall(r"`(rag-pipeline [^`]+)`", text))


def rows(text: str) -> dict[str, list[str]]:
    """The rows of tables whose first column is code, by that column."""
    cells = [re.split(r"\s*\|\s*", line.strip(" |")) for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


def documented_settings(section: str) -> dict[str, tuple[str, str]]:
    """Default and meaning of each key that a section of the page describes."""
    return described(sections("settings.md")[section])


def described(text: str) -> dict[str, tuple[str, str]]:
    """Default and meaning of each key in a table of settings."""
    return {key: (default, meaning) for key, (_, default, meaning) in rows(text).items()}


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_its_options_and_an_example(name: str) -> None:
    section = sections("cli.md")[name]
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option) and parameter.opts[-1].lstrip("-") not in REPEATED_WHERE_IT_APPLIES:
            for option in parameter.opts:
                assert re.search(rf"`{option}\b", section), f"{name} {option}"
    assert f"rag-pipeline {name}" in section
    has_json = any("--json" in parameter.opts for parameter in COMMANDS[name].params)
    assert ("JSON:" in section) == has_json


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert sections("cli.md").keys() == COMMANDS.keys()


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("refresh", Published),
        ("verify", Verification),
        ("housekeeping", Removed),
        ("search", Hit),
        ("ask", Answer),
        ("ask", Citation),
        ("migrate plan", Plan),
        ("migrate status", MigrationStatus),
        ("migrate status", SourceProgress),
        ("migrate publish", Flip),
    ],
)
def test_the_keys_of_json_are_documented(name: str, result: Any) -> None:
    section = sections("cli.md")[name]
    for field in fields(result):
        assert re.search(rf"\b{field.name}\b", section), f"{name}: {field.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_examples_exist(page: Path) -> None:
    for line in code(page):
        for typed in re.findall(r"rag-pipeline [^|)#]*", line):
            words = typed.split()[1:]
            command: click.Command = main
            while isinstance(command, click.Group) and words and words[0] in command.commands:
                command = command.commands[words.pop(0)]
            if isinstance(command, click.Group):
                assert not words or words[0].startswith("-"), f"{page.name}: {typed}"
            if command.name == "psql":
                continue
            known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
            assert {word for word in words if word.startswith("-")} <= known, f"{page.name}: {typed}"


def expected(model: type[BaseModel], inherited: bool = True) -> dict[str, tuple[str, str]]:
    """Default and meaning of each key of a section of the settings, as its table should give them."""
    found: dict[str, tuple[str, str]] = {}
    for name, field in model.model_fields.items():
        if name in SourceSettings.model_fields and not inherited:
            continue
        if name == "type":
            continue
        if field.default is PydanticUndefined:
            default = "see below" if field.default_factory else "required"
        else:
            default = "none" if field.default is None else f"`{json.dumps(field.default)}`"
        found[name] = (default, field.description or "")
    return found


@pytest.mark.parametrize(
    ("section", "model"),
    [*SECTIONS.items(), ("sources.guards", Guards), ("sources.fields", TicketFields)],
    ids=[*SECTIONS, "sources.guards", "sources.fields"],
)
def test_every_setting_is_documented(section: str, model: type[BaseModel]) -> None:
    assert documented_settings(f"[{section}]") == expected(model)


@pytest.mark.parametrize("model", SOURCES, ids=lambda model: model.__name__)
def test_every_setting_of_a_source_is_documented(model: type[SourceSettings]) -> None:
    general, *kinds = sections("settings.md")["[[sources]]"].split("\n### ")
    if model is SourceSettings:
        documented = described(general)
        assert documented.pop("type")[0] == "required"
        assert documented == expected(model)
        assert [kind.partition("\n")[0] for kind in kinds] == [f"`{kind}`" for kind in SOURCE_TYPES]
    else:
        [table] = [kind for kind in kinds if kind.startswith(f"`{kind_of(model)}`\n")]
        assert described(table) == expected(model, inherited=False)


def kind_of(model: type[SourceSettings]) -> str:
    """The value of `type` that asks for this kind of source."""
    [kind] = get_args(model.model_fields["type"].annotation)
    return kind


def test_no_section_of_the_settings_is_forgotten() -> None:
    assert Settings.model_fields.keys() == SECTIONS.keys() | {"sources", "folder"}


def test_environment_variables_exist() -> None:
    software = "\n".join(
        file.read_text("utf-8") for file in [*(TOP / "rag_pipeline").rglob("*.py"), TOP / "dagster.yaml"]
    )
    table = rows(sections("settings.md")["Environment variables"])
    for page in PAGES:
        for variable in set(re.findall(r"\bRAG_[A-Z_]*[A-Z]", page.read_text("utf-8"))):
            section, _, key = variable.removeprefix("RAG_").lower().partition("__")
            if key:
                assert key in SECTIONS[section].model_fields, f"{page.name}: {variable}"
            else:
                assert variable in software, f"{page.name}: {variable}"
                assert variable in table, f"settings.md lacks {variable}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.is_relative_to(TOP), f"{page.name}: {target}"
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings}, target


def test_every_page_is_on_the_map() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text("utf-8")))
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= linked


@pytest.mark.parametrize("page", sorted({*DOCS.glob("*.md")} - {GENERATED}), ids=lambda page: page.name)
def test_a_page_promises_something_and_shows_a_command(page: Path) -> None:
    title, blank, promise, *_ = page.read_text("utf-8").splitlines()
    assert title.startswith("# ")
    assert not blank
    assert re.match(r"[\w`]", promise)
    assert list(code(page))
