"""What it means for two stretches of text to be alike."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks.cohesion import cohesions


def alike(before: str, after: str) -> float:
    text = f"{before}\n\n{after}"
    [found] = cohesions(text, [(len(before), len(before) + 2)])
    return found


def test_equal_texts_are_wholly_alike_and_foreign_ones_not_at_all():
    assert alike("the quick brown fox", "the quick brown fox") == pytest.approx(1)
    assert alike("the quick brown fox", "SPHINX OF BLACK QUARTZ") < 0.05


@pytest.mark.parametrize(
    "texts",
    [
        (
            "Rivers carry water down the valley to the sea.",
            "Where the water of a river meets the sea, a delta grows.",
            "An engine burns fuel and turns a crankshaft.",
        ),
        (
            "川は山から海へ水を運びます。川の水は冷たい。",
            "山から海へ流れる川の水を運びます。",
            "機関は燃料を燃やし、軸を回転させる。",
        ),
    ],
)
def test_a_topic_goes_on_where_its_words_return_in_any_language(texts):
    topic, more, other = texts
    assert alike(topic, more) > alike(topic, other)


def test_case_and_punctuation_do_not_matter():
    assert alike("One, two: THREE! four", "one (two) three   four") == pytest.approx(1)


def test_only_text_nearby_matters():
    near = "the water of the river " * 40
    expected = cohesions(near, [(460, 460)])
    far = "zebra " * 300
    [found] = cohesions(far + near + far, [(len(far) + 460, len(far) + 460)])
    assert found == expected[0]


@pytest.mark.parametrize("text", ["", "x", "....", "ab cd"])
def test_a_side_too_short_has_nothing_in_common(text):
    assert cohesions(text, [(0, 0), (len(text), len(text))]) == [0, 0]
    assert cohesions(text, []) == []


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_likeness_is_a_share(before, after):
    assert 0 <= alike(before, after) <= 1 + 1e-9


def test_lower_case_keeps_positions():
    """The one character that lower case makes longer would move every border behind it."""
    assert [chr(code) for code in range(sys.maxunicode + 1) if len(chr(code).lower()) != 1] == ["İ"]
    assert alike("İ" * 50 + " istanbul izmir", "istanbul izmir") == alike(
        "i" * 50 + " istanbul izmir", "istanbul izmir"
    )
