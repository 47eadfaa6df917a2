"""The `github_issues` source against a server that speaks the API: whole, changes only, and everything between."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import Access, ListingEnd
from rag_pipeline.settings import GithubIssuesSettings
from rag_pipeline.sources import github_api
from rag_pipeline.sources.contract import assert_source_contract
from rag_pipeline.sources.github_issues import GithubIssuesSource
from rag_pipeline.sources.ticket import Ticket
from rag_pipeline_tests.unit.sources.github_server import REPOSITORY, Fault, GithubServer, github_server
from rag_pipeline_tests.unit.sources.listings import PUBLIC, Listing, listing

ALL = ("issue", "pull_request", "discussion")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_api, "RETRY_PAUSES", (0.0, 0.0))
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)


@pytest.fixture
def server() -> Iterator[GithubServer]:
    """Eight issues and pull requests on three pages; every fourth is a pull request."""
    with github_server() as server:
        for number in range(1, 9):
            server.open(number, pull=number % 4 == 0)
        server.tick(hours=1)
        yield server


@pytest.fixture
def make(server: GithubServer, tmp_path: Path) -> Callable[..., GithubIssuesSource]:
    def make(**more: Any) -> GithubIssuesSource:
        values = {"name": "x", "type": "github_issues", "repository": REPOSITORY, "api_url": server.url}
        return GithubIssuesSource(GithubIssuesSettings.model_validate(values | PUBLIC | more), tmp_path / "cache")

    return make


Make = Callable[..., GithubIssuesSource]


def listed(make: Make, **more: Any) -> Listing:
    with closing(make(**more)) as source:
        return listing(source)


def ticket(make: Make, name: str, **more: Any) -> Ticket:
    with closing(make(**more)) as source:
        return Ticket.from_bytes(source.fetch(listing(source).documents[name]))


def names(*numbers: int) -> set[str]:
    return {f"{'pull' if number % 4 == 0 else 'issues'}/{number}" for number in numbers}


WHOLE = {"full_listing_hours": 0}


def test_it_keeps_the_contract(server: GithubServer, make: Make) -> None:
    server.say(3, "hm")
    server.say(4, "look", review=True)

    @contextmanager
    def outage() -> Iterator[None]:
        server.faults = [Fault("page=2", 502) for _ in range(20)]
        yield
        server.faults = []

    assert_source_contract(
        lambda: make(**WHOLE), remove=lambda name: server.issues.pop(int(name.partition("/")[2])), outage=outage
    )


def test_what_is_listed_of_an_issue(server: GithubServer, make: Make) -> None:
    server.say(3, "hm")
    found = listed(make, access=["group:dev"])
    assert found.end == ListingEnd(complete=True)
    assert set(found.documents) == names(*range(1, 9))
    ref = found.documents["issues/3"]
    assert ref.uri == f"https://github.example/{REPOSITORY}/issues/3"
    assert ref.version == "2024-05-01T13:09:00Z-1"
    assert ref.modified_at == datetime(2024, 5, 1, 13, 9, tzinfo=UTC)
    assert ref.access == Access(("group:dev",))


def test_an_issue_with_its_comments(server: GithubServer, make: Make) -> None:
    for n in range(5):
        server.say(3, f"comment {n}")
    server.change(3, state="closed", body=None, user=None)
    found = ticket(make, "issues/3")
    assert (found.title, found.body, found.state, found.labels, found.author) == ("T3", "", "closed", ("bug",), "")
    assert [comment.body for comment in found.comments] == [f"comment {n}" for n in range(5)]
    assert {comment.author for comment in found.comments} == {"bo"}
    assert found.metadata == {"kind": "issue", "number": 3}


def test_a_pull_request_with_its_reviews_in_the_order_of_time(server: GithubServer, make: Make) -> None:
    for n in range(6):
        server.say(8, f"comment {n}", review=n % 2 == 1)
    server.change(8, state="closed", pull_request={"merged_at": "2024-05-02T00:00:00Z"})
    found = ticket(make, "pull/8")
    assert [comment.body for comment in found.comments] == [f"comment {n}" for n in range(6)]
    assert found.state == "closed"
    assert found.metadata == {"kind": "pull_request", "number": 8, "merged": True}


def test_a_review_is_what_it_says_in_summary(server: GithubServer, make: Make) -> None:
    server.say(8, "please look")
    server.review(8, "needs work", "CHANGES_REQUESTED")
    server.review(8, "", "APPROVED")
    server.review(8, None)
    server.say(8, "this line", review=True)
    for n in range(4):
        server.review(8, f"round {n}")
    server.review(8, "a draft", "PENDING")
    found = ticket(make, "pull/8")
    expected = ["please look", "needs work", "this line", *(f"round {n}" for n in range(4))]
    assert [comment.body for comment in found.comments] == expected
    assert [comment.author for comment in found.comments] == ["bo", "cy", "bo", *["cy"] * 4]
    assert [comment.at for comment in found.comments] == sorted(comment.at for comment in found.comments)


def test_reviews_are_asked_for_where_something_changed_only(server: GithubServer, make: Make) -> None:
    def asked() -> list[str]:
        found = [path for path in server.requests if "/reviews" in path]
        server.requests.clear()
        return found

    before = listed(make).documents
    assert asked() == []
    server.review(8, "needs work")
    server.tick(hours=1)
    with closing(make()) as source:
        after = listing(source).documents
        changed = [ref for name, ref in after.items() if ref.version != before[name].version]
        assert [ref.document_id for ref in changed] == ["pull/8"]
        server.faults = [replace(limited(server, 1800), where="/pulls/8/reviews")]
        with pytest.raises(TransientError, match="rate limit"):
            source.fetch(changed[0])
        assert b"needs work" in source.fetch(changed[0])
        source.fetch(after["issues/3"])
    assert asked() == ["/repos/acme/tool/pulls/8/reviews?per_page=100"] * 2


def test_only_the_kinds_that_are_asked_for(make: Make) -> None:
    assert set(listed(make, kinds=["issue"]).documents) == names(1, 2, 3, 5, 6, 7)
    assert set(listed(make, kinds=["pull_request"]).documents) == names(4, 8)


def test_discussions_with_all_replies(server: GithubServer, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20, 27):
        server.discuss(number)
    server.discuss(30, ("one", 0), ("two", 7), ("three", 3), ("four", 1))
    with (
        closing(make(kinds=ALL)) as source,
        pytest.raises(ConfigurationError, match=r"only with a token.*GITHUB_TOKEN"),
    ):
        source.check()
    server.token = "s3cret"
    monkeypatch.setenv("GITHUB_TOKEN", server.token)
    found = ticket(make, "discussions/30", kinds=ALL)
    expected = ["one", "two", *(f"two {n}" for n in range(7)), "three", *(f"three {n}" for n in range(3))]
    assert [comment.body for comment in found.comments] == [*expected, "four", "four 0"]
    assert (found.title, found.body, found.state, found.labels, found.author) == (
        "D30",
        "talk 30",
        "open",
        ("idea",),
        "ana",
    )
    assert found.metadata == {"kind": "discussion", "number": 30, "category": "Ideas"}
    talks = {f"discussions/{number}" for number in (*range(20, 27), 30)}
    assert set(listed(make, kinds=ALL).documents) == names(*range(1, 9)) | talks
    with closing(make(kinds=ALL)) as source:
        ref = listing(source).documents["discussions/20"]
        del server.discussions[20]
        assert set(listing(source).documents) == names(*range(1, 9)) | talks - {"discussions/20"}
        with pytest.raises(DocumentError, match="'discussions/20': was deleted"):
            source.fetch(ref)


def test_between_whole_listings_only_changes_are_asked_for(server: GithubServer, make: Make) -> None:
    first = listed(make)
    asked = len(server.requests)
    server.tick(hours=1)
    server.say(2, "hm")
    server.open(9)
    second = listed(make)
    assert len(server.requests) - asked == 1
    assert "since=" in server.requests[-1]
    assert second.end.complete
    assert set(second.documents) == names(*range(1, 10))
    changed = {name for name, ref in second.documents.items() if first.documents.get(name) != ref}
    assert changed == {"issues/2", "issues/9"}
    assert second == listed(make) == listed(make, **WHOLE)


def test_a_change_during_a_listing_is_found_by_the_next(server: GithubServer, make: Make) -> None:
    """It happened after its page was made, by the server's clock, which may be hours away from this machine's."""

    def late(page: int) -> None:
        if page == 3:
            server.say(1, "said while page 3 was made")
            server.tick(minutes=30)

    server.before_page = late
    first = listed(make)
    server.before_page = lambda _page: None
    server.open(9)
    second = listed(make)
    assert first.documents["issues/1"].version != second.documents["issues/1"].version
    assert second == listed(make, **WHOLE)


def test_an_edit_during_a_listing_hides_nothing(server: GithubServer, make: Make) -> None:
    server.before_page = lambda page: server.change(page)
    assert set(listed(make).documents) == names(*range(1, 9))


def test_deletions_and_transfers_are_noticed_by_the_next_whole_listing(server: GithubServer, make: Make) -> None:
    refs = listed(make).documents
    del server.issues[2], server.issues[8]
    moved = server.issues.pop(5)
    server.transferred.add(5)
    server.open(9)
    assert set(listed(make).documents) == names(*range(1, 10))
    with closing(make()) as source:
        for name in ("issues/2", "issues/5", "pull/8"):
            with pytest.raises(DocumentError, match=f"'{name}': GitHub answers (404|301)"):
                source.fetch(refs[name])
        with pytest.raises(DocumentError, match="is now something else"):
            source.fetch(replace(refs["issues/1"], document_id="pull/1"))
    found = listed(make, **WHOLE)
    assert found.end.complete
    assert set(found.documents) == names(1, 3, 4, 6, 7, 9)
    server.transferred.clear()
    server.issues[5] = moved
    assert "issues/5" in listed(make, **WHOLE).documents


def test_a_deletion_during_a_listing_pushes_nobody_over_the_edge(server: GithubServer, make: Make) -> None:
    """Issue 4 moves from page 2 to page 1, which has been read; it was there before, so it is asked for."""
    listed(make)

    def deleted(page: int) -> None:
        if page == 2:
            server.issues.pop(1, None)

    server.before_page = deleted
    found = listed(make, **WHOLE)
    assert found.end.complete
    assert set(found.documents) == names(*range(1, 9))
    assert set(listed(make, **WHOLE).documents) == names(*range(2, 9))


@pytest.mark.parametrize("damage", ["", "{", "[]", "[[1], 0, 0, {}]", '{"format": 1}', "\xff"])
def test_the_cache_may_be_broken_or_vanish(make: Make, tmp_path: Path, damage: str) -> None:
    before = listed(make)
    (tmp_path / "cache" / "listing.json").write_text(damage, "latin-1")
    assert listed(make) == before
    shutil.rmtree(tmp_path / "cache")
    assert listed(make) == before


def test_the_cache_of_other_settings_is_not_used(server: GithubServer, make: Make) -> None:
    listed(make, kinds=["issue"])
    assert set(listed(make).documents) == names(*range(1, 9))
    assert "since=" not in server.requests[-1]


def test_a_cache_that_cannot_be_written_is_none(make: Make, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    with closing(make()) as source:
        for ref in listing(source).documents.values():
            source.fetch(ref)


def foreign(page: int, links: dict[str, str]) -> dict[str, str]:
    return links | {"next": "http://127.0.0.1:9/steal"} if page == 2 else links


def circle(page: int, links: dict[str, str]) -> dict[str, str]:
    return links | {"next": links["next"].replace("page=3", "page=1")} if page == 2 else links


def skip(page: int, links: dict[str, str]) -> dict[str, str]:
    return links | {"next": links["next"].replace("page=2", "page=3")} if page == 1 else links


def short(page: int, links: dict[str, str]) -> dict[str, str]:
    return {} if page == 2 else links


def beyond(page: int, links: dict[str, str]) -> dict[str, str]:
    return {"next": f"http://x/?page={page}"} if page == 3 else links


@pytest.mark.parametrize(
    ("links", "message"),
    [
        (foreign, "page 2 of /repos/acme/tool/issues names a wrong next page"),
        (circle, "GitHub gives a page of issues twice"),
        (skip, "ended with page 2 of 3"),
        (short, "ended with page 2 of 3"),
        (beyond, "names a wrong next page"),
    ],
)
def test_pages_that_do_not_add_up_are_no_complete_listing(
    server: GithubServer, make: Make, links: Callable[[int, dict[str, str]], dict[str, str]], message: str
) -> None:
    server.links = links
    found = listed(make)
    assert not found.end.complete
    assert message in str(found.end.reason)
    assert set(found.documents) <= names(*range(1, 9))
    server.links = lambda _page, links: links
    assert set(listed(make).documents) == names(*range(1, 9)), "what was incomplete is not kept"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("page=2", 502, body=b"<html>"), "GitHub answers 502"),
        (Fault("page=2", 200, {"Content-Length": "5000"}, b"[{"), "RemoteProtocolError at /repos/acme/tool/issues"),
        (Fault("page=2", 200, body=b"<html>"), "is no JSON"),
        (Fault("page=2", 200, body=b'{"message": "odd"}'), "is no list"),
        (Fault("page=2", 200, body=b'[{"number": "x"}]'), "something that is no issue"),
        (Fault("page=2", 200, body=b"[null, 3]"), "something that is no issue"),
        (Fault("page=2", 200, body=b'[{"number": 99, "html_url": "javascript:1"}]'), "without an address"),
        (Fault("page=2", 404), "GitHub answers 404"),
    ],
)
def test_a_page_that_cannot_be_read_is_no_complete_listing(
    server: GithubServer, make: Make, fault: Fault, message: str
) -> None:
    server.faults = [fault] * 3
    found = listed(make)
    assert not found.end.complete
    assert message in str(found.end.reason)
    assert names(1, 2, 3) <= set(found.documents)
    server.faults = []
    assert set(listed(make).documents) == names(*range(1, 9))


def test_a_broken_listing_of_changes_keeps_what_was_known(server: GithubServer, make: Make) -> None:
    listed(make)
    for number in (*range(1, 7), 9):
        server.tick(hours=1)
        server.change(number) if number < 9 else server.open(9)
    server.faults = [Fault("page=2", 500)] * 3
    found = listed(make)
    assert not found.end.complete
    assert names(*range(1, 9)) <= set(found.documents)
    assert listed(make) == listed(make, **WHOLE)


def test_a_passing_error_is_met_with_another_try(server: GithubServer, make: Make) -> None:
    server.faults = [Fault("page=2", 502), Fault("page=2", 500)]
    assert listed(make).end.complete


def limited(server: GithubServer, seconds: float) -> Fault:
    reset = int((server.now + timedelta(seconds=seconds)).timestamp())
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    return Fault("page=2", 403, headers, b'{"message": "API rate limit exceeded"}')


def test_a_rate_limit_that_passes_soon_is_waited_for(server: GithubServer, make: Make) -> None:
    server.faults = [Fault("page=2", 429, {"Retry-After": "0"}), limited(server, -5)]
    assert listed(make).end.complete


@pytest.mark.parametrize("fault", ["reset", "after", "secondary", "bare"])
def test_a_longer_one_says_when_to_try_again(server: GithubServer, make: Make, fault: str) -> None:
    server.faults = [
        {
            "reset": limited(server, 1800),
            "after": Fault("page=2", 403, {"Retry-After": "1800"}),
            "secondary": Fault("page=2", 403, body=b'{"message": "You have exceeded a secondary rate limit"}'),
            "bare": Fault("page=2", 429),
        }[fault]
    ]
    found = listed(make)
    assert not found.end.complete
    until = "13:38" if fault in ("reset", "after") else "13:09"
    assert f"rate limit is used up until {until} UTC; a token in GITHUB_TOKEN" in str(found.end.reason)


def test_patience_is_bounded_over_all_waits(server: GithubServer, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_api, "PATIENCE_SECONDS", 1.5)
    server.faults = [Fault("page=2", 429, {"Retry-After": "0"}) for _ in range(3)]
    found = listed(make)
    assert "rate limit" in str(found.end.reason)
    assert len(server.faults) == 1


def test_a_first_load_goes_on_where_the_rate_limit_stopped_it(server: GithubServer, make: Make) -> None:
    with closing(make()) as source:
        refs = list(listing(source).documents.values())
        for ref in refs[:4]:
            source.fetch(ref)
        server.faults = [replace(limited(server, 1800), where="/issues/5")]
        with pytest.raises(TransientError, match="rate limit"):
            source.fetch(refs[4])
    asked = len(server.requests)
    with closing(make()) as source:
        for ref in refs[:4]:
            source.fetch(ref)
        assert len(server.requests) == asked
        source.fetch(refs[4])
    assert len(server.requests) == asked + 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("", 401), r"rag.toml: sources\[x\]: GitHub answers 401 .*renew the token in GITHUB_TOKEN"),
        (Fault("", 403), r"rag.toml: sources\[x\]: GitHub answers 403 .*GITHUB_TOKEN, or give it the right"),
        (Fault("", 404), r"rag.toml: sources\[x\].repository: GitHub answers 404 .*GITHUB_TOKEN"),
        (Fault("", 301), r"rag.toml: sources\[x\].repository: GitHub answers 301 .*has moved"),
    ],
)
def test_check_says_who_can_help(server: GithubServer, make: Make, fault: Fault, message: str) -> None:
    server.faults = [fault]
    with closing(make()) as source:
        with pytest.raises(ConfigurationError, match=message):
            source.check()
        source.check()


def test_check_of_a_server_that_is_away(make: Make) -> None:
    with closing(make(api_url="http://127.0.0.1:9")) as source, pytest.raises(TransientError, match="ConnectError"):
        source.check()


def test_a_token_that_is_revoked_on_the_way_stops_the_run(server: GithubServer, make: Make) -> None:
    server.faults = [Fault("page=2", 401)]
    with closing(make()) as source, pytest.raises(ConfigurationError, match="renew the token"):
        list(source.list())


def test_the_token_is_sent_and_never_told(
    server: GithubServer, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server.token = "hunter2"
    monkeypatch.setenv("OTHER", "hunter2")
    assert listed(make, token_env="OTHER").end.complete
    monkeypatch.setenv("OTHER", "hunter3")
    with closing(make(token_env="OTHER")) as source, pytest.raises(ConfigurationError) as caught:
        source.check()
    assert "hunter" not in str(caught.value) + caplog.text
    monkeypatch.setenv("OTHER", "hunter2\nX-Evil: 1")
    with pytest.raises(ConfigurationError, match="OTHER holds what no token does") as caught:
        make(token_env="OTHER")
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("name", ["issues/x", "issues/²", "wiki/1", "issues/1/comments", "issues/-1", "", "../1"])
def test_what_is_no_id_is_asked_of_nobody(server: GithubServer, make: Make, name: str) -> None:
    with closing(make()) as source:
        ref = next(iter(listing(source).documents.values()))
        asked = len(server.requests)
        with pytest.raises(DocumentError, match="is no issue, pull request or discussion"):
            source.fetch(replace(ref, document_id=name))
    assert len(server.requests) == asked


def test_an_issue_that_vanishes_while_its_comments_are_read_is_gone(server: GithubServer, make: Make) -> None:
    server.say(3, "hm")
    server.faults = [Fault("/issues/3/comments", 404)]
    with pytest.raises(DocumentError, match="'issues/3': GitHub answers 404"):
        ticket(make, "issues/3")


@pytest.mark.parametrize("url", ["ftp://x", "https://user:secret@x", "https://x?y", "x"])
def test_the_address_of_the_api_is_a_plain_one(url: str) -> None:
    with pytest.raises(ValidationError, match="api_url"):
        GithubIssuesSettings.model_validate({"name": "x", "type": "github_issues", "repository": "a/b", "api_url": url})
