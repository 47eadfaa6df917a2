"""What an error means on the command line: its words, and its exit code."""

import os

from rag_pipeline.errors import ConfigurationError, RagError

WRONG_DATA = 1
WRONG_USE = 2


def debugging() -> bool:
    """Whether a traceback is wanted (`RAG_DEBUG` is set)."""
    return bool(os.environ.get("RAG_DEBUG"))


def describe(error: Exception) -> str:
    """Return the words of an error; one that nobody foresaw says how to see more."""
    text = str(error).strip()
    if isinstance(error, RagError):
        return text
    return f"{type(error).__name__}: {text or 'no details'} (the traceback: set RAG_DEBUG=1)"


def exit_code(error: Exception) -> int:
    """Return 2 when a person must correct the configuration, else 1."""
    return WRONG_USE if isinstance(error, ConfigurationError) else WRONG_DATA
