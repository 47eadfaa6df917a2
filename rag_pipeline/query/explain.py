"""The journal of one search: what each layer kept and dropped, how long it took, and the way of every candidate."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rag_pipeline.query.hits import Candidate, Explanation, Layer, Trace


@dataclass(slots=True)
class Step:
    """What a layer says of itself while it works."""

    kept: int
    detail: str = ""


class Steps:
    """Times layers that follow one another."""

    def __init__(self) -> None:
        self._layers: list[Layer] = []

    @contextmanager
    def step(self, name: str, entering: int = 0) -> Iterator[Step]:
        """Measure a layer to which so much comes; unless it says otherwise it keeps all of it."""
        step = Step(entering)
        begun = time.perf_counter()
        yield step
        self._layers.append(Layer(name, _milliseconds(begun), step.kept, entering - step.kept, step.detail))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that have ended, in their order."""
        return tuple(self._layers)


class Journal:
    """Writes down what happens in a search. What is written of the database comes from the database itself."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._before: list[Layer] = []
        self._layers: list[Layer] = []
        self._dropped: dict[str, str] = {}
        self._paths: Mapping[str, Any] = {}
        self._plans: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Measure what happens before the database is asked."""
        begun = time.perf_counter()
        yield
        self._before.append(Layer(name, _milliseconds(begun), 0, 0))

    def started(self, paths: Mapping[str, Any], plans: Sequence[str]) -> "Journal":
        """Begin anew with what the database says of its own layers: the ways that it took, and its plans."""
        self._layers, self._dropped = [], {}
        self._paths, self._plans = paths, tuple(plans)
        self.notes = (paths["note"],) if paths["note"] else ()
        return self

    @contextmanager
    def layer(self, name: str, entering: int) -> Iterator[Callable[[int, Mapping[str, str]], None]]:
        """Measure a layer; the function given takes how many it kept, and why each of the others fell."""
        kept, fallen = entering, {}

        def done(number: int, reasons: Mapping[str, str]) -> None:
            nonlocal kept, fallen
            kept, fallen = number, dict(reasons)

        begun = time.perf_counter()
        yield done
        self._layers.append(Layer(name, _milliseconds(begun), kept, entering - kept))
        self._dropped |= fallen

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers so far, in the order of the search."""
        return (*self._before, *self._database(), *self._layers)

    def explanation(
        self, candidates: Sequence[Candidate], reranks: Mapping[str, int], best: Sequence[Candidate], k: int
    ) -> Explanation | None:
        """Return what was written; None when nobody wants to know."""
        if not self._wanted:
            return None
        ranks = {candidate.chunk_id: rank for rank, candidate in enumerate(best, 1)}
        traces = [
            Trace(
                chunk_id=candidate.chunk_id,
                source=candidate.source,
                document_id=candidate.document_id,
                uri=candidate.uri,
                title=candidate.title,
                heading_path=candidate.heading_path,
                vector_rank=candidate.vector_rank,
                keyword_rank=candidate.keyword_rank,
                fused_rank=fused_rank,
                rerank_rank=reranks.get(candidate.chunk_id),
                rank=ranks.get(candidate.chunk_id),
                dropped=None
                if candidate.chunk_id in ranks
                else self._dropped.get(candidate.chunk_id, f"behind the first {k}"),
            )
            for fused_rank, candidate in enumerate(candidates, 1)
        ]
        return Explanation(self.layers, tuple(traces), self._paths, self._plans)

    def _database(self) -> Iterator[Layer]:
        paths = self._paths
        visible, vector, keyword = paths["visible_chunks"], paths["vector"], paths["keyword"]
        yield Layer("permissions and filters", paths["scope"]["milliseconds"], visible, 0)
        for name, half in (("vector", vector), ("keyword", keyword)):
            yield Layer(name, half["milliseconds"], half["found"], max(0, visible - half["found"]), half["path"])
        both = vector["found"] + keyword["found"] - paths["fusion"]["found"]
        detail = f"{paths['fusion']['path']}, {both} found by both"
        yield Layer("fusion", paths["fusion"]["milliseconds"], paths["fusion"]["found"], 0, detail)


def _milliseconds(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 3)
