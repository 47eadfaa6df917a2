"""Settings: one `rag.toml`, overridden by environment variables, read in one place.

Every key is documented in ``docs/settings.md``. An unknown key, a wrong type or two sources of one name
is a `ConfigurationError` that names the file, the setting and the remedy. ``RAG_<SECTION>__<KEY>``
overrides any key of a section (``RAG_DATABASE__URL``); secrets come only from there.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.plugins import SOURCES, plugin, plugins
from rag_pipeline.settings.answers import Answers, is_measured
from rag_pipeline.settings.evaluation import Evaluation
from rag_pipeline.settings.queries import Queries
from rag_pipeline.settings.sections import (
    Budget,
    Chunking,
    Database,
    Embedding,
    Keywords,
    Parsing,
    Retrieval,
    Section,
    SourceSettings,
    Workspace,
)
from rag_pipeline.settings.service import Service
from rag_pipeline.settings.sources import SOURCE_KINDS, SOURCE_TYPES, AnySource
from rag_pipeline.settings.tracing import Tracing

FILE_NAME = "rag.toml"
_ENVIRONMENT = re.compile(r"RAG_(?P<section>[A-Z]+)__(?P<key>[A-Z_]+)")


class Settings(Section):
    """Everything a workspace is configured with. Build it with `Settings.load`."""

    workspace: Workspace = Field(default_factory=lambda: Workspace.model_validate({}))
    database: Database = Field(default_factory=lambda: Database.model_validate({}))
    embedding: Embedding = Field(default_factory=lambda: Embedding.model_validate({}))
    budget: Budget = Field(default_factory=lambda: Budget.model_validate({}))
    parsing: Parsing = Field(default_factory=lambda: Parsing.model_validate({}))
    chunking: Chunking = Field(default_factory=lambda: Chunking.model_validate({}))
    keywords: Keywords = Field(default_factory=lambda: Keywords.model_validate({}))
    retrieval: Retrieval = Field(default_factory=lambda: Retrieval.model_validate({}))
    answers: Answers = Field(default_factory=lambda: Answers.model_validate({}))
    evaluation: Evaluation = Field(default_factory=lambda: Evaluation.model_validate({}))
    queries: Queries = Field(default_factory=lambda: Queries.model_validate({}))
    service: Service = Field(default_factory=lambda: Service.model_validate({}))
    tracing: Tracing = Field(default_factory=lambda: Tracing.model_validate({}))
    sources: tuple[AnySource, ...] = ()
    folder: Path = Field(
        default_factory=Path.cwd, exclude=True, description="Folder of rag.toml; relative paths start here."
    )

    @model_validator(mode="before")
    @classmethod
    def _absolute_path(cls, values: Any) -> Any:
        """A model's folder is the same from wherever a command is started."""
        embedding = values.get("embedding") if isinstance(values, dict) else None
        if not isinstance(embedding, dict) or not isinstance(embedding.get("path"), str):
            return values
        path = Path(values.get("folder", Path.cwd())) / embedding["path"]
        return {**values, "embedding": {**embedding, "path": str(path)}}

    @model_validator(mode="before")
    @classmethod
    def _evidence_of_the_model(cls, values: Any) -> Any:
        """With an embedding model that was not measured, nothing is too weak to answer from unless it is said so."""
        if not isinstance(values, dict):
            return values
        embedding, answers = values.get("embedding", {}), values.get("answers", {})
        if not isinstance(embedding, dict) or not isinstance(answers, dict) or "min_evidence" in answers:
            return values
        return values if is_measured(embedding) else {**values, "answers": {**answers, "min_evidence": 0}}

    @model_validator(mode="after")
    def _unique_names(self) -> "Settings":
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources are named {name!r}; give each a name of its own")
        return self

    @classmethod
    def load(cls, start: Path | None = None, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the `rag.toml` in `start` (the current folder) or the nearest one above it.

        Raises `ConfigurationError` when there is none or when it is wrong.
        """
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if (folder / FILE_NAME).is_file():
                return cls.read(folder / FILE_NAME, environ)
        raise ConfigurationError(f"no {FILE_NAME} in {start} or above it; write one with: rag-pipeline init")

    @classmethod
    def read(cls, file: Path, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read one `rag.toml`. Raises `ConfigurationError`."""
        try:
            values: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{file}: {error}; save it as UTF-8") from error
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{file}: {error}") from error
        variables: dict[tuple[str, ...], str] = {}
        for variable, text in environ.items():
            if match := _ENVIRONMENT.fullmatch(variable):
                section, key = match["section"].lower(), match["key"].lower()
                if section not in values:
                    variables[(section,)] = variable
                table = values.setdefault(section, {})
                if not isinstance(table, dict):
                    raise ConfigurationError(f"{variable}: [{section}] is a list; change it in {file}")
                table[key] = _plain(text)
                variables[section, key] = variable
        try:
            connected = {"sources": _connectors(values["sources"])} if isinstance(values.get("sources"), list) else {}
            return cls.model_validate({**values, **connected, "folder": file.parent.resolve()})
        except ValidationError as error:
            lines = [_explain(file, variables, values, dict(detail)) for detail in error.errors(include_url=False)]
            raise ConfigurationError("\n".join(lines)) from error

    def source(self, name: str) -> SourceSettings:
        """Return the settings of one source. Raises `ConfigurationError` for a name that is not configured."""
        for source in self.sources:
            if source.name == name:
                return source
        known = ", ".join(source.name for source in self.sources) or "none"
        raise ConfigurationError(f"no source is named {name!r} in {self.folder / FILE_NAME}; configured: {known}")


def _connectors(sources: list[Any]) -> list[Any]:
    """Let the packages that bring further types of sources check their own entries.

    Raises `ValidationError`, whose places are inside ``sources``.
    """
    found: list[Any] = []
    for index, source in enumerate(sources):
        kind = source.get("type") if isinstance(source, dict) else None
        connector = plugin(SOURCES, kind) if isinstance(kind, str) and kind not in SOURCE_TYPES else None
        if connector is None:
            found.append(source)
            continue
        try:
            found.append(connector.Settings.model_validate(source))
        except ValidationError as error:
            lines = [
                InitErrorDetails(type=detail["type"], loc=("sources", index, *detail["loc"]), input=detail["input"])
                if detail["type"] in ("missing", "extra_forbidden")
                else InitErrorDetails(
                    type=PydanticCustomError("connector", "{message}", {"message": detail["msg"]}),
                    loc=("sources", index, *detail["loc"]),
                    input=detail["input"],
                )
                for detail in error.errors(include_url=False)
            ]
            raise ValidationError.from_exception_data("Settings", lines) from error
    return found


def _plain(text: str) -> Any:
    """An environment variable's value: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _explain(
    file: Path, variables: Mapping[tuple[str, ...], str], values: Mapping[str, Any], detail: Mapping[str, Any]
) -> str:
    """Say in one line which setting is wrong, where it was made, in `file` or a variable, and what to write instead."""
    place: list[str] = []
    node: Any = values
    for part in detail["loc"]:
        if isinstance(part, int) and isinstance(node, list) and part < len(node):
            node = node[part]
            name = node.get("name") if isinstance(node, dict) else None
            place[-1:] = [f"{place[-1]}[{name or part}]"] if place else [str(part)]
        elif isinstance(node, dict) and part in node:
            place.append(str(part))
            node = node[part]
    if detail["type"] == "missing":
        place.append(str(detail["loc"][-1]))
    setting = ".".join(place) or "the file"
    return f"{variables.get(tuple(place[:2]), file)}: {setting}: {_remedy(detail)}"


def _remedy(detail: Mapping[str, Any]) -> str:
    """Say what is wrong with a setting, and what to write instead."""
    kind, place, message = str(detail["type"]), detail["loc"], str(detail["msg"]).removeprefix("Value error, ")
    fields = _fields(place)
    match kind:
        case "extra_forbidden":
            meant = get_close_matches(str(place[-1]), fields, n=1)
            remedy = f"did you mean {meant[0]!r}?" if meant else "remove it or correct its spelling"
            return f"unknown key; {remedy} (docs/settings.md lists all keys)"
        case "missing":
            return "missing; add it"
        case "tuple_type":
            return "write [[sources]] above each source" if place == ("sources",) else 'must be a list, such as ["…"]'
        case "model_type" | "dict_type":
            remedy = f"write [{place[0]}] above its keys" if len(place) == 1 else "such as { key = value }"
            return f"must be a table: {remedy}"
        case "string_pattern_mismatch" if place[-1] in fields:
            return f"{message}: {fields[place[-1]].description}"
        case "union_tag_not_found":
            return "a source needs a type, such as 'files' or 'git'"
        case "union_tag_invalid":
            known = ", ".join((*SOURCE_TYPES, *plugins(SOURCES)))
            return f"{detail.get('ctx', {}).get('tag')!r} is no type of source; known: {known}"
        case _:
            return message


def _fields(place: Sequence[str | int]) -> Mapping[str, Any]:
    """Return the keys of the table in which a setting is, and what is known of each; none of a connector's own."""
    table: Any = Settings
    for part in place[:-1]:
        if part == "sources":
            table = SOURCE_KINDS
        elif table is SOURCE_KINDS:
            table = SOURCE_KINDS.get(part) if isinstance(part, str) else table
        else:
            field = getattr(table, "model_fields", {}).get(part)
            table = field and field.annotation
    return getattr(table, "model_fields", {})
