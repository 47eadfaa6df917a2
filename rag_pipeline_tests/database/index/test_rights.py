"""What each role of the database may do, read from the catalog, and what it can learn of that which is hidden."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pgvector import HalfVector
from psycopg import Connection

from rag_pipeline.database.connection import connect
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.model import Access
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

ACCESS_PAGE = Path(__file__).resolve().parents[3] / "docs" / "access.md"
RELATIONS = """
    select format('%%I.%%I', nspname, relname)
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where (nspname = 'rag' or nspname like 'rag\\_g%%') and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
"""
READABLE = (
    RELATIONS
    + """
    and case relkind
        when 'S' then has_sequence_privilege(%(role)s, pg_class.oid, 'usage, select, update')
        else has_any_column_privilege(%(role)s, pg_class.oid, 'select, insert, update, references')
            or has_table_privilege(%(role)s, pg_class.oid, 'delete, truncate, trigger')
    end
"""
)
FUNCTIONS = """
    select proname from pg_proc
    where pronamespace = 'rag'::regnamespace and has_function_privilege(%(role)s, oid, 'execute')
"""
# What a definer's function runs as, and by which names it finds things.
LOOSE = """
    select proname
    from pg_proc
    left join lateral (
        select string_to_array(substr(setting, length('search_path=') + 1), ', ') as path
        from unnest(proconfig) as setting
        where setting like 'search\\_path=%'
    ) as pinned on true
    where pronamespace = 'rag'::regnamespace and prosecdef
      and (
          pg_get_userbyid(proowner) <> 'rag_owner'
          or pinned.path is null
          or pinned.path[cardinality(pinned.path)] <> 'pg_temp'
          or exists (
              select from unnest(pinned.path) as named
              join pg_namespace on quote_ident(nspname) = named
              cross join unnest(array['rag_reader', 'rag_analyst', 'rag_writer', 'public']) as role
              where has_schema_privilege(role, pg_namespace.oid, 'create')
          )
      )
"""
PUBLIC = Access.of(["public"])
SECRET = {"chunk_vectors", "chunk_terms", "lexicon", "keyword_state", "acl_sizes"}


@pytest.fixture
def indexed(settings: Settings) -> Settings:
    """An index with nothing in it that matters: its functions, views and tables are there."""
    pipeline, _ = scripted(settings, "wiki")
    pipeline.refresh("wiki")
    return pipeline.settings


@pytest.fixture
def catalog(indexed: Settings) -> Iterator[Connection[Any]]:
    with connect(indexed, role=None) as connection:
        yield connection


def names(connection: Connection[Any], query: str, role: str | None = None) -> set[str]:
    rows = connection.execute(query.encode(), {"role": role} if role else None)
    return {row[0] for row in rows}


def documented_functions() -> set[str]:
    """The functions in the table for applications."""
    section = ACCESS_PAGE.read_text("utf-8").partition("## From an application")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `rag\.(\w+)`", section, re.MULTILINE))


def test_what_runs_with_the_owners_rights_cannot_be_led_astray(catalog: Connection[Any]) -> None:
    definers = names(catalog, "select proname from pg_proc where pronamespace = 'rag'::regnamespace and prosecdef")
    assert {"search", "window", "index_state", "visible_acl_ids", "effective_principals"} <= definers
    assert names(catalog, LOOSE) == set()
    everyone = names(
        catalog,
        "select proname from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) as granted "
        "where pronamespace = 'rag'::regnamespace and granted.grantee = 0",
    )
    assert everyone == set()


@pytest.mark.parametrize(
    "change",
    [
        "alter function rag.window(text, text[], int, int) owner to postgres",
        "alter function rag.window(text, text[], int, int) reset search_path",
        "alter function rag.window(text, text[], int, int) set search_path = rag, pg_temp, extensions",
        "grant create on schema extensions to rag_reader",
        "grant create on schema rag to public",
    ],
)
def test_the_check_of_the_functions_sees_it(catalog: Connection[Any], change: str) -> None:
    with catalog.transaction(force_rollback=True):
        catalog.execute(change.encode())
        assert "window" in names(catalog, LOOSE)


def test_a_reader_may_call_what_is_documented_and_touch_nothing(catalog: Connection[Any]) -> None:
    assert names(catalog, FUNCTIONS, "rag_reader") == documented_functions()
    assert names(catalog, READABLE, "rag_reader") == set()
    assert len(catalog.execute(RELATIONS.replace("%%", "%").encode()).fetchall()) > 20


def test_whatever_shows_documents_asks_on_whose_behalf(catalog: Connection[Any]) -> None:
    """Principals are an argument that cannot be left out; only the state of the index as a whole has none."""
    asking = names(
        catalog,
        FUNCTIONS + " and 'principals' = any (proargnames[: pronargs - pronargdefaults])",
        "rag_reader",
    )
    assert documented_functions() - asking == {"index_state"}


def test_an_analyst_reads_views_and_nothing_that_counts_what_is_hidden(catalog: Connection[Any]) -> None:
    assert names(catalog, FUNCTIONS, "rag_analyst") == {"analyst_acl_ids"}
    readable = names(catalog, READABLE, "rag_analyst")
    assert {"rag.documents", "rag.chunks", "rag_g1.chunks"} <= readable
    assert {relation for relation in readable if relation.startswith("rag_g1.")} == {
        *("rag_g1.documents", "rag_g1.sections", "rag_g1.chunks"),
    }
    hidden = {
        *("access_lists", "analyst_principals", "approvals", "embedding_store", "principal_members", "tombstones"),
    }
    assert not {f"rag.{name}" for name in hidden} & readable
    unguarded = names(
        catalog,
        "select relname from pg_class where relnamespace = 'rag_g1'::regnamespace and relkind = 'r' "
        "and has_any_column_privilege('rag_analyst', oid, 'select') and not relrowsecurity",
    )
    assert unguarded == set()


def test_every_view_obeys_the_reader(catalog: Connection[Any]) -> None:
    loose = names(
        catalog,
        "select relname from pg_class where relnamespace = 'rag'::regnamespace and relkind in ('v', 'm') "
        "and not coalesce(reloptions @> array['security_invoker=true'], false)",
    )
    assert loose == set()


@pytest.mark.parametrize("role", ["rag_reader", "rag_analyst"])
def test_statistics_of_the_whole_index_are_out_of_reach(indexed: Settings, catalog: Connection[Any], role: str) -> None:
    tables = names(
        catalog, "select relname from pg_class where relnamespace = 'rag_g1'::regnamespace and relkind = 'r'"
    )
    assert tables >= SECRET
    with connect(indexed, role=None) as session:
        session.execute(f"set role {role}".encode())
        for table in SECRET:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(f"select count(*) from rag_g1.{table}".encode())
        # Postgres' own statistics show a sample of a column only to those who may read it.
        shown = session.execute(
            "select count(*) from pg_stats where schemaname = 'rag_g1' and tablename = any (%s)", [sorted(SECRET)]
        ).fetchone()
        assert shown == (0,)


def test_a_plan_made_for_one_caller_serves_no_other(catalog: Connection[Any]) -> None:
    """How much a caller may read decides how a search runs."""
    forced = names(
        catalog,
        "select proname from pg_proc where pronamespace = 'rag'::regnamespace "
        "and proconfig @> array['plan_cache_mode=force_custom_plan']",
    )
    # What `search` itself runs after them reads by keys alone.
    assert {"search_scope", "search_plan"} <= forced


# What a search says of itself


QUESTIONS = ("engine", "zeppelin", "zeppelin engine", "nowhere", '"secret zeppelin"', "public page")


@pytest.fixture
def airships(settings: Settings) -> tuple[ScriptedPipeline, World]:
    """Forty public pages; nothing is refreshed yet."""
    pipeline, world = scripted(settings, "wiki")
    for number in range(40):
        world.documents[f"{number:02}.md"] = Entry(f"# Page {number}\n\nA public page of engine{number}.\n", PUBLIC)
    return pipeline, world


def told(settings: Settings, question: str, caller: str, explained: bool = True) -> Any:
    """What `explain` says, without times, or else what is found, in order."""
    vector = HalfVector(HashedEmbedder().embed_query(question))
    with connect(settings, role="rag_reader") as reader:
        rows = reader.execute(
            "select layers, document_id from rag.search(%s, %s, 10, %s, 'hashed/64', explain => true)",
            [question, [caller], vector],
        ).fetchall()
    return _timeless(rows[-1][0]) if explained else [document for _, document in rows[:-1]]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in ("milliseconds", "as_of")}
    return value


def test_an_explanation_does_not_tell_which_words_hidden_documents_hold(
    airships: tuple[ScriptedPipeline, World],
) -> None:
    pipeline, world = airships
    pipeline.refresh("wiki")
    before = {question: told(pipeline.settings, question, "user:ana") for question in QUESTIONS}
    world.documents["secret.md"] = Entry("# Plans\n\nThe secret zeppelin has a new engine.\n", Access.of(["user:bo"]))
    pipeline.refresh("wiki")
    assert told(pipeline.settings, "zeppelin", "user:bo", explained=False)[0] == "secret.md"
    for question in QUESTIONS:
        assert told(pipeline.settings, question, "user:ana") == before[question], question


def test_who_may_read_nothing_is_searched_for_like_anybody(airships: tuple[ScriptedPipeline, World]) -> None:
    """The same ways, up to the numbers: no short cut tells that there is nothing to see."""
    pipeline, world = airships
    for entry in list(world.documents.values())[:20]:
        entry.access = Access.of(["user:bo"])
    for entry in list(world.documents.values())[20:]:
        entry.access = Access.of(["user:ana"])
    pipeline.refresh("wiki")
    for question in QUESTIONS:
        ways = {caller: told(pipeline.settings, question, caller) for caller in ("user:bo", "user:stranger")}
        assert ways["user:stranger"]["visible_chunks"] == 0
        paths = {caller: (told["vector"]["path"], told["keyword"]["path"]) for caller, told in ways.items()}
        assert paths["user:stranger"] == paths["user:bo"], question
