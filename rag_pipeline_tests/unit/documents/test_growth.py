"""Parsing costs time in proportion to size: counted, not timed, on shapes that would show anything else."""

import pytest

from rag_pipeline_tests.costs import assert_linear, work
from rag_pipeline_tests.unit.documents.laws import parsed
from rag_pipeline_tests.unit.documents.pathological import MEMBERS, PATHOLOGICAL
from rag_pipeline_tests.unit.documents.samples import SAMPLES

SHAPES = {
    **{name: (kind, make, 500) for name, (kind, make) in PATHOLOGICAL.items()},
    **{name: (kind, make, 200) for name, (kind, make) in MEMBERS.items()},
}


def assert_work_is_linear(kind: str, small: bytes, large: bytes) -> None:
    assert_linear(lambda: parsed(small, kind), lambda: parsed(large, kind))


@pytest.mark.parametrize("name", SHAPES)
def test_work_is_linear_in_the_size_of_a_pathological_document(name: str) -> None:
    kind, make, size = SHAPES[name]
    assert_work_is_linear(kind, make(size).encode(), make(4 * size).encode())


@pytest.mark.parametrize("name", SAMPLES)
def test_work_is_linear_in_the_size_of_a_sample(name: str) -> None:
    kind, make = SAMPLES[name]
    assert_work_is_linear(kind, make(20), make(80))


def test_what_is_counted_tells_a_list_that_is_copied_for_each_of_its_items() -> None:
    def tail(items: list[int], start: int) -> list[int]:
        return items[start:]

    def costs(size: int) -> int:
        items = list(range(size))
        return work(lambda: [tail(items, start) for start in items])

    assert costs(2_000) > 3 * costs(1_000)
