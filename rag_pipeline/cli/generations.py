"""Which generations of the index there are and what the settings want: what `refresh` and `status` say about it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from psycopg import Connection

    from rag_pipeline.recipe import Difference
    from rag_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Standing:
    """The live generation, the one that is being built, and how the settings differ from the live one.

    Numbers and models are None where there is no such generation; `problem` says why the settings' own model cannot
    be opened, if it cannot.
    """

    generation: int | None
    model: str | None
    building: int | None
    building_model: str | None
    differences: "tuple[Difference, ...]" = ()
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as programs read it."""
        return asdict(self)

    def notes(self) -> Iterator[str]:
        """Say what a person should know, and the command that helps."""
        differences = "; ".join(map(str, self.differences))
        if self.problem:
            yield f"generation {self.generation} stays as it was made; what the settings want cannot be: {self.problem}"
        if self.building is not None:
            what = f" ({differences})" if differences else ""
            yield (
                f"generation {self.building} is being built beside generation {self.generation}{what}; "
                "how far it is: rag-pipeline migrate status"
            )
        elif differences:
            yield (
                f"generation {self.generation} stays as it was made: {differences}; "
                "what another generation takes: rag-pipeline migrate plan"
            )


def standing(settings: "Settings", connection: "Connection[Any]") -> Standing:
    """Look at the generations of a prepared database."""
    from rag_pipeline.index.generations import generations, in_state
    from rag_pipeline.targets import Targets

    found = generations(connection)
    live, building = in_state(found, "live"), in_state(found, "building")
    now = Standing(
        live and live.number,
        live and live.recipe.model,
        building and building.number,
        building and building.recipe.model,
    )
    if live is None:
        return now
    try:
        return replace(now, differences=Targets(settings).differences_at_a_glance(live))
    except ConfigurationError as error:
        # Nothing that is live depends on it.
        return replace(now, problem=str(error))
