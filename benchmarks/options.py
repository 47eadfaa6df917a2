"""What a person may ask of a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`quick` means inputs so small that the figures say nothing: it shows that a benchmark still works."""

    quick: bool = False
    peer_documents: int = 1_000

    @property
    def repeats(self) -> int:
        """How often to measure what takes the median."""
        return 1 if self.quick else 3
