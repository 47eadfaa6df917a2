import json

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.storable import storable, storable_json

any_text = st.text(st.characters(codec=None, exclude_categories=()))


@given(any_text)
def test_whatever_comes_in_can_be_stored(text: str) -> None:
    clean = storable(text)
    clean.encode("utf-8")
    assert "\0" not in clean
    assert storable(clean) == clean


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert storable(text) == text


@given(st.recursive(any_text, lambda inner: st.lists(inner) | st.dictionaries(any_text, inner), max_leaves=5))
def test_json_is_storable_and_canonical(value: object) -> None:
    text = storable_json({"value": value})
    assert storable(text) == text
    assert "\\u0000" not in text
    assert storable_json(json.loads(text)) == text
