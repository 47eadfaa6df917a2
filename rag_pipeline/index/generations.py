"""Generations: one recipe, one model, one schema ``rag_g<N>`` of the index.

One is live: readers see it. One more may be built beside it with another recipe. What was live before is
retired, and can be gone back to until it is dropped. Each is filled with its own recipe, whatever the settings say.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.objects import LAYOUT, apply_objects, as_owner, generation_search_path, search_path
from rag_pipeline.database.statements import sql_folder, statements
from rag_pipeline.errors import ConfigurationError, StateMoved
from rag_pipeline.recipe import Difference, Recipe

State = Literal["building", "live", "retired", "dropped"]


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation that has tables; `layout` is the version of these, `fingerprint` that of its recipe."""

    number: int
    state: State
    layout: int
    recipe: Recipe
    fingerprint: str
    created_at: datetime
    retired_at: datetime | None

    @property
    def readable(self) -> bool:
        """Whether this version of the software has functions and views for its tables."""
        return self.layout == LAYOUT

    def differences(self, wanted: Recipe) -> tuple[Difference, ...]:
        """Say what is not alike in its recipe and the wanted one; its tables count as a part of it."""
        layout = () if self.readable else (Difference("layout", self.layout, LAYOUT),)
        return layout + self.recipe.differences(wanted)

    def can_be_refreshed(self, wanted: Recipe) -> bool:
        """Whether what made it is still there: this software's part of the recipe is that of the wanted one."""
        return not any(difference.by_software for difference in self.differences(wanted))


def generations(connection: Connection[Any]) -> list[Generation]:
    """Return all generations that have tables, oldest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statements("generations")["generations"]).fetchall()
    return [Generation(recipe=Recipe.of_json(row.pop("recipe")), **row) for row in rows]


def in_state(found: list[Generation], state: State) -> Generation | None:
    """Return the generation in a state; there is one live at most, and one building."""
    return next((generation for generation in found if generation.state == state), None)


def ensure_generation(connection: Connection[Any], recipe: Recipe) -> Generation:
    """Return the live generation, making the first one of this recipe when there is none."""
    live = in_state(generations(connection), "live")
    if live is None:
        with connection.transaction():
            connection.execute(statements("generations")["lock_generations"])
            live = in_state(generations(connection), "live")
            if live is None:
                number = create_generation(connection, recipe, "live")
                apply_objects(connection, number)
        live = live or in_state(generations(connection), "live")
    assert live is not None
    return live


def create_generation(connection: Connection[Any], recipe: Recipe, state: State) -> int:
    """Build the tables of another generation and return its number; the caller holds the lock on generations.

    Raises `ConfigurationError` for a language that Postgres does not know.
    """
    queries = statements("generations")
    languages = [name for (name,) in connection.execute(queries["text_search_languages"])]
    if recipe.language not in languages:
        raise ConfigurationError(
            f"[keywords] language is {recipe.language!r}, which Postgres cannot read; it knows {', '.join(languages)}"
        )
    (number,) = connection.execute(queries["next_generation"]).fetchone() or (1,)
    values = {
        "generation": number,
        "recipe": recipe.as_json(),
        "fingerprint": recipe.fingerprint,
        "model": recipe.model,
        "dimensions": recipe.dimensions,
        "layout": LAYOUT,
        "state": state,
    }
    connection.execute(queries["add_generation"], values)
    with as_owner(connection, search_path(connection, "rag")):
        connection.execute(queries["announce_generation"], values)
        connection.execute((sql_folder() / "generation" / "schema.sql").read_bytes())
    return number


def use_generation(connection: Connection[Any], generation: int) -> None:
    """Make unqualified table names mean this generation, for the rest of the session."""
    connection.execute(
        statements("generations")["use_generation"], {"search_path": generation_search_path(connection, generation)}
    )


@contextmanager
def look_into(connection: Connection[Any], generation: int, back_to: int) -> Iterator[None]:
    """Let unqualified table names mean this generation inside the block, a part of the caller's transaction."""
    query = statements("generations")["look_into"]
    connection.execute(query, {"search_path": generation_search_path(connection, generation)})
    yield
    connection.execute(query, {"search_path": generation_search_path(connection, back_to)})


def expect_state(connection: Connection[Any], generation: int, *states: State) -> None:
    """Hold a generation in its state until the transaction ends. Raises `StateMoved` unless it is one of `states`."""
    row = connection.execute(statements("generations")["state_of"], {"generation": generation}).fetchone()
    if row is None or row[0] not in states:
        raise StateMoved(
            f"generation {generation} of the index is {row[0] if row else 'gone'} meanwhile; run the refresh again"
        )
