"""Whose fault it is that texts are refused: theirs, or the service's."""

from rag_pipeline.errors import PermanentError

KEPT = "What was embedded is kept, and the next run goes on from there"

_FEW, _SHARE = 10, 0.1
"""Up to so many refused texts, or this share of a run beside one for each that is known to be taken, the texts are to
blame; above both, the service is. It is as well when it refuses the probe that is sent from then on."""


class Refusals:
    """Texts of a run that were taken and refused, beside those that the model is `known` to take."""

    def __init__(self, known: int) -> None:
        self._known = known
        self._taken = self._refused = 0

    @property
    def many(self) -> bool:
        """Whether so many are refused that the service has to be looked at."""
        return self._refused > _FEW

    def took(self, texts: int) -> None:
        """Take note of texts that have a vector."""
        self._taken += texts

    def refused(self, texts: int, reason: str) -> PermanentError | None:
        """Take note of texts that are given up; return what ends the run when it is not about single ones."""
        self._refused += texts
        asked = self._taken + self._refused
        if self._refused <= max(_FEW, _SHARE * asked + self._known):
            return None
        return PermanentError(
            f"the embedding service refuses {self._refused} of {asked} texts, so it is not about single ones: "
            f"{reason}. If it is about their length, lower [chunking] max_tokens. {KEPT}"
        )

    def probe_refused(self, reason: str) -> PermanentError | None:
        """Return what ends the run when many texts are refused, and now a text that was never refused before."""
        return (
            PermanentError(f"the embedding service refuses whatever it is asked: {reason}. {KEPT}")
            if self.many
            else None
        )
