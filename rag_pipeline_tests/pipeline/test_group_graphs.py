"""A group whose rights follow a topic is given a graph of its own, and a question about another topic is led by it."""

import random
from collections.abc import Sequence

import pytest
from pgvector import HalfVector

from rag_pipeline.database.connection import open_session, server_url
from rag_pipeline.embeddings import open_embedder
from rag_pipeline.index.group_graphs import Group, GroupGraph
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Retrieval, Settings
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

GARDENERS, ENGINEERS = "group:gardeners", "group:engineers"
PUBLIC = Access(("public",))
GARDEN = ["tulip", "rose", "soil", "compost", "pruning", "seedling", "hedge", "mulch", "lawn", "orchard"]
ENGINE = ["piston", "valve", "torque", "camshaft", "gasket", "cylinder", "exhaust", "turbine", "bearing", "crank"]
QUESTION = "piston valve torque camshaft gasket cylinder"


def page(words: Sequence[str], number: int, access: Access) -> Entry:
    """A page of some of the words, unlike the others."""
    generator = random.Random(number)
    text = " ".join(generator.choices(words, k=12))
    return Entry(f"# Page {number}\n\n{text} number {number}.", access)


@pytest.fixture
def topics(settings: Settings) -> tuple[ScriptedPipeline, World]:
    """Sixty pages for gardeners, each open to one of three teams too, and four hundred for engineers."""
    retrieval = Retrieval.model_validate({"exact_up_to": 20})
    pipeline, world = scripted(settings.model_copy(update={"retrieval": retrieval}), "pages")
    world.documents = {
        f"garden-{n}.md": page(GARDEN, n, Access((GARDENERS, f"group:team-{n % 3}"))) for n in range(60)
    } | {f"engine-{n}.md": page(ENGINE, n, Access((ENGINEERS,))) for n in range(400)}
    return pipeline, world


def graphs(pipeline: ScriptedPipeline) -> list[str]:
    """The usable graphs of groups."""
    with pipeline.connected() as connection:
        rows = connection.execute(
            "select relname from pg_index join pg_class on pg_class.oid = indexrelid "
            "where relname like 'chunk\\_vectors\\_group\\_%' and indisvalid order by relname"
        )
        return [name for (name,) in rows]


def walked(pipeline: ScriptedPipeline, principals: list[str]) -> tuple[int, int | None]:
    """How many chunks the graphs of the caller's groups bring, and how many lists are then to be compared."""
    vector = HalfVector(open_embedder(pipeline.settings.embedding).embed_query(QUESTION))
    with open_session(server_url(pipeline.settings), role=None) as administrator:
        row = administrator.execute(
            "select coalesce(cardinality(chunk_keys), 0), cardinality(rest) "
            "from rag.walk_groups(%s, array(select rag.visible_acl_ids(%s)), 70, 20, 50)",
            (vector.to_text(), principals),
        ).fetchone()
    assert row is not None
    return row


def nearest(pipeline: ScriptedPipeline, caller: Caller, exact_up_to: int) -> list[str]:
    """The ten nearest chunks that a caller may read; all are compared if the bound is far above them."""
    retrieval = pipeline.settings.retrieval.model_copy(
        update={"exact_up_to": exact_up_to, "vector_weight": 1.0, "per_document": 10, "duplicate_similarity": 1.0}
    )
    with Index.connect(pipeline.settings.model_copy(update={"retrieval": retrieval})) as index:
        return [hit.chunk_id for hit in index.search(QUESTION, caller=caller)]


def found(pipeline: ScriptedPipeline, caller: Caller) -> set[str]:
    """The documents of the best sixty hits."""
    with Index.connect(pipeline.settings) as index:
        return {hit.document_id for hit in index.search(QUESTION, caller=caller, k=60)}


def test_a_question_about_what_a_group_may_not_read_is_led_by_its_graph(topics: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = topics
    pipeline.refresh("pages")
    assert len(graphs(pipeline)) == 1, "of the gardeners; what engineers ask about gardens has enough of theirs near it"
    assert walked(pipeline, [GARDENERS]) == (50, 0)
    assert walked(pipeline, ["group:team-1"]) == (0, None)
    gardener = Caller(GARDENERS)
    assert nearest(pipeline, gardener, 20) == nearest(pipeline, gardener, 100_000)
    with Index.connect(pipeline.settings) as index:
        explained = index.search(QUESTION, caller=gardener, plan=True).explanation
    assert explained
    assert explained.paths["vector"]["path"] == "graph", "as for any caller: another name would tell what is hidden"
    assert not any(GARDENERS in line for line in explained.plan)


def test_what_no_graph_holds_is_compared_beside_it(topics: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = topics
    pipeline.refresh("pages")
    before = graphs(pipeline)
    # Nearer to the question than all that gardeners could read, and on a list that the graph does not know.
    world.documents |= {f"new-{n}.md": page(GARDEN + ENGINE, n, Access((GARDENERS, "group:team-9"))) for n in range(9)}
    pipeline.refresh("pages")
    assert graphs(pipeline) == before
    assert walked(pipeline, [GARDENERS]) == (50, 1)
    gardener = Caller(GARDENERS)
    found = nearest(pipeline, gardener, 20)
    assert found == nearest(pipeline, gardener, 100_000)
    with Index.connect(pipeline.settings) as index:
        assert any(hit.document_id.startswith("new-") for hit in index.search(QUESTION, caller=gardener))


def test_what_has_left_a_group_is_not_met_in_its_graph(topics: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = topics
    # A list of its own, which is changed in place when its one document is.
    world.documents["garden-x.md"] = page(ENGINE, 7, Access((GARDENERS, "user:eve")))
    pipeline.refresh("pages")
    before = graphs(pipeline)
    gardener = Caller(GARDENERS)
    assert "garden-x.md" in found(pipeline, gardener)
    world.documents["garden-x.md"] = page(ENGINE, 7, Access(("user:eve",)))
    pipeline.refresh("pages")
    assert walked(pipeline, [GARDENERS]) == (50, 0)
    assert "garden-x.md" not in found(pipeline, gardener)
    assert nearest(pipeline, gardener, 20) == nearest(pipeline, gardener, 100_000)
    pipeline.vector_index(mend=True)
    assert graphs(pipeline) == before


def test_what_is_public_is_in_the_graph_of_a_group(topics: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = topics
    world.documents |= {f"open-{n}.md": page(GARDEN, 500 + n, PUBLIC) for n in range(60)}
    pipeline.refresh("pages")
    assert len(graphs(pipeline)) == 2, "of all that gardeners may read, and of what is public for everybody else"
    assert walked(pipeline, [GARDENERS]) == (100, 0)
    assert walked(pipeline, ["group:team-1"]) == (50, 1)
    gardener = Caller(GARDENERS)
    assert nearest(pipeline, gardener, 20) == nearest(pipeline, gardener, 100_000)


def test_who_lacks_one_of_its_lists_is_not_led_by_a_graph(topics: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = topics
    pipeline.refresh("pages")
    world.documents["garden-0.md"] = page(GARDEN, 0, Access((GARDENERS, "group:team-0"), deny=("user:ana",)))
    pipeline.refresh("pages")
    assert walked(pipeline, [GARDENERS, "user:ana"]) == (50, 0), "what was denied is no longer in the graph"
    with open_session(server_url(pipeline.settings), role=None) as administrator:
        administrator.execute("update rag.access_lists set deny = '{user:ana}' where allow @> '{group:team-1}'")
    assert walked(pipeline, [GARDENERS, "user:ana"]) == (0, None)
    with Index.connect(pipeline.settings) as index:
        hits = index.search(QUESTION, caller=Caller(GARDENERS, "user:ana"), k=60)
    assert hits
    assert not any(int(hit.document_id.removeprefix("garden-").removesuffix(".md")) % 3 == 1 for hit in hits)


def test_a_graph_that_serves_nobody_is_dropped_and_a_killed_build_made_up_for(
    topics: tuple[ScriptedPipeline, World],
) -> None:
    pipeline, world = topics
    pipeline.refresh("pages")
    (name,) = graphs(pipeline)
    with open_session(server_url(pipeline.settings), role=None) as administrator:
        administrator.execute(
            "update pg_index set indisvalid = false where indexrelid = to_regclass(%s)", (f"rag_g1.{name}",)
        )
    assert walked(pipeline, [GARDENERS]) == (0, None)
    assert pipeline.vector_index() == "build"
    assert graphs(pipeline) == [name]
    assert pipeline.vector_index(mend=True) is None
    for number in range(45):
        del world.documents[f"garden-{number}.md"]
    pipeline.refresh("pages")
    assert pipeline.vector_index(mend=True) is None
    assert graphs(pipeline) == []


def test_rights_that_follow_no_topic_need_no_graph(settings: Settings) -> None:
    retrieval = Retrieval.model_validate({"exact_up_to": 20})
    pipeline, world = scripted(settings.model_copy(update={"retrieval": retrieval}), "pages")
    world.documents = {f"{n}.md": page(GARDEN if n % 2 else ENGINE, n, Access((f"group:{n % 3}",))) for n in range(420)}
    pipeline.refresh("pages")
    assert graphs(pipeline) == []


@pytest.mark.parametrize(
    ("held", "serves"),
    [
        ({1: 60, 2: 38, 3: 2}, True),
        ({1: 60, 2: 38}, True),
        ({1: 60, 3: 2}, False),
        ({1: 60, 2: 38, 4: 5}, True),
        ({1: 60, 2: 38, 4: 6}, False),
        ({}, False),
    ],
)
def test_a_graph_serves_a_group_of_which_it_holds_nearly_all_and_next_to_nothing_else(
    held: dict[int, int], serves: bool
) -> None:
    group = Group((1, 2, 3), (60, 38, 2))
    assert group.chunks == 100
    assert GroupGraph("graph", tuple(held), tuple(held.values())).serves(group) is serves
