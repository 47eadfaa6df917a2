"""By what an answer is found again: everything that it was made from.

A changed document, a lost permission, another model, prompt or generation makes another key, so that nothing has to be
thrown away when one of them changes; what nobody finds any more expires.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rag_pipeline.query.question import Caller, Filters

_FORMAT = 1
"""Raise it when answers of an older version of this software must not be found any more."""


def cache_key(
    *,
    question: str,
    caller: Caller,
    filters: Filters,
    k: int,
    reranker: str | None,
    generation: int,
    chunk_ids: Sequence[str],
    passages: Sequence[str],
    model: str,
    parameters: Mapping[str, Any],
    prompt_version: str,
) -> str:
    """Return the key of an answer, 64 hexadecimal digits; nothing can be read in it.

    `chunk_ids` are the chunks that were found, in order, and `passages` the text that the model is shown of them,
    with everything that is said about each: so a key changes with what a document says, whatever its ids.
    `reranker` names what had a part in the order; None: nothing had. `parameters` are JSON values: whatever else the
    model is asked with.
    """
    made_from = {
        "format": _FORMAT,
        "question": normalised(question),
        "caller": _digest(caller.principals),
        "filters": _canonical_filters(filters),
        "k": k,
        "reranker": reranker,
        "generation": generation,
        "chunk_ids": list(chunk_ids),
        "passages": [hashlib.sha256(passage.encode("utf-8", "surrogatepass")).hexdigest() for passage in passages],
        "model": model,
        "parameters": dict(parameters),
        "prompt_version": prompt_version,
    }
    return _digest(made_from)


def normalised(question: str) -> str:
    """Return a question in the spelling that is compared: composed characters, single blanks; case stays.

    Case stays because it means something: who is WHO?
    """
    return " ".join(unicodedata.normalize("NFC", question).split())


def _canonical_filters(filters: Filters) -> dict[str, Any]:
    """Return filters as JSON values; the order of names in a list means nothing, and a moment has one spelling."""
    return {
        name: sorted(set(value))
        if isinstance(value, list)
        else value.timestamp()
        if hasattr(value, "timestamp")
        else value
        for name, value in filters.parameters.items()
    }


def _digest(value: Mapping[str, Any] | Iterable[Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
