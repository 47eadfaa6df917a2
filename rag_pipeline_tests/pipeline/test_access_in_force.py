"""Who may read what is published: whom the listing admits, less those whom the document itself keeps out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from rag_pipeline.model import PUBLIC, Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import ScriptedPipeline, World, scripted

EVERYONE = Access((PUBLIC,))
HR = b"---\naccess: [group:hr]\n---\n# Pay\n\nBands and levels."


@dataclass(slots=True)
class Listed(World):
    """A source that lists exactly what it is told to; each document has the bytes of `HR`."""

    items: list[DocumentRef | Failure] = field(default_factory=list)

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """List the items."""
        yield from self.items
        yield ListingEnd(complete=True)

    def fetch(self, ref: DocumentRef) -> bytes:
        """Return the same bytes for every document."""
        self.fetched += 1
        return HR


def refreshed(pipeline: ScriptedPipeline, *items: DocumentRef | Failure) -> dict[str, Access]:
    """Refresh a source that lists these items; return who may read each document that is published then."""
    world = pipeline.worlds["notes"]
    assert isinstance(world, Listed)
    world.items = list(items)
    pipeline.refresh("notes")
    with pipeline.connected() as connection:
        rows = connection.execute("select document_id, allow, deny from documents join rag.access_lists using (acl_id)")
        return {name: Access(tuple(allow), tuple(deny)) for name, allow, deny in rows.fetchall()}


@pytest.fixture
def pipeline(settings: Settings) -> ScriptedPipeline:
    made, _ = scripted(settings, "notes")
    made.worlds["notes"] = Listed()
    return made


def ref(name: str, media_type: str | None = None, access: Access = EVERYONE, version: str = "1") -> DocumentRef:
    return DocumentRef(name, f"test://{name}", version=version, media_type=media_type, access=access)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("pay.md", None),
        ("pay.md", "application/octet-stream"),
        ("pay.md", "no media type"),
        ("pay.md", "TEXT/Markdown; charset=utf-8"),
        ("pay", None),
        ("pay.bin", "binary/octet-stream"),
        ("pay.py", "text/markdown"),
        ("pay.html", "text/plain"),
        ("pay", "text/x-rst"),
    ],
)
def test_front_matter_narrows_whatever_its_place_says_of_the_kind(
    pipeline: ScriptedPipeline, name: str, media_type: str | None
) -> None:
    assert refreshed(pipeline, ref(name, media_type)) == {name: Access(("group:hr",))}
    with pipeline.connected() as connection:
        texts = connection.execute("select text from chunks").fetchall()
    assert texts
    assert not any("group:hr" in text for (text,) in texts), "it was parsed as a kind that has front matter"


def test_what_becomes_a_kind_with_front_matter_is_narrowed_by_it(pipeline: ScriptedPipeline) -> None:
    assert refreshed(pipeline, ref("pay", "text/x-source")) == {"pay": EVERYONE}
    assert refreshed(pipeline, ref("pay", "text/markdown")) == {"pay": Access(("group:hr",))}
    fetched = pipeline.worlds["notes"].fetched
    assert refreshed(pipeline, ref("pay", "text/markdown")) == {"pay": Access(("group:hr",))}
    assert pipeline.worlds["notes"].fetched == fetched


def test_of_twins_nobody_reads_what_one_of_them_forbids(pipeline: ScriptedPipeline) -> None:
    one, two = ref("a.py", access=Access(("group:a", "group:b"))), ref("b.py", access=EVERYONE)
    assert refreshed(pipeline, one, two) == {"a.py": Access(("group:a", "group:b")), "b.py": EVERYONE}
    further = ref("a.py", access=Access(("group:b", "group:c"), ("user:d",)))
    for twins in ([one, further], [further, one]):
        assert refreshed(pipeline, *twins, two) == {"a.py": Access(("group:b",), ("user:d",)), "b.py": EVERYONE}
    with pipeline.connected() as connection:
        reasons = connection.execute("select reason from rag.quarantine").fetchall()
    assert reasons == [("its source lists this id 2 times",)]
    unknown = Failure("b.py", "test://b.py", "cannot be read")
    assert refreshed(pipeline, one, two, unknown) == {"a.py": Access(("group:a", "group:b")), "b.py": EVERYONE}
    silent = DocumentRef("b.py", "test://b.py")
    assert refreshed(pipeline, one, two, silent, unknown)["b.py"] == Access()


def test_a_failure_leaves_access_as_it_was_unless_it_says_who(pipeline: ScriptedPipeline) -> None:
    assert refreshed(pipeline, ref("pay.md")) == {"pay.md": Access(("group:hr",))}
    assert refreshed(pipeline, Failure("pay.md", "test://pay.md", "locked")) == {"pay.md": Access(("group:hr",))}
    narrowed = Failure("pay.md", "test://pay.md", "locked", Access((PUBLIC,), ("user:bo",)))
    assert refreshed(pipeline, narrowed) == {"pay.md": Access(("group:hr",), ("user:bo",))}
