"""What an error means on the command line: its words, and its exit code."""

import errno
import os

from rag_pipeline.errors import ConfigurationError, RagError

WRONG_DATA = 1
WRONG_USE = 2
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def debugging() -> bool:
    """Whether a traceback is wanted (`RAG_DEBUG` is set)."""
    return bool(os.environ.get("RAG_DEBUG"))


def describe(error: Exception) -> str:
    """Return the words of an error; one that nobody foresaw says how to see more."""
    text = str(error).strip()
    if isinstance(error, RagError):
        return text
    if isinstance(error, OSError) and error.errno in (*_CLOSED, *_FULL):
        remedy = "free some space" if error.errno in _FULL else "let this user read and write there"
        return f"{error.filename or 'the disk'}: {error.strerror}; {remedy}, or choose another [workspace] root"
    return f"{type(error).__name__}: {text or 'no details'} (the traceback: set RAG_DEBUG=1)"


def exit_code(error: Exception) -> int:
    """Return 2 when a person must correct the configuration or a right, else 1."""
    closed = isinstance(error, OSError) and error.errno in _CLOSED
    return WRONG_USE if closed or isinstance(error, ConfigurationError) else WRONG_DATA
