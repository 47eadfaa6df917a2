"""``.access.toml``: a folder's own list of who may read what lies in it and below it.

It holds ``access = ["group:hr"]`` and, if needed, ``deny = ["user:ana"]``. It can only narrow: what a
folder above or the source's own setting keeps out stays out. A file that cannot be understood admits
nobody, and the connector lists the file itself as a failure so that the mistake is seen.
"""

import tomllib

from rag_pipeline.errors import DocumentError
from rag_pipeline.model import NOBODY, Access
from rag_pipeline.sources.safe_open import read_file

ACCESS_FILE = ".access.toml"
MAX_ACCESS_BYTES = 1_000_000
_KEYS = {"access", "deny"}


def parse_access(data: bytes) -> Access:
    """Return the list that the bytes of a ``.access.toml`` declare. Raises `ValueError` with a reason and a remedy."""
    try:
        values = tomllib.loads(data.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError('is nested too deeply; write access = ["group:NAME"]') from error
    if unknown := values.keys() - _KEYS:
        raise ValueError(f"unknown key {min(unknown)[:80]!r}; only access and deny are known")
    if "access" not in values:
        raise ValueError('no access; write access = ["group:NAME"], or access = [] for nobody')
    return Access.of(_principals(values, "access"), _principals(values, "deny"))


def narrowed_in(folder: int, access: Access) -> tuple[Access, str | None]:
    """Return `access` as the ``.access.toml`` of an open folder narrows it.

    When that file cannot be read or understood nobody is left, and the second value is the reason.
    """
    try:
        return access.narrowed(parse_access(read_file(folder, ACCESS_FILE, MAX_ACCESS_BYTES))), None
    except (OSError, ValueError, DocumentError) as error:
        return access.narrowed(NOBODY), f"nobody may read what it governs: {error}"


def _principals(values: dict[str, object], key: str) -> list[str]:
    names = values.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f'{key} is not a list of strings; write {key} = ["group:NAME"]')
    return names
