"""From hits to an answer: say that it is not known, quote, or have a model write and check what it cites."""

from threading import Lock
from typing import TYPE_CHECKING

from rag_pipeline.query.answer import Answer
from rag_pipeline.query.cache import KeptAnswers
from rag_pipeline.query.hits import Hits
from rag_pipeline.query.question import Asking
from rag_pipeline.query.unwritten import not_known, quoted

if TYPE_CHECKING:
    from rag_pipeline.query.writing import OnText, Writer
    from rag_pipeline.settings import Settings


class Answering:
    """Answers from the hits of one index's searches. Any number of threads may use it at once."""

    def __init__(self, settings: "Settings", kept: KeptAnswers | None) -> None:
        """Take where answers are kept; None: nowhere."""
        self._settings = settings
        self._kept = kept
        self._loading = Lock()
        self._opened: Writer | None = None

    def answer(self, asking: Asking, hits: Hits, on_text: "OnText | None" = None) -> Answer:
        """Return the answer to a question of which these are the hits.

        A model that fails costs the answer, never the hits. `on_text` is called in the caller's thread. `seconds` is
        left to whoever knows when the question was asked. Raises `ConfigurationError` when the settings name no prompt
        or address that could be used, or a budget that cannot be kept.
        """
        settings = self._settings.answers
        if not hits:
            return not_known(hits, "nothing was found among what this caller may read")
        # The default was measured with one model; while another is live, as before a migration, it means nothing.
        is_bound = hits.evidence.is_measured or "min_evidence" in settings.model_fields_set
        if is_bound and hits.evidence.score < settings.min_evidence:
            return not_known(hits, "what was found has too little to do with the question")
        if settings.model is None:
            return quoted(hits, "[answers] model names one that writes answers")
        return self._writer(settings.model).answer(asking, hits, on_text)

    def _writer(self, model: str) -> "Writer":
        with self._loading:
            if self._opened is None:
                from rag_pipeline.query.writing import Writer

                self._opened = Writer(self._settings, model, self._kept)
            return self._opened
