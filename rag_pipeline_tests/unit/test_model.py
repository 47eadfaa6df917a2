import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.model import NOBODY, Access, names_above, principal, under

principals = st.sampled_from(["public", "user:ana", "user:bo", "group:eng", "group:hr"])
accesses = st.builds(Access.of, st.lists(principals), st.lists(principals.filter(lambda p: p != "public")))
callers = st.frozensets(principals.filter(lambda p: p != "public")).map(lambda caller: caller | {"public"})


def may_read(access: Access, caller: frozenset[str]) -> bool:
    return bool(caller & set(access.allow)) and not caller & set(access.deny)


@given(outer=accesses, inner=accesses, caller=callers)
def test_narrowing_never_admits_whom_either_list_keeps_out(
    outer: Access, inner: Access, caller: frozenset[str]
) -> None:
    if may_read(outer.narrowed(inner), caller):
        assert may_read(outer, caller)
        assert may_read(inner, caller)


@given(one=accesses, other=accesses)
def test_narrowing_is_symmetric_and_idempotent(one: Access, other: Access) -> None:
    both = one.narrowed(other)
    assert both == other.narrowed(one)
    assert both.narrowed(one) == both
    assert one.narrowed(NOBODY).allow == ()


@pytest.mark.parametrize(
    "name", ["", "bob", "user:", "user: bob", "user:bob ", "User:bob", "group:a\nb", "user:a\x00", "user:" + "x" * 300]
)
def test_a_malformed_principal_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a principal"):
        principal(name)


def test_principals_have_one_spelling() -> None:
    decomposed, composed = "user:Jose\u0301", "user:Jos\u00e9"
    assert principal(decomposed) == principal(composed) == composed
    assert principal("user:O'Brien, Pat") == "user:O'Brien, Pat"


def test_a_text_stands_under_its_title_once_and_its_headings() -> None:
    assert names_above("Keys", ("Keys", "", "Rotation")) == ("Keys", "Rotation")
    assert names_above("Handbook", ("Keys", "Rotation")) == ("Handbook", "Keys", "Rotation")
    assert under(("Handbook", "Keys"), "Rotate them.") == "Handbook > Keys\nRotate them."
    assert under(names_above("", ()), "Rotate them.") == "Rotate them."
