"""Settings: one `rag.toml`, overridden by environment variables, read in one place.

Every key is documented in ``docs/settings.md``. An unknown key, a wrong type or two sources of one name
is a `ConfigurationError` that names the file, the setting and the remedy. ``RAG_<SECTION>__<KEY>``
overrides any key of a section (``RAG_DATABASE__URL``); secrets come only from there.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.model import Access, principal

FILE_NAME = "rag.toml"
_ENVIRONMENT = re.compile(r"RAG_(?P<section>[A-Z]+)__(?P<key>[A-Z_]+)")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Workspace(_Section):
    """Where the pipeline keeps what it works with."""

    root: str = Field(default=".rag", description="Folder (or fsspec URL) of stage files and document blobs.")
    keep_days: int = Field(
        default=30, ge=1, description="Days that snapshots, removed documents and unused vectors are kept."
    )


class Database(_Section):
    """Where the index lives."""

    url: str = Field(
        default="embedded", description="'embedded', or postgresql://… of a server with pgvector 0.8 or later."
    )
    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port on 127.0.0.1 for the embedded server; none by default."
    )


class Embedding(_Section):
    """The frozen interface between texts and vectors."""

    provider: Literal["local", "hashed"] = Field(
        default="local",
        description="'local' runs the packaged model; 'hashed' makes vectors without meaning, for load tests.",
    )
    model: str = Field(default="BAAI/bge-small-en-v1.5", description="Name of the embedding model.")
    processes: int | None = Field(default=None, ge=1, description="Parallel workers; all cores by default.")


class Chunking(_Section):
    """How documents become sections and chunks; part of the recipe."""

    max_tokens: int = Field(default=200, ge=32, le=480, description="Tokens of a chunk's own text, at most.")
    window_tokens: int = Field(
        800, ge=64, le=8000, description="Tokens of a section, the window given to the model, at most."
    )


class Guards(_Section):
    """What is withheld until a person approves it."""

    max_deletions: float = Field(
        0.10, ge=0, le=1, description="Share of a source's documents that one refresh may remove."
    )
    max_widenings: float = Field(default=0.10, ge=0, le=1, description="Share whose access one refresh may widen.")
    min_documents: int = Field(default=10, ge=0, description="Up to this many documents the shares do not apply.")


def _principals(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({principal(name) for name in names}))


Principals = Annotated[tuple[str, ...], AfterValidator(_principals)]


class SourceSettings(_Section):
    """What every kind of source understands."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Name of the source: lower case, unique.")
    access: Principals = Field(default=(), description="Principals who may read; without it: nobody.")
    deny: Principals = Field(default=(), description="Principals who may not, even when a list above admits them.")
    include: tuple[str, ...] = Field(default=("**/*",), description="Globs of the paths to index.")
    exclude: tuple[str, ...] = Field(default=(), description="Globs of the paths to leave out; stronger than include.")
    guards: Guards = Field(
        default_factory=lambda: Guards.model_validate({}), description="Limits on deletions and widenings."
    )
    stale_after_minutes: int = Field(default=180, ge=2, description="Age at which the source counts as stale.")

    @property
    def default_access(self) -> Access:
        """Who may read a document that says nothing else."""
        return Access.of(self.access, self.deny)


class FilesSettings(SourceSettings):
    """A folder."""

    type: Literal["files"]
    path: Path = Field(description="Folder to index; relative to rag.toml.")


class GitSettings(SourceSettings):
    """A git repository."""

    type: Literal["git"]
    url: str = Field(description="Anything that git can fetch from; a path is relative to rag.toml.")
    ref: str = Field(default="HEAD", description="Branch, tag or commit to index.")


AnySource = Annotated[FilesSettings | GitSettings, Field(discriminator="type")]


class Settings(_Section):
    """Everything a workspace is configured with. Build it with `Settings.load`."""

    workspace: Workspace = Field(default_factory=lambda: Workspace.model_validate({}))
    database: Database = Field(default_factory=lambda: Database.model_validate({}))
    embedding: Embedding = Field(default_factory=lambda: Embedding.model_validate({}))
    chunking: Chunking = Field(default_factory=lambda: Chunking.model_validate({}))
    sources: tuple[AnySource, ...] = ()
    folder: Path = Field(
        default_factory=Path.cwd, exclude=True, description="Folder of rag.toml; relative paths start here."
    )

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
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{file}: {error}") from error
        origin = {section: str(file) for section in values}
        for variable, text in environ.items():
            if match := _ENVIRONMENT.fullmatch(variable):
                section = match["section"].lower()
                table = values.setdefault(section, {})
                if not isinstance(table, dict):
                    raise ConfigurationError(f"{variable}: [{section}] is a list; change it in {file}")
                table[match["key"].lower()] = _plain(text)
                origin[section] = f"{file} or {variable}"
        try:
            return cls.model_validate({**values, "folder": file.parent.resolve()})
        except ValidationError as error:
            lines = [_explain(file, values, dict(detail)) for detail in error.errors(include_url=False)]
            raise ConfigurationError("\n".join(lines)) from error

    def source(self, name: str) -> FilesSettings | GitSettings:
        """Return the settings of one source. Raises `ConfigurationError` for a name that is not configured."""
        for source in self.sources:
            if source.name == name:
                return source
        known = ", ".join(source.name for source in self.sources) or "none"
        raise ConfigurationError(f"no source is named {name!r} in {self.folder / FILE_NAME}; configured: {known}")


def _plain(text: str) -> Any:
    """An environment variable's value: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _explain(file: Path, values: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    """Say in one line which setting of `file` is wrong and what to write instead."""
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
    remedies = {
        "extra_forbidden": "unknown key; remove it or correct its spelling (docs/settings.md lists all keys)",
        "missing": "missing; add it",
        "union_tag_not_found": "a source needs type = 'files' or 'git'",
        "union_tag_invalid": f"{detail.get('ctx', {}).get('tag')!r} is no type of source; known: files, git",
    }
    message = remedies.get(str(detail["type"]), str(detail["msg"]).removeprefix("Value error, "))
    return f"{file}: {setting}: {message}"
