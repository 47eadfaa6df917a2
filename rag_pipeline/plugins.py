"""What other packages add: connectors and parsers that they announce as entry points.

``[project.entry-points."rag_pipeline.sources"]`` maps a type of source to a connector class, and
``"rag_pipeline.parsers"`` a media type to a parser (docs/connectors.md). What this package brings itself wins.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rag_pipeline.errors import ConfigurationError

SOURCES = "rag_pipeline.sources"
PARSERS = "rag_pipeline.parsers"


@cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """Return what is announced in a group, by name. Raises `ConfigurationError` when two packages claim one name."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        if entry.name in found and found[entry.name].value != entry.value:
            raise ConfigurationError(
                f"{_package(entry)} and {_package(found[entry.name])} both bring {entry.name} for {group}; "
                "uninstall one of them"
            )
        found[entry.name] = entry
    return found


def plugin(group: str, name: str) -> Any | None:
    """Load what is announced under a name; None when nothing is. Raises `ConfigurationError` when it cannot load."""
    entry = plugins(group).get(name)
    if entry is None:
        return None
    try:
        return entry.load()
    except Exception as error:
        raise ConfigurationError(f"{_package(entry)}: {name} cannot be loaded from {entry.value}: {error}") from error


def versions(group: str) -> tuple[str, ...]:
    """Return name, package and version of everything announced in a group: a part of the recipe."""
    return tuple(f"{name} {_package(entry)}" for name, entry in sorted(plugins(group).items()))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
