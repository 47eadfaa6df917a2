"""Guards: a suspicious shrink, or a suspicious widening of access, waits for a person.

An outage looks like a mass deletion and a broken permission export like a mass grant; the guards are
what tells a refresh apart from an accident.
"""

from rag_pipeline.settings import Guards


def withhold_deletions(guards: Guards, published: int, removed: int, listed: int, approved: int) -> bool:
    """Say whether deletions are withheld: too many and too large a share, or all of them, without enough approval."""
    if removed == 0 or removed <= approved:
        return False
    return listed == 0 or _exceeds(removed, published, guards.max_deletions, guards.min_documents)


def withhold_widenings(guards: Guards, published: int, widened: int, approved: int) -> bool:
    """Say whether wider access is withheld; tightening never is."""
    if widened == 0 or widened <= approved:
        return False
    return _exceeds(widened, published, guards.max_widenings, guards.min_documents)


def _exceeds(changed: int, published: int, share: float, minimum: int) -> bool:
    return changed > minimum and changed > share * published
