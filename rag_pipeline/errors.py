"""Errors that decide: each class says who can help, and therefore what happens next.

========================  =======================================================
class                     what the caller does
========================  =======================================================
`ConfigurationError`      stops with exit code 2: a person corrects a setting
`TransientError`          tries again: the world, not the input, was in the way
`StateMoved`              computes the refresh again from the new state
`DocumentError`           quarantines one document and goes on with the others
`PermanentError`          stops with exit code 1: trying again changes nothing
========================  =======================================================
"""


class RagError(Exception):
    """Base of every error that rag-pipeline raises on purpose; its text says what to do next.

    `tokens` is what a model charged, or may have charged, and nobody has booked yet.
    """

    tokens: int = 0


class ConfigurationError(RagError):
    """A setting, a path or a right is wrong. The message names the file, the setting and the remedy."""


class TransientError(RagError):
    """Something outside was unavailable for a moment; the same call may succeed later."""


class StateMoved(TransientError):
    """Another refresh of the same source published first; what was computed no longer applies."""


class PermanentError(RagError):
    """Trying again cannot help; the message says what would."""


class BudgetExhausted(PermanentError):
    """The next request could pass a budget in dollars, so it was not sent. What was bought before stays."""


class DocumentError(RagError):
    """One document cannot be read or understood. It is quarantined, the run goes on."""
