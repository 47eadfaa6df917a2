"""Generations: one recipe, one model, one schema ``rag_g<N>`` of the index."""

import json
from typing import Any

from psycopg import Connection

from rag_pipeline.database.objects import apply_objects, as_owner, generation_search_path, search_path
from rag_pipeline.database.statements import sql_folder, statements
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.recipe import Recipe

FIRST = 1


def ensure_generation(connection: Connection[Any], recipe: Recipe) -> int:
    """Return the number of the live generation, making the first one when there is none.

    Raises `ConfigurationError` when the live generation was built with another recipe: vectors of two
    models must never meet.
    """
    queries = statements("generations")
    live = connection.execute(queries["live_generation"]).fetchone()
    if live is None:
        with connection.transaction():
            connection.execute(queries["lock_generations"])
            live = connection.execute(queries["live_generation"]).fetchone()
            if live is None:
                _create(connection, recipe)
        if live is None:
            return FIRST
    generation, stored, fingerprint = live[0], json.loads(live[1]), live[2]
    if fingerprint != recipe.fingerprint:
        wanted = json.loads(recipe.as_json())
        differences = "; ".join(
            f"{key} is {stored.get(key)!r} in the index and {wanted.get(key)!r} in the settings"
            for key in sorted(stored.keys() | wanted.keys())
            if stored.get(key) != wanted.get(key)
        )
        raise ConfigurationError(
            f"the settings do not fit generation {generation} of the index: {differences}. "
            "Put the settings back, or point [database] url and [workspace] root at a new, empty place"
        )
    return generation


def use_generation(connection: Connection[Any], generation: int) -> None:
    """Make unqualified table names mean this generation, for the rest of the session."""
    connection.execute(
        statements("generations")["use_generation"], {"search_path": generation_search_path(connection, generation)}
    )


def _create(connection: Connection[Any], recipe: Recipe) -> None:
    """Build the tables of the first generation and the views and functions over them."""
    queries = statements("generations")
    values = {
        "generation": FIRST,
        "recipe": recipe.as_json(),
        "fingerprint": recipe.fingerprint,
        "model": recipe.model,
        "dimensions": recipe.dimensions,
    }
    languages = [name for (name,) in connection.execute(queries["text_search_languages"])]
    if recipe.language not in languages:
        raise ConfigurationError(
            f"[keywords] language is {recipe.language!r}, which Postgres cannot read; it knows {', '.join(languages)}"
        )
    connection.execute(queries["add_generation"], values)
    with as_owner(connection, search_path(connection, "rag")):
        connection.execute(queries["announce_generation"], values)
        connection.execute((sql_folder() / "generation" / "schema.sql").read_bytes())
    apply_objects(connection, FIRST)
