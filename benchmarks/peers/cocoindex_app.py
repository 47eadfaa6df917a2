"""CocoIndex: one memoised component a file into its Postgres target; the variant `chunks` memoises embeddings too."""

# pyright: reportMissingImports=false
# This file runs in .venv-peers, which the type checker does not see.

import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import asyncpg
import cocoindex as coco
import numpy as np
import psycopg
from cocoindex.connectors import localfs, postgres
from cocoindex.resources.file import FileLike, PatternFilePathMatcher
from cocoindex.resources.schema import VectorSchema
from numpy.typing import NDArray

from benchmarks.peers.phases import Place, main
from benchmarks.peers.texts import CountingEmbedder, access_of, cut
from rag_pipeline.embeddings import in_order

_TABLE = "cocoindex_chunks"
_DATABASE = coco.ContextKey[asyncpg.Pool]("database")
_embedder = CountingEmbedder()


@dataclass
class _Row:
    path: str
    position: int
    text: str
    access: str
    embedding: Annotated[NDArray, VectorSchema(dtype=np.dtype("float32"), size=_embedder.dimensions)]


@coco.fn(memo=True)
async def _embed_once(text: str) -> NDArray:
    return in_order(_embedder, [text])[0]


async def _embed(text: str) -> NDArray:
    return in_order(_embedder, [text])[0]


@coco.fn(memo=True)
async def _index_file(file: FileLike, path: str, access: str, memoise: bool, table: postgres.TableTarget[_Row]) -> None:
    for position, piece in enumerate(cut(await file.read_text())):
        embedding = await (_embed_once(piece) if memoise else _embed(piece))
        table.declare_row(row=_Row(path, position, piece, access, embedding))


@coco.fn
async def _index(root: Path, memoise: bool) -> None:
    table = await postgres.mount_table_target(
        _DATABASE,
        table_name=_TABLE,
        table_schema=await postgres.TableSchema.from_class(_Row, primary_key=["path", "position"]),
    )
    accesses: dict[Path, str] = {}
    files = localfs.walk_dir(root, recursive=True, path_matcher=PatternFilePathMatcher(included_patterns=["**/*.md"]))
    async for key, file in files.items():
        folder = (root / key).parent
        if folder not in accesses:
            accesses[folder] = access_of(folder)
        await coco.mount(coco.component_subpath(key), _index_file, file, str(key), accesses[folder], memoise, table)


class CocoIndex:
    """An app whose update runs again and again in one process."""

    embedder = _embedder

    def __init__(self, place: Place) -> None:
        self._url = place.url
        os.environ["COCOINDEX_DB"] = str(place.state / "cocoindex")
        os.environ["COCOINDEX_DISABLE_USAGE_TRACKING"] = "1"

        @coco.lifespan
        async def provide(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
            async with asyncpg.create_pool(place.url) as pool:
                builder.provide(_DATABASE, pool)
                yield

        self._app = coco.App(
            coco.AppConfig(name="Corpus"), _index, root=place.documents, memoise=place.variant == "chunks"
        )

    def refresh(self) -> None:
        """Update the app."""
        self._app.update_blocking()

    def published(self) -> Iterable[tuple[str, str, str]]:
        """Read the table."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(f"select path, text, access from {_TABLE}").fetchall()


if __name__ == "__main__":
    main(CocoIndex)
