"""The model that questions are embedded with: that of the live generation, whatever the settings say now."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from rag_pipeline.errors import TransientError

if TYPE_CHECKING:
    from rag_pipeline.embeddings import Embedder, Sample, Vector
    from rag_pipeline.settings import Settings

_KEPT = 2
"""Models that stay loaded: after a flip the other one may be gone back to."""


@dataclass(frozen=True, slots=True)
class Live:
    """The live generation: its model, how that is opened, and since when every source is confirmed."""

    generation: int
    model: str
    embedding: Mapping[str, Any]
    as_of: datetime | None


class AnotherGeneration(TransientError):
    """Another generation of the index became live while one was asked; the question is asked again."""

    def __init__(self) -> None:
        super().__init__("another generation of the index became live meanwhile; ask again")


class EmbedsQuestions(Protocol):
    """What of a model a search needs."""

    def embed_query(self, text: str) -> "Vector":
        """Return the vector of a question."""
        ...


class OpensModels(Protocol):
    """Gives the model of a generation, as `Models` does."""

    def of(self, live: Live, sample: "Callable[[int], Sample | None]") -> EmbedsQuestions:
        """Return the model of a generation."""
        ...


class Models:
    """The embedders of the last generations that were asked. Any number of threads may use them at once."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._loading = Lock()
        self._opened: OrderedDict[int, Embedder] = OrderedDict()

    def of(self, live: Live, sample: "Callable[[int], Sample | None]") -> "Embedder":
        """Return the model of a generation. Raises `ConfigurationError` when it cannot be opened.

        `sample` gives what a service's model is known by; it is called when a generation is asked for the first time.
        """
        with self._loading:
            if live.generation not in self._opened:
                from rag_pipeline.embeddings.kept import open_kept

                self._opened[live.generation] = open_kept(
                    self._settings.embedding, live.embedding, live.model, sample(live.generation)
                )
                while len(self._opened) > _KEPT:
                    self._opened.popitem(last=False)
            return self._opened[live.generation]
