"""Globs agree with a slow matcher that follows the definition, and cannot be made slow."""

import fnmatch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.globs import PathFilter
from rag_pipeline_tests.costs import no_hang

NAMES = st.text("ab.-]é\n", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)
GLOB_NAMES = st.one_of(
    st.just("**"), st.text("ab*?[]!-.^é", min_size=1, max_size=6).filter(lambda name: name.strip("."))
)
GLOBS = st.lists(GLOB_NAMES, min_size=1, max_size=5).map("/".join)


def oracle(globs: list[str], names: list[str]) -> bool:
    """The definition, segment by segment."""
    if not globs:
        return not names
    if globs[0] == "**":
        return any(oracle(globs[1:], names[at:]) for at in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], globs[0]) and oracle(globs[1:], names[1:])


@settings(max_examples=600)
@given(glob=GLOBS, path=PATHS)
@example(glob="**/a*/**/*b", path="a/x/aa/b/ab")
@example(glob="**/a/b/**", path="a/a/b")
@example(glob="a**b", path="a/b")
@example(glob="[!a]", path="b")
@example(glob="[b-a]", path="a")
def test_equals_the_definition(glob: str, path: str) -> None:
    expected = oracle(glob.split("/"), path.split("/"))
    assert PathFilter.of([glob], [], "s").includes(path) == expected
    assert PathFilter.of([], [glob], "s").excludes(path) == expected


@given(path=PATHS)
def test_the_default_covers_every_path(path: str) -> None:
    assert PathFilter.of(["**/*"], [], "s").includes(path)
    assert not PathFilter.of(["**/*"], [], "s").excludes(path)


@given(path=PATHS)
def test_a_path_in_brackets_stands_for_itself(path: str) -> None:
    literal = "".join(f"[{c}]" if c in "*?[" else c for c in path)
    assert PathFilter.of([literal], [], "s").includes(path)


@given(globs=st.lists(GLOBS, max_size=3), path=PATHS)
def test_several_globs_are_their_union(globs: list[str], path: str) -> None:
    together = PathFilter.of(globs, [], "s").includes(path)
    assert together == any(PathFilter.of([glob], [], "s").includes(path) for glob in globs)


@pytest.mark.parametrize(
    ("glob", "path"),
    [("drafts", "drafts"), ("drafts/", "drafts"), ("./drafts/**", "drafts"), ("**/node_modules", "a/b/node_modules")],
)
def test_a_folder_can_be_named_in_every_usual_way(glob: str, path: str) -> None:
    assert PathFilter.of([], [glob], "s").excludes(path)


@pytest.mark.parametrize("glob", ["", "/docs/**", "docs//x", "../x", "a/./b", "a/../b"])
def test_a_glob_that_can_match_nothing_is_refused(glob: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sources\[x\]\.exclude"):
        PathFilter.of([], [glob], "sources[x]")


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*a*a*a*a*a*a*a*b", "a" * 2_000),
        ("**/a/**/a/**/a/**/a/**/b", "a/" * 2_000 + "a"),
        ("**" * 50 + "b", "a" * 5_000),
    ],
)
def test_hostile_names_hang_nothing(glob: str, path: str) -> None:
    paths = PathFilter.of([glob], [], "s")
    with no_hang():
        assert not paths.includes(path)
