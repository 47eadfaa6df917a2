"""Keyword search against BM25 computed in Python, and what words, identifiers and phrases find."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from psycopg import Connection

from rag_pipeline.database.connection import connect
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Filters, Index
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import Entry, scripted

PUBLIC, ENG = Access(("public",)), Access(("group:eng",))
VOCABULARY = [f"{first}{second}" for first in "bcdfghjklm" for second in ("azo", "ivu", "uko", "eta", "omy")]
CANDIDATES = """
    select * from unnest((rag.keyword_candidates(
        %(question)s, array['english'], %(lists)s, null, null, %(visible)s, %(depth)s
    )).chunk_keys, (rag.keyword_candidates(
        %(question)s, array['english'], %(lists)s, null, null, %(visible)s, %(depth)s
    )).scores)
"""


def refreshed(settings: Settings, documents: dict[str, Entry]) -> Settings:
    pipeline, world = scripted(settings, "pages")
    world.documents = documents
    pipeline.refresh("pages")
    return pipeline.settings


def owner(settings: Settings) -> Connection[Any]:
    connection = connect(settings, role="rag_owner")
    connection.execute("select set_config('search_path', 'rag_g1, ' || current_setting('search_path'), false)")
    return connection


@pytest.fixture
def varied(settings: Settings) -> Settings:
    """Three hundred pages whose words are as unevenly common as those of a language."""
    chance = random.Random(7)
    weights = [1 / rank for rank in range(1, len(VOCABULARY) + 1)]
    return refreshed(
        settings,
        {
            f"{number}.md": Entry(
                " ".join(chance.choices(VOCABULARY, weights, k=chance.randint(3, 60))), PUBLIC if number % 3 else ENG
            )
            for number in range(300)
        },
    )


def bm25(
    chunks: dict[int, Counter[str]], everywhere: dict[int, Counter[str]], terms: list[str], average: float
) -> dict[int, float]:
    """The scores that are not zero; frequencies and number of chunks are those of the whole index."""
    df = {term: sum(term in chunk for chunk in everywhere.values()) for term in terms}
    rarity = {term: math.log(1 + (len(everywhere) - n + 0.5) / (n + 0.5)) for term, n in df.items() if n}
    scores = {
        key: sum(
            rarity[term] * chunk[term] * 2.2 / (chunk[term] + 1.2 * (0.25 + 0.75 * chunk.total() / average))
            for term in rarity
            if chunk[term]
        )
        for key, chunk in chunks.items()
    }
    return {key: score for key, score in scores.items() if score}


@pytest.mark.parametrize("depth", [1, 10, 50])
def test_the_best_by_bounds_are_the_best_of_all(varied: Settings, depth: int) -> None:
    chance = random.Random(depth)
    with owner(varied) as connection:
        rows = connection.execute(
            "select chunk_key, acl_id, array_agg(lexeme), array_agg(cardinality(positions)) "
            "from chunk_terms cross join unnest(terms) group by chunk_key, acl_id"
        ).fetchall()
        everywhere = {key: Counter(dict(zip(terms, counts, strict=True))) for key, _, terms, counts in rows}
        lists = {acl_id: {key for key, acl, *_ in rows if acl == acl_id} for _, acl_id, *_ in rows}
        average = connection.execute("select average from keyword_state").fetchone()
        assert average
        looked_up = 0
        for _ in range(60):
            words = chance.sample(VOCABULARY, chance.choice([1, 2, 3, 5, 8, 12, 20]))
            for admitted in ([*lists], [next(iter(lists))]):
                visible = {key: everywhere[key] for acl_id in admitted for key in lists[acl_id]}
                asked = {"question": " ".join(words), "lists": admitted, "visible": 10**6, "depth": depth}
                found = connection.execute(CANDIDATES, asked).fetchall()
                terms = connection.execute("select lexeme from unnest(rag.terms('english', %s))", [asked["question"]])
                scores = bm25(visible, everywhere, [term for (term,) in terms], average[0])
                best = sorted(scores.values(), reverse=True)[:depth]
                assert [score for _, score in found] == pytest.approx(best, rel=1e-4), words
                assert all(score == pytest.approx(scores[key], rel=1e-4) for key, score in found)
                path = connection.execute(
                    "select (rag.keyword_candidates(%(question)s, array['english'], %(lists)s, null, null, "
                    "%(visible)s, %(depth)s)).path",
                    asked,
                ).fetchone()
                looked_up += path == ("sets of terms above a threshold",)
    assert looked_up > 60, "the way by bounds was hardly taken"


@pytest.fixture(scope="module")
def plain(server: Any) -> Iterator[Connection[Any]]:
    from rag_pipeline.database.migrate import prepare
    from rag_pipeline.stages import Pipeline

    configured = Settings.model_validate(
        {"database": {"url": server.url("sets_above")}, "embedding": {"provider": "hashed"}}
    )
    prepare(configured)
    _ = Pipeline(configured).generation
    with owner(configured) as connection:
        yield connection


@examples(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bounds=st.lists(st.integers(1, 20), min_size=1, max_size=12).map(lambda values: sorted(values, reverse=True)),
    threshold=st.integers(0, 100),
)
def test_whatever_can_score_above_the_threshold_holds_one_of_the_sets(
    plain: Connection[Any], bounds: list[int], threshold: int
) -> None:
    terms = [f"t{number}" for number in range(len(bounds))]
    row = plain.execute("select rag.sets_above(%s, %s::real[], %s)::text", [terms, bounds, threshold]).fetchone()
    assert row
    query = row[0]
    chance = random.Random(f"{bounds} {threshold}")
    sets = [terms[:size] for size in range(1, len(terms) + 1)] + [
        chance.sample(terms, chance.randint(1, len(terms))) for _ in range(30)
    ]
    reaching = [held for held in sets if sum(bounds[terms.index(term)] for term in held) > threshold]
    if query is None:
        assert not reaching
        return
    matching = plain.execute(
        "select bool_and(array_to_tsvector(string_to_array(held, ' ')) @@ %s::tsquery) from unnest(%s::text[]) as held",
        [query, [" ".join(held) for held in reaching]],
    ).fetchone()
    assert not reaching or matching == (True,)
    # Nothing alone that all others together could not lift above the threshold.
    if sum(bounds) <= threshold:
        assert not reaching


IDENTIFIERS = [
    ("get_user_name", ["get_user_name", "user name"]),
    ("parseHTTPResponse", ["parseHTTPResponse", "parsehttpresponse", "parse response"]),
    ("std::unordered_map", ["std::unordered_map", "unordered"]),
    ("app.settings.load", ["app.settings.load", "settings"]),
    ("ORA-00942", ["ORA-00942", "ora-00942"]),
    ("v12.4.1", ["v12.4.1"]),
    ("C++", ["C++"]),
    ("x-request-id", ["x-request-id", "request"]),
    ("SomeClass#method", ["method"]),
    ("HTTP/1.1", ["HTTP/1.1"]),
    ("ana@example.com", ["ana@example.com", "example"]),
    ("lib/io/read_all.rs", ["lib/io/read_all.rs", "read_all.rs", "read_all"]),
]


def test_identifiers_are_found_whole_and_by_their_parts(settings: Settings) -> None:
    documents = {f"{n}.md": Entry(f"Here is {name} used.", PUBLIC) for n, (name, _) in enumerate(IDENTIFIERS)}
    documents |= {f"other{n}.md": Entry(f"Here is thing {n} used.", PUBLIC) for n in range(30)}
    with owner(refreshed(settings, documents)) as connection:
        for number, (name, questions) in enumerate(IDENTIFIERS):
            for question in questions:
                first = connection.execute(
                    "select document_id from rag.search(%s, array['public'], k => 1)", [question]
                ).fetchone()
                assert first == (f"{number}.md",), f"{name} by {question}"


def test_a_quoted_phrase_narrows_to_where_it_stands(settings: Settings) -> None:
    documents = {
        "phrase.md": Entry("The grace period ends on Friday.", PUBLIC),
        "words.md": Entry("A period of grace, and the end of it.", PUBLIC),
        "hidden.md": Entry("The grace period of the board, and a secret handshake.", ENG),
    }
    settings = refreshed(settings, documents)
    with Index.connect(settings) as index:
        found = index.search('when does the "grace period" end', caller=Caller("public"))
        assert [hit.document_id for hit in found] == ["phrase.md"]
        assert not found.notes
        both = index.search("“grace period”", caller=Caller("group:eng"))
        assert {hit.document_id for hit in both} == {"phrase.md", "hidden.md"}
        # As far as this caller can tell nobody ever wrote it.
        without = index.search('"secret handshake"', caller=Caller("public"))
        nowhere = index.search('"nowhere written"', caller=Caller("public"))
        assert without.notes == nowhere.notes
        assert "quoted words" in without.notes[0]
        assert {hit.document_id for hit in without} == {"phrase.md", "words.md"}


def test_each_document_is_read_in_its_language(settings: Settings) -> None:
    documents = {
        "german.md": Entry("---\nlang: de-AT\n---\nDie Schlüssel werden jährlich gewechselt.", PUBLIC),
        "spanish.md": Entry("---\nlanguage: Spanish\n---\nLas llaves cambian cada año.", PUBLIC),
        "english.md": Entry("Keys are rotated once a year.", PUBLIC),
        "unknown.md": Entry("---\nlang: tlh\n---\nRotating knives.", PUBLIC),
    }
    settings = refreshed(settings, documents)
    with owner(settings) as connection:
        languages = dict(connection.execute("select document_id, language from documents").fetchall())
        assert languages == {
            "german.md": "german", "spanish.md": "spanish", "english.md": "english", "unknown.md": "english",
        }  # fmt: skip

        def words(question: str) -> list[Any]:
            rows = connection.execute("select document_id from rag.search(%s, array['public'])", [question])
            return [name for (name,) in rows]

        assert words("Schlüsseln wechselnd gewechselten") == ["german.md"]
        assert words("llave") == ["spanish.md"]
        assert words("rotation of a key") == ["english.md", "unknown.md"]
    with Index.connect(settings) as index:
        for language in ("de", "german", "German"):
            hits = index.search("key", caller=Caller("public"), filters=Filters(languages=[language]))
            assert [hit.document_id for hit in hits] == ["german.md"]


def test_another_language_of_the_source_reads_all_words_anew_and_embeds_nothing(settings: Settings) -> None:
    pipeline, world = scripted(settings, "pages")
    world.documents = {"a.md": Entry("Die Häuser stehen leer.", PUBLIC), "b.md": Entry("# Haus\n\nEin Haus.", PUBLIC)}
    pipeline.refresh("pages")
    source = pipeline.settings.sources[0].model_copy(update={"language": "de"})
    pipeline.settings = pipeline.settings.model_copy(update={"sources": (source,)})
    changed = pipeline.refresh("pages")
    assert (changed.metadata_changed, changed.texts_embedded) == (2, 0)
    with owner(pipeline.settings) as connection:
        rows = connection.execute("select document_id from rag.search('Haus', array['public'])").fetchall()
    assert {name for (name,) in rows} == {"a.md", "b.md"}
    assert pipeline.verify("pages").equal


def test_weights_follow_the_average_length_by_steps(settings: Settings) -> None:
    pipeline, world = scripted(settings, "pages")
    world.documents = {f"{number}.md": Entry(f"short note {number}", PUBLIC) for number in range(20)}
    pipeline.refresh("pages")

    def averages() -> tuple[Any, ...]:
        with owner(pipeline.settings) as connection:
            wrong = connection.execute(
                "select count(*) from chunk_terms where weights <> rag.term_weights("
                "terms, length, (select average from keyword_state))"
            ).fetchone()
            assert wrong == (0,)
            low = connection.execute(
                "select count(*) from lexicon where max_weight < (select max(rag.term_weight("
                "cardinality(positions), length, (select average from keyword_state))) "
                "from chunk_terms cross join unnest(terms) where lexeme = term)"
            ).fetchone()
            assert low == (0,)
            return connection.execute("select average, length::real / chunks from keyword_state").fetchone() or ()

    first, _ = averages()
    world.documents |= {
        f"long{n}.md": Entry("a much longer text about something " * 8 + str(n), PUBLIC) for n in range(20)
    }
    pipeline.refresh("pages")
    second, true = averages()
    assert second > first
    assert second == pytest.approx(true, rel=0.1)
    for number in range(20):
        del world.documents[f"long{number}.md"]
    pipeline.approve("pages", "deletions", 20)
    pipeline.refresh("pages")
    assert averages()[0] == first
    assert pipeline.verify("pages").equal


def test_a_word_of_a_deleted_document_is_forgotten(settings: Settings) -> None:
    pipeline, world = scripted(settings, "pages")
    world.documents = {"a.md": Entry("common xylophone", PUBLIC), "b.md": Entry("common words", PUBLIC)}
    pipeline.refresh("pages")
    del world.documents["a.md"]
    pipeline.refresh("pages")
    with owner(pipeline.settings) as connection:
        terms = {term for (term,) in connection.execute("select term from lexicon")}
    assert "xylophon" not in terms
    assert terms


def test_verification_finds_and_mends_wrong_terms_and_counts(settings: Settings) -> None:
    pipeline, world = scripted(settings, "pages")
    world.documents = {f"{n}.md": Entry(f"page {n} about rotation", PUBLIC) for n in range(5)}
    pipeline.refresh("pages")
    with pipeline.connected() as connection:
        connection.execute(
            "update chunk_terms set terms = 'tamper' where chunk_key = (select min(chunk_key) from chunk_terms)"
        )
        connection.execute("delete from chunk_terms where chunk_key = (select max(chunk_key) from chunk_terms)")
        connection.execute("update lexicon set df = df + 3 where term = 'rotat'")
    found = pipeline.verify("pages")
    assert found.missing == 1
    assert found.different == 2, found.examples
    assert pipeline.verify("pages", repair=True).equal
    assert pipeline.verify("pages").equal
