"""The model that a generation was made with, opened again whatever the settings say now."""

from collections.abc import Mapping
from typing import Any

from rag_pipeline.embeddings import Embedder, Sample, open_embedder
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import Embedding
from rag_pipeline.settings.sections import DECIDES

_PLACE = ("base_url", "send_dimensions")
"""Where a service is and how it is asked, which is in the recipe only to find the model again."""


def deciding(settings: Embedding) -> dict[str, Any]:
    """Return the settings that decide vectors, as a recipe keeps them."""
    return settings.model_dump(mode="json", include=set(DECIDES))


def open_kept(settings: Embedding, kept: Mapping[str, Any], model: str, expected: Sample | None = None) -> Embedder:
    """Open the model that calls itself `model`: as these settings say, or else as they were when it was `kept`.

    `expected` is what a service's model gave for the sample, as `open_embedder` wants it.
    Raises `ConfigurationError` when neither gives that model.
    """
    ways = [lambda: settings]
    if kept:
        ways.insert(1 if _differ_in_place_alone(deciding(settings), kept) else 0, lambda: _as_kept(settings, kept))
    problems: list[str] = []
    for way in ways:
        try:
            embedder = open_embedder(way(), expected)
        except ConfigurationError as error:
            problems.append(str(error))
            continue
        if embedder.model == model:
            return embedder
        problems.append(f"there is {embedder.model}")
    raise ConfigurationError(
        f"the model of the index, {model}, cannot be opened: {'; '.join(problems)}. "
        "Put back what [embedding] was, and the files of the model, if it has any"
    )


def _differ_in_place_alone(now: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """Whether the model is the same one: a service may have moved, and is no longer found where it was."""
    return all(now[name] == kept.get(name) for name in now if name not in _PLACE)


def _as_kept(settings: Embedding, kept: Mapping[str, Any]) -> Embedding:
    """Return the settings with the deciding ones as they were."""
    try:
        return Embedding.model_validate(settings.model_dump() | dict(kept))
    except ValueError as error:
        raise ConfigurationError(f"how it was opened is not understood by this version: {error}") from error
