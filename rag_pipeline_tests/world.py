"""A world of documents, groups and callers made at random, and who may read what in it: plain Python, set logic only.

The rules are written down here once more from their description, so that the product is compared with
something that shares no code with it.
"""

import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from rag_pipeline.model import Access
from rag_pipeline.settings import FilesSettings, Settings
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline
from rag_pipeline_tests.scripted import World as Source

SOURCES = ("wiki", "tickets", "policies")
BUCKETS = 12
"""Documents are spread over so many buckets (a number in their metadata) that all hits of one fit into an answer."""
_WORDS = [
    f"{first}{second}" for first in ("ba", "ko", "li", "nu", "re", "sa", "ti") for second in ("dor", "fen", "gam")
]


@dataclass(frozen=True, slots=True)
class Document:
    """A document of two chunks, each with a mark that stands in no other document, save in a twin's."""

    source: str
    name: str
    bucket: int
    allow: frozenset[str]
    deny: frozenset[str]
    marks: tuple[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class World:
    """Documents, the (member, group) pairs of nested groups, and callers: each all principals that one asks as."""

    documents: tuple[Document, ...]
    members: frozenset[tuple[str, str]]
    callers: tuple[tuple[str, ...], ...]

    def readable(self, caller: Iterable[str]) -> set[tuple[str, str]]:
        """Return (source, name) of the documents that a caller may read."""
        everyone = effective(caller, self.members)
        return {
            (document.source, document.name)
            for document in self.documents
            if everyone & document.allow and not everyone & document.deny
        }

    def marks(self, readable: Collection[tuple[str, str]]) -> set[str]:
        """Return the marks that one may see who may read these documents."""
        return {mark for each in self.documents if (each.source, each.name) in readable for mark in each.marks}


def effective(caller: Iterable[str], members: Collection[tuple[str, str]]) -> set[str]:
    """Return the caller's principals, ``public``, and the groups that one of them is in; no caller is nothing."""
    found = set(caller)
    if found:
        found.add("public")
    while more := {group for member, group in members if member in found} - found:
        found |= more
    return found


def make_world(seed: int, documents: int = 250, callers: int = 40) -> World:
    """Return a world; the same for the same numbers."""
    rng = random.Random(seed)
    groups = [f"group:g{number}" for number in range(14)]
    users = [f"user:u{number}" for number in range(24)]
    # A group is a member of later ones only, so that there is no circle; some users are in no group.
    members = {(user, group) for user in users[:18] for group in rng.sample(groups, rng.randint(0, 2))}
    members |= {(groups[a], groups[b]) for a in range(14) for b in range(a + 1, 14) if rng.random() < 0.12}
    made: list[Document] = []
    for number in range(documents):
        allow, deny = _access(rng, users, groups)
        if number % 10 == 9:
            # The twin of another: the same words, but not the same readers.
            marks, text = (twin := rng.choice(made)).marks, twin.text
        else:
            marks = (f"mark{number}first", f"mark{number}second")
            text = f"# Page {number}\n\n" + "\n\n".join(
                f"## Part {part}\n\n{mark} {' '.join(rng.choices(_WORDS, k=25))}." for part, mark in enumerate(marks)
            )
        made.append(
            Document(rng.choice(SOURCES), f"page-{number:03}.md", number % BUCKETS, allow, deny, marks, text + "\n")
        )
    asking = [("public",), ("user:stranger",), ("group:g0",), ("user:u1", "user:u2"), ("user:u0", "group:unheard-of")]
    while len(asking) < callers:
        asking.append((rng.choice(users), *rng.sample(groups, rng.choice((0, 0, 1, 2)))))
    return World(tuple(made), frozenset(members), tuple(asking))


def _access(rng: random.Random, users: list[str], groups: list[str]) -> tuple[frozenset[str], frozenset[str]]:
    kind = rng.random()
    if kind < 0.1:
        allow: list[str] = []
    elif kind < 0.3:
        allow = ["public"]
    else:
        allow = rng.sample(groups, rng.randint(0, 2)) + rng.sample(users, rng.randint(0, 3))
    deny = rng.sample([*users, *groups], rng.choice((0, 0, 0, 1, 2))) + (["public"] if rng.random() < 0.03 else [])
    return frozenset(allow), frozenset(deny)


def publish(world: World, settings: Settings) -> Settings:
    """Fill an empty index with a world, memberships too, and return the settings of its sources."""
    pipeline = pipeline_of(world, settings)
    for source in SOURCES:
        published = pipeline.refresh(source)
        assert published.quarantined == 0
    with pipeline.connected() as connection:
        with connection.cursor().copy("copy rag.principal_members (member, of_group) from stdin") as rows:
            for edge in sorted(world.members):
                rows.write_row(edge)
        written = connection.execute("select count(*) from chunks").fetchone()
    assert written == (2 * len(world.documents),)
    return pipeline.settings


def pipeline_of(world: World, settings: Settings) -> ScriptedPipeline:
    """Return a pipeline whose sources hold the world's documents."""
    sources: Mapping[str, Source] = {source: Source() for source in SOURCES}
    for each in world.documents:
        sources[each.source].documents[each.name] = Entry(
            each.text, Access.of(each.allow, each.deny), {"bucket": each.bucket}
        )
    configured = tuple(FilesSettings.model_validate({"name": name, "type": "files", "path": "."}) for name in SOURCES)
    return ScriptedPipeline(settings.model_copy(update={"sources": configured}), dict(sources))
