"""The exact answers, by comparing every vector with every question outside of the database."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.large_index.made import LargeIndex
from rag_pipeline.database.connection import connect
from rag_pipeline.index.generations import use_generation

_BLOCK = 20_000
_EQUAL = 1e-5
"""Inner products that differ by less are equal: they are sums of 384 products, in different order."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Of every chunk who may read it and, for every question (row), how near it is (column)."""

    places: dict[str, int]
    acl_ids: NDArray[np.int32]
    allowed: dict[int, frozenset[str]]
    nearness: NDArray[np.float32]
    k: int

    @classmethod
    def read(cls, index: LargeIndex, k: int) -> "Truth":
        """Read all vectors and lists, as the superuser."""
        asked = np.stack([question.vector for question in index.questions]).astype(np.float16).astype(np.float32)
        places: dict[str, int] = {}
        acl_ids: list[int] = []
        blocks: list[NDArray[np.float32]] = []
        with connect(index.bench.settings, role=None) as connection, connection.transaction():
            use_generation(connection, index.generation)
            lists = connection.execute("select acl_id, allow from rag.access_lists").fetchall()
            with connection.cursor("vectors", binary=True) as cursor:
                cursor.itersize = _BLOCK
                cursor.execute(_VECTORS)
                while rows := cursor.fetchmany(_BLOCK):
                    places |= {chunk_id: len(places) + number for number, (chunk_id, _, _) in enumerate(rows)}
                    acl_ids += [acl_id for _, acl_id, _ in rows]
                    vectors = np.stack([vector.to_numpy() for _, _, vector in rows]).astype(np.float32)
                    blocks.append(asked @ vectors.T)
        allowed = {acl_id: frozenset(allow) for acl_id, allow in lists}
        return cls(places, np.array(acl_ids, np.int32), allowed, np.concatenate(blocks, axis=1), k)

    @property
    def lists(self) -> int:
        """How many distinct access lists there are."""
        return len(self.allowed)

    def admitted(self, group: str) -> NDArray[np.bool_]:
        """Return of each chunk whether a caller of this group may read it."""
        lists = [acl_id for acl_id, allow in self.allowed.items() if group in allow]
        return np.isin(self.acl_ids, lists)

    def visible(self, group: str) -> int:
        """Return how many chunks a caller may read."""
        return int(self.admitted(group).sum())

    def recall(self, group: str, found: Sequence[Sequence[str]]) -> float:
        """Return the mean share of the exact answer that was found; what may not be read does not count."""
        admitted = self.admitted(group)
        wanted = min(self.k, int(admitted.sum()))
        shares: list[float] = []
        for nearness, ids in zip(self.nearness, found, strict=True):
            last = np.partition(nearness[admitted], -wanted)[-wanted]
            places = [self.places[chunk_id] for chunk_id in dict.fromkeys(ids)][: self.k]
            near = [nearness[place] - last for place in places if admitted[place]]
            nearer = sum(difference > _EQUAL for difference in near)
            as_near = sum(abs(difference) <= _EQUAL for difference in near)
            room = wanted - int((nearness[admitted] - last > _EQUAL).sum())
            shares.append((nearer + min(as_near, room)) / wanted)
        return float(np.mean(shares))

    def hidden(self, group: str, found: Sequence[Sequence[str]]) -> int:
        """Return how many of the chunks found the caller may not read."""
        admitted = self.admitted(group)
        return sum(not admitted[self.places[chunk_id]] for ids in found for chunk_id in ids)


_VECTORS = """
    select encode(document_hash, 'hex') || '-' || encode(local_id, 'hex'), chunk_vectors.acl_id, embedding
    from chunk_vectors
    join chunks using (chunk_key)
    join documents on documents.doc_key = chunks.doc_key
"""
