"""Options that several verbs share, and the settings that all of them read."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from rag_pipeline.query import Caller
    from rag_pipeline.settings import Settings

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def source_option(text: str) -> Decorator:
    """Return the repeatable option ``--source`` with its help text."""
    return click.option("--source", "names", metavar="S", multiple=True, help=f"{text}; may be repeated.")


def caller_option(text: str = "Who asks: public, user:NAME or group:NAME; repeat for each.") -> Decorator:
    """Return the repeatable option ``--as`` with its help text."""
    return click.option("--as", "principals", metavar="P", multiple=True, help=text)


def caller_of(principals: Sequence[str]) -> "Caller":
    """Return the caller who is all of these. Raises `click.UsageError` when there are none, or for a malformed one."""
    if not principals:
        raise click.UsageError(
            "say on whose behalf: --as user:NAME, --as group:NAME (repeat for every group) or --as public; "
            "nothing is shown that they may not read"
        )
    from rag_pipeline.query import Caller

    try:
        return Caller(*principals)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def load_settings() -> "Settings":
    """Read the nearest rag.toml. Raises `ConfigurationError`."""
    from rag_pipeline.settings import Settings

    return Settings.load()


def chosen(settings: "Settings", names: tuple[str, ...]) -> list[str]:
    """Return the named sources, or all. Raises `ConfigurationError` for an unknown name, or when there are none."""
    found = [settings.source(name).name for name in dict.fromkeys(names)] or [s.name for s in settings.sources]
    if not found:
        raise ConfigurationError(
            f"{settings.folder / 'rag.toml'}: no sources; add a [[sources]] table with a name, a type and a path"
        )
    return found
