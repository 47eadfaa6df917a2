"""Who may read what, in plain Python: the rules once more, from their description alone, to compare with."""

from collections.abc import Collection, Iterable


def effective(caller: Iterable[str], members: Collection[tuple[str, str]]) -> set[str]:
    """Return the caller's principals, ``public``, and the groups that one of them is in; no caller is nothing."""
    found = set(caller)
    if found:
        found.add("public")
    while more := {group for member, group in members if member in found} - found:
        found |= more
    return found
