"""Times of last change agree with git's own answer for every path, whatever the history and the path through it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.sources.git import GitSource
from rag_pipeline_tests.unit.sources.listings import Listing, folder_for_example, git, listing
from rag_pipeline_tests.unit.sources.repository import START, Repository, run, shared_data

PATHS = st.sampled_from(["a", "b", "d/a", "d/e/f"])
CHANGES = st.dictionaries(PATHS, st.sampled_from([b"1", b"2", b"3", None]), max_size=3)
STEPS = st.lists(
    st.tuples(st.sampled_from(["commit", "side", "merge", "back", "list"]), CHANGES), min_size=2, max_size=12
)


def listed(folder: Path, cache: str = "cache", ref: str = "main") -> Listing:
    source = GitSource(git("origin.git", ref=ref), folder, folder / cache)
    try:
        return listing(source)
    finally:
        source.close()


def assert_times(found: Listing, origin: Repository, commit: str, paths: list[str]) -> None:
    for path in paths:
        modified_at = found.documents[path].modified_at
        assert modified_at is not None
        assert modified_at.timestamp() == origin.changed_at(commit, path)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_times_equal_gits_own_after_any_history(steps: list[tuple[str, dict[str, bytes | None]]]) -> None:
    with folder_for_example() as folder:
        origin = Repository(folder / "origin.git")
        first = origin.commit({"a": b"0", "b": b"0"})
        for kind, changes in [*steps, ("list", {})]:
            if kind == "commit":
                origin.commit(changes)
            elif kind == "side":
                origin.commit(changes, branch="side")
            elif kind == "merge" and origin.has("refs/heads/side"):
                origin.commit(changes, merge=["refs/heads/side"])
            elif kind == "back":
                origin.git("update-ref", "refs/heads/main", f"{origin.head()}~1" if origin.head() != first else first)
            elif kind == "list":
                found = listed(folder)
                assert found.end.complete
                tree = origin.git("ls-tree", "-r", "-z", "--name-only", "main").decode().split("\0")[:-1]
                assert sorted(found.documents) == sorted(tree)
                assert_times(found, origin, origin.head(), tree)


def test_a_listing_that_knows_the_last_commit_reads_only_the_new_history(tmp_path: Path) -> None:
    origin = Repository(tmp_path / "origin.git")
    origin.commit({"old.md": b"1", "both.md": b"1"})
    before = listed(tmp_path)
    (facts,) = (tmp_path / "cache").glob("*.git/rag-facts-1.json")
    facts.write_text(facts.read_text().replace(f'"old.md": {START + 3600}', f'"old.md": {START}'))
    origin.commit({"new.md": b"1", "both.md": b"2"})
    after = listed(tmp_path)
    times = {path: item.modified_at and item.modified_at.timestamp() for path, item in after.documents.items()}
    assert times == {"old.md": START, "both.md": START + 7200, "new.md": START + 7200}
    assert before.documents.keys() == {"old.md", "both.md"}


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"commit": 1}'])
def test_damaged_facts_are_made_anew(tmp_path: Path, damage: str) -> None:
    Repository(tmp_path / "origin.git").commit({"a.md": b"1"})
    before = listed(tmp_path)
    (facts,) = (tmp_path / "cache").glob("*.git/rag-facts-1.json")
    facts.write_text(damage)
    assert listed(tmp_path) == before


@pytest.mark.parametrize("at", [1, 2**40])
def test_odd_commit_times_do_no_harm(tmp_path: Path, at: int) -> None:
    Repository(tmp_path / "origin.git").commit({"a.md": b"1"}, at=at)
    modified_at = listed(tmp_path).documents["a.md"].modified_at
    assert modified_at is not None
    assert 1970 <= modified_at.year <= 2200


def test_a_real_history_is_followed(tmp_path: Path) -> None:
    bundle = shared_data("handbook.bundle")
    if bundle is None:
        pytest.skip("handbook.bundle is not here; set RAG_SHARED_DATA to the folder that holds it")
    origin = Repository(tmp_path / "origin.git")
    origin.git("fetch", "--quiet", str(bundle), "refs/heads/main:refs/all")
    commits = origin.git("rev-list", "--first-parent", "--reverse", "refs/all").decode().split()
    assert len(commits) == 977
    found = None
    for commit in [*commits[::140], commits[500], commits[-1]]:
        origin.git("update-ref", "refs/heads/main", commit)
        found = listed(tmp_path)
        lines = origin.git("ls-tree", "-r", "-z", commit).decode().split("\0")[:-1]
        tree = {line.partition("\t")[2]: line.split()[2] for line in lines if line.startswith("100")}
        assert {path: item.version for path, item in found.documents.items()} == tree
        assert_times(found, origin, commit, sorted(tree)[::20])
    assert found == listed(tmp_path, cache="another")
    assert run("-C", str(tmp_path), "bundle", "list-heads", str(bundle)).split()[0].decode() == commits[-1]
