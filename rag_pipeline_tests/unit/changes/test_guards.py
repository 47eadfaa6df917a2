from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.changes.guards import withhold_deletions, withhold_widenings
from rag_pipeline.settings import Guards

DEFAULTS = Guards.model_validate({})
counts = st.integers(0, 10_000)


@given(published=counts, removed=counts, listed=st.integers(1, 10_000))
def test_up_to_ten_documents_or_a_tenth_go_without_asking(published: int, removed: int, listed: int) -> None:
    withheld = withhold_deletions(DEFAULTS, published, removed, listed, approved=0)
    assert withheld == (removed > 10 and removed > 0.10 * published)


@given(published=st.integers(1, 10_000))
def test_an_empty_listing_never_empties_the_index(published: int) -> None:
    assert withhold_deletions(DEFAULTS, published, removed=published, listed=0, approved=0)


@given(published=counts, removed=counts, listed=counts, approved=counts)
def test_an_approval_is_a_ceiling(published: int, removed: int, listed: int, approved: int) -> None:
    withheld = withhold_deletions(DEFAULTS, published, removed, listed, approved)
    if removed <= approved:
        assert not withheld
    else:
        assert withheld == withhold_deletions(DEFAULTS, published, removed, listed, approved=0)


@given(published=counts, widened=counts, approved=counts)
def test_widening_follows_the_same_limits(published: int, widened: int, approved: int) -> None:
    withheld = withhold_widenings(DEFAULTS, published, widened, approved)
    assert withheld == (widened > 10 and widened > 0.10 * published and widened > approved)


def test_limits_are_settings() -> None:
    strict = Guards(max_deletions=0.0, max_widenings=0.0, min_documents=0)
    assert withhold_deletions(strict, published=1000, removed=1, listed=999, approved=0)
    assert withhold_widenings(strict, published=1000, widened=1, approved=0)
