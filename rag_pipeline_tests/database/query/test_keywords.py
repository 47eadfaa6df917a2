"""Keyword search against BM25 computed in Python, and what words, identifiers and phrases find."""

import math
import random
import re
from collections import Counter
from typing import Any, LiteralString

import pytest
from psycopg import Connection

from rag_pipeline.database.connection import connect
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Filters, Index
from rag_pipeline.settings import Keywords, Settings
from rag_pipeline_tests.scripted import Entry, scripted

PUBLIC, ENG = Access(("public",)), Access(("group:eng",))
VOCABULARY = [f"{first}{second}" for first in "bcdfghjklm" for second in ("azo", "ivu", "uko", "eta", "omy")]
CANDIDATES = """
    select chunk_keys, scores, complete, wanted from rag.keyword_candidates(
        %(question)s, array['english'], %(lists)s, null, null, %(visible)s, %(depth)s, %(affordable)s
    )
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
    chunks: dict[int, Counter[str]], everywhere: dict[int, Counter[str]], terms: list[str], total: int, average: float
) -> dict[int, float]:
    """The scores that are not zero; frequencies and the total of chunks are those of the whole index."""
    df = {term: sum(term in chunk for chunk in everywhere.values()) for term in terms}
    rarity = {term: math.log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in df.items() if n}
    scores = {
        key: sum(
            rarity[term] * chunk[term] * 2.2 / (chunk[term] + 1.2 * (0.25 + 0.75 * chunk.total() / average))
            for term in rarity
            if chunk[term]
        )
        for key, chunk in chunks.items()
    }
    return {key: score for key, score in scores.items() if score}


@pytest.mark.parametrize("total", [300, 100_000])
@pytest.mark.parametrize("depth", [1, 10, 50])
def test_the_best_by_bounds_are_the_best_of_all(varied: Settings, depth: int, total: int) -> None:
    """In an index of 300 chunks, and as if it had many more."""
    chance = random.Random(depth)
    with owner(varied) as connection:
        connection.execute("update keyword_state set chunks = %s", [total])
        rows = connection.execute(
            "select chunk_key, chunk_terms.acl_id, array_agg(lexeme), array_agg(cardinality(positions)) "
            "from chunk_terms join chunks using (chunk_key) join sections using (section_id) "
            "join documents on documents.doc_key = sections.doc_key and documents.doc_key = chunks.doc_key "
            "cross join unnest(rag.terms('english', rag.found_by(title, heading_path, chunks.text))) group by 1, 2"
        ).fetchall()
        everywhere = {key: Counter(dict(zip(terms, counts, strict=True))) for key, _, terms, counts in rows}
        lists = {acl_id: {key for key, acl, *_ in rows if acl == acl_id} for _, acl_id, *_ in rows}
        average = connection.execute("select average from keyword_state").fetchone()
        assert average
        ways: Counter[tuple[str, str]] = Counter()
        for number in range(120):
            words = chance.sample(VOCABULARY, chance.choice([1, 2, 3, 5, 8, 12, 20]))
            admitted = [*lists] if number % 2 else [next(iter(lists))]
            visible = {key: everywhere[key] for acl_id in admitted for key in lists[acl_id]}
            asked = {"question": " ".join(words), "lists": admitted, "depth": depth}
            asked["visible"] = chance.choice([5_000, 100_000])
            asked["affordable"] = chance.choice([10, 50, 100, 15_000])
            row = connection.execute(CANDIDATES, asked).fetchone()
            assert row
            keys, found, complete, wanted = row
            terms = connection.execute("select lexeme from unnest(rag.terms('english', %s))", [asked["question"]])
            scores = bm25(visible, everywhere, [term for (term,) in terms], total, average[0])
            best = sorted(scores.values(), reverse=True)[:depth]
            assert found == pytest.approx([scores[key] for key in keys], rel=1e-4)
            assert found == sorted(found, reverse=True)
            if complete:
                assert found == pytest.approx(best, rel=1e-4), words
            left_out = len(wanted) < len(words)
            ways["complete" if complete else "not", "some words" if left_out else "all words"] += 1
    some = {("complete", "some words"), ("not", "some words")} if total > 300 else set[tuple[str, str]]()
    assert ways.keys() == {("complete", "all words")} | some, ways


IDENTIFIERS = [
    ("get_user_name", ["get_user_name", "user name"]),
    ("parseHTTPResponse", ["parseHTTPResponse", "parsehttpresponse", "parse response"]),
    ("getAccountById", ["getAccountById", "getaccountbyid", "account"]),
    ("FTPServer", ["FTPServer", "ftpserver", "ftp", "server"]),
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


WHOLE_AND_PARTS = {
    "getUserById": "get getuserbyid id user",
    "HTTPServer": "http httpserver server",
    "useState": "state use usest",
    "snake_case": "case snake snake_case",
    "ORA-00942": "00942 ora ora-00942",
    "v1.2.3": "v1.2.3",
    "E1234": "e1234",
    "foo_bar-baz": "bar baz foo foo_bar-baz",
    # Prose and abbreviations: whole or in parts these would be rare words, and say nothing.
    "well-known": "known well",
    "mRNA": "mrna",
    "RNAs": "rnas",
}


def test_identifiers_are_told_from_prose_and_abbreviations(settings: Settings) -> None:
    with owner(refreshed(settings, {"a.md": Entry("text", PUBLIC)})) as connection:
        for text, terms in WHOLE_AND_PARTS.items():
            rows = connection.execute("select lexeme from unnest(rag.terms('english', %s)) order by 1", [text])
            assert [lexeme for (lexeme,) in rows] == terms.split(), text


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


def test_a_phrase_is_its_words_next_to_each_other_as_they_are_spelled(settings: Settings) -> None:
    settings = refreshed(settings, {"page.md": Entry("A page.", PUBLIC)})
    chance = random.Random(3)
    pieces = [
        "grace",
        "Grace",
        "period",
        "GRACE",
        "Straße",
        "x",
        "1",
        " ",
        " ",
        " ",
        "-",
        "_",
        ".*",
        "(",
        "\\",
        "\n",
        "’",
    ]

    def words(text: str) -> list[str]:
        return re.findall(r"[^\W_]+", text.lower())

    found = Counter[bool]()
    with owner(settings) as connection:
        for _ in range(2000):
            text, phrase = ("".join(chance.choices(pieces, k=chance.randint(1, k))) for k in (14, 5))
            sought, there = words(phrase), words(text)
            if not sought:
                continue
            row = connection.execute("select lower(%s) ~ rag.phrase_pattern(%s)", [text, phrase]).fetchone()
            stands = any(there[at : at + len(sought)] == sought for at in range(len(there)))
            assert row == (stands,), (text, phrase)
            found[stands] += 1
    assert min(found[True], found[False]) > 100


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


@pytest.mark.parametrize("language", ["tlh", "klingon", "simple", "germn"])
def test_a_language_of_a_source_that_postgres_cannot_read_is_refused(settings: Settings, language: str) -> None:
    pipeline, world = scripted(settings, "pages")
    world.documents = {"a.md": Entry("Die Häuser", PUBLIC)}
    source = pipeline.settings.sources[0].model_copy(update={"language": language})
    pipeline.settings = pipeline.settings.model_copy(update={"sources": (source,)})
    with pytest.raises(
        ConfigurationError, match=f"source pages is '{language}'.* german, greek, .*ISO codes"
    ) as refused:
        pipeline.refresh("pages")
    assert "simple" not in str(refused.value).partition("knows")[2]
    with pipeline.connected() as connection:
        assert connection.execute("select count(*) from rag.snapshots").fetchone() == (0,)


def test_weights_follow_the_average_length_by_steps(settings: Settings) -> None:
    pipeline, world = scripted(settings, "pages")
    world.documents = {f"{number}.md": Entry(f"short note {number}", PUBLIC) for number in range(20)}
    pipeline.refresh("pages")

    def averages() -> tuple[Any, ...]:
        with owner(pipeline.settings) as connection:
            wrong = connection.execute(
                "select count(*) from chunk_terms join chunks using (chunk_key) join sections using (section_id) "
                "join documents on documents.doc_key = sections.doc_key and documents.doc_key = chunks.doc_key "
                "where weights <> rag.term_weights(rag.terms('english', rag.found_by(title, heading_path, chunks.text)"
                "), length, (select average from keyword_state))"
            ).fetchone()
            assert wrong == (0,)
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
        held = connection.execute(
            "select word, place is not null from unnest(array['xylophon', 'common']) as word "
            "left join lexicon on place = rag.term_place(word)"
        ).fetchall()
    assert dict(held) == {"xylophon": False, "common": True}


CHANGES: list[LiteralString] = [
    "update chunk_terms set weights = weights where chunk_key %% 3 = %(n)s",
    "update chunk_terms set acl_id = (select max(acl_id) from rag.access_lists) where chunk_key %% 7 = %(n)s",
    "update chunk_terms set acl_id = (select min(acl_id) from rag.access_lists) where chunk_key %% 5 = %(n)s",
    "update chunk_terms set language = 'german' where chunk_key %% 11 = %(n)s",
    "update chunk_terms set places = places[2:], length = length - 1 where chunk_key %% 4 = %(n)s and length > 1",
    "update chunk_terms set places = array[chunk_key::int], weights = '{}/1000000000' where chunk_key %% 9 = %(n)s",
    "delete from chunk_terms where chunk_key %% 13 = %(n)s",
]
COUNTS: dict[str, tuple[LiteralString, LiteralString]] = {
    "lexicon": ("table lexicon", "select unnest(places), count(*) from chunk_terms group by 1"),
    "acl_sizes": ("table acl_sizes", "select acl_id, language, count(*) from chunk_terms group by 1, 2"),
    "keyword_state": (
        "select chunks, length from keyword_state",
        "select count(*), coalesce(sum(length), 0) from chunk_terms",
    ),
}


def test_counts_follow_whatever_changes_in_chunks(varied: Settings) -> None:
    chance = random.Random(3)
    with owner(varied) as connection:
        for _ in range(40):
            change = chance.choice(CHANGES)
            connection.execute(change, {"n": chance.randrange(3)})
            for table, (kept, counted) in COUNTS.items():
                assert sorted(connection.execute(kept)) == sorted(connection.execute(counted)), (table, change)


def test_verification_finds_and_mends_wrong_terms_and_counts(settings: Settings) -> None:
    pipeline, world = scripted(settings, "pages")
    world.documents = {f"{n}.md": Entry(f"page {n} about rotation", PUBLIC) for n in range(5)}
    pipeline.refresh("pages")
    with pipeline.connected() as connection:
        connection.execute(
            "update chunk_terms set places = '{7}' where chunk_key = (select min(chunk_key) from chunk_terms)"
        )
        connection.execute("delete from chunk_terms where chunk_key = (select max(chunk_key) from chunk_terms)")
        connection.execute("update lexicon set df = df + 3 where place = rag.term_place('rotat')")
    found = pipeline.verify("pages")
    assert found.missing == 1
    assert found.different == 2, found.examples
    assert pipeline.verify("pages", repair=True).equal
    assert pipeline.verify("pages").equal


def test_a_word_more_that_others_may_read_changes_nothing(settings: Settings) -> None:
    documents = {f"{n:02}.md": Entry(f"rare{n} and the common word", PUBLIC) for n in range(45)}
    documents["hidden.md"] = Entry("suspicious", ENG)
    settings = refreshed(settings, documents)
    words = " ".join(f"rare{n}" for n in range(39))
    with Index.connect(settings) as index:
        asked = [f"{words} common {suspect}" for suspect in ("suspicious", "neverwritten")]
        found = [index.search(text, caller=Caller("public"), k=50, explain=True).explanation for text in asked]
    assert found[0]
    assert found[1]
    ranks = [
        {trace.document_id: trace.keyword_rank for trace in told.traces if trace.keyword_rank} for told in found if told
    ]
    assert ranks[0] == ranks[1]
    assert len(ranks[0]) > 30


def test_a_heading_as_long_as_a_book_costs_nobody_else_anything(settings: Settings) -> None:
    heading = " ".join(f"word{n}" for n in range(20_000))
    documents = {
        "long.md": Entry(f"# {heading}\n\nText below it.", PUBLIC),
        "other.md": Entry("Innocent text.", PUBLIC),
    }
    with Index.connect(refreshed(settings, documents)) as index:
        assert {hit.document_id for hit in index.search("text", caller=Caller("public"))} == {"long.md", "other.md"}


def test_a_quotation_of_common_words_alone_narrows_nothing(settings: Settings) -> None:
    settings = refreshed(
        settings, {"a.md": Entry("To be or not to be.", PUBLIC), "b.md": Entry("Something else.", PUBLIC)}
    )
    with Index.connect(settings) as index:
        hits = index.search('"to be or not to be"', caller=Caller("public"))
    assert len(hits) == 2
    assert hits.notes == ("the quoted words are too common to be searched",)


def test_verification_mends_what_the_way_of_a_search_is_chosen_by(settings: Settings) -> None:
    pipeline, world = scripted(settings, "pages")
    world.documents = {f"{n}.md": Entry(f"page {n} about rotation", PUBLIC) for n in range(5)}
    pipeline.refresh("pages")
    with pipeline.connected() as connection:
        connection.execute("delete from acl_sizes")
        connection.execute("update keyword_state set length = 1, average = 3")
    # The two, and the weights of all five chunks, which go by the average.
    assert pipeline.verify("pages").different == 7
    assert pipeline.verify("pages", repair=True).equal
    del world.documents["1.md"]
    assert pipeline.refresh("pages").removed == 1
    assert pipeline.verify("pages").equal


def test_a_language_that_postgres_cannot_read_is_refused_before_anything_is_made(settings: Settings) -> None:
    wrong = settings.model_copy(update={"keywords": Keywords.model_validate({"language": "de"})})
    pipeline, world = scripted(wrong, "pages")
    world.documents = {"a.md": Entry("text", PUBLIC)}
    with pytest.raises(ConfigurationError, match="german"):
        pipeline.refresh("pages")
    right = settings.model_copy(update={"keywords": Keywords.model_validate({"language": "german"})})
    pipeline, world = scripted(right, "pages")
    world.documents = {"a.md": Entry("text", PUBLIC)}
    assert pipeline.refresh("pages").added == 1
