"""Which generation is refreshed, and what it is made with.

The live one, with its own recipe, as long as the software that made it is there. An upgrade may have changed how
documents are read or cut: then only a generation of the present software can be refreshed, and the live one is
searched as it is until that is published.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

from psycopg import Connection

from rag_pipeline.chunks import CHUNKER_VERSION
from rag_pipeline.database.connection import connect
from rag_pipeline.database.migrate import prepare
from rag_pipeline.documents import PARSER_VERSION
from rag_pipeline.embeddings import Embedder, open_embedder
from rag_pipeline.embeddings.kept import deciding, open_kept
from rag_pipeline.embeddings.prefixed import room_for_passages
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.index.generations import Generation, ensure_generation, generations, in_state
from rag_pipeline.plugins import PARSERS, versions
from rag_pipeline.recipe import KEYWORDS_VERSION, Difference, Recipe
from rag_pipeline.settings import Settings

NEXT = "see what the next generation takes: rag-pipeline migrate plan; build it: rag-pipeline migrate start"


class Targets:
    """The generations of one index and their models; each model is loaded once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._known: dict[int, Generation] = {}
        self._embedders: dict[str, Embedder] = {}

    @cached_property
    def embedder(self) -> Embedder:
        """The model of the settings, loaded when it is first needed."""
        embedder = open_embedder(self.settings.embedding)
        return self._embedders.setdefault(embedder.model, embedder)

    def use(self, embedder: Embedder) -> None:
        """Take this model for the one of the settings, and for that of every generation that was made with it."""
        self.embedder = self._embedders[embedder.model] = embedder

    @cached_property
    def wanted(self) -> Recipe:
        """What this software and these settings make of a document.

        Raises `ConfigurationError` when the model would not read a chunk to its end.
        """
        chunking = self.settings.chunking
        room = room_for_passages(self.embedder)
        if room is not None and chunking.max_tokens > room:
            raise ConfigurationError(
                f"[chunking] max_tokens is {chunking.max_tokens}, but of a chunk with its headings "
                f"{self.settings.embedding.model} reads {room} tokens, and nothing of the rest; lower max_tokens well "
                "below that, or choose a model that reads more"
            )
        return Recipe(
            parser_version=PARSER_VERSION,
            parsers=versions(PARSERS),
            chunker_version=CHUNKER_VERSION,
            max_tokens=chunking.max_tokens,
            window_tokens=chunking.window_tokens,
            model=self.embedder.model,
            dimensions=self.embedder.dimensions,
            keywords_version=KEYWORDS_VERSION,
            language=self.settings.keywords.language,
            query_prefix=self.settings.embedding.query_prefix or "",
            embedding=deciding(self.settings.embedding),
        )

    @cached_property
    def prepared(self) -> bool:
        """True, once databases, roles and control tables are there; they are made when they are missing."""
        prepare(self.settings)
        return True

    def refreshed(self, connection: Connection[Any]) -> Generation:
        """Return the generation that refreshes publish to; the first one is made when there is none.

        Raises `ConfigurationError` when the software that made it is gone and no other is being built.
        """
        found = generations(connection)
        live = in_state(found, "live") or ensure_generation(connection, self.wanted)
        for target in (live, in_state(found, "building")):
            if target and self.can_be_refreshed(target):
                return self.know(target)
        gone = "; ".join(
            str(difference) for difference in live.differences(self._by_this_software(live)) if difference.by_software
        )
        raise ConfigurationError(
            f"generation {live.number} of the index was made by another version of rag-pipeline: {gone}. "
            f"It is searched as it is, but can be refreshed no more; {NEXT}"
        )

    def can_be_refreshed(self, generation: Generation) -> bool:
        """Whether this software can make the rows of a generation, whatever the settings say."""
        return generation.can_be_refreshed(self._by_this_software(generation))

    def generation(self, number: int) -> Generation:
        """Return a generation by its number; its recipe never changes, its state is the one last seen."""
        if number not in self._known:
            with connect(self.settings) as connection:
                for generation in generations(connection):
                    self.know(generation)
        if number not in self._known:
            raise ConfigurationError(f"there is no generation {number} of the index, or it was dropped")
        return self._known[number]

    def know(self, generation: Generation) -> Generation:
        """Remember a generation as it is now."""
        self._known[generation.number] = generation
        return generation

    def embedder_of(self, generation: Generation) -> Embedder:
        """Return the model of a generation. Raises `ConfigurationError` when it cannot be opened any more."""
        recipe = generation.recipe
        if recipe.model not in self._embedders:
            self._embedders[recipe.model] = open_kept(self.settings.embedding, recipe.embedding, recipe.model)
        return self._embedders[recipe.model]

    def differences(self, generation: Generation) -> tuple[Difference, ...]:
        """Say how software and settings differ from what a generation was made with."""
        return generation.differences(self.wanted)

    def differences_at_a_glance(self, generation: Generation) -> tuple[Difference, ...]:
        """As `differences`, but where the model is opened as it was, it is taken to be the same and is not loaded."""
        if deciding(self.settings.embedding) != generation.recipe.embedding:
            return self.differences(generation)
        chunking, language = self.settings.chunking, self.settings.keywords.language
        same = self._by_this_software(generation)
        wanted = replace(same, max_tokens=chunking.max_tokens, window_tokens=chunking.window_tokens, language=language)
        return generation.differences(wanted)

    def _by_this_software(self, generation: Generation) -> Recipe:
        """Return a generation's recipe as this software would carry it out."""
        return replace(
            generation.recipe,
            parser_version=PARSER_VERSION,
            parsers=versions(PARSERS),
            chunker_version=CHUNKER_VERSION,
            keywords_version=KEYWORDS_VERSION,
        )
