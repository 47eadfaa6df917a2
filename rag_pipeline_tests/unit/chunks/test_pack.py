import random

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.chunks.pack import Rank, pack

PIECES = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 40), st.integers(0, 2), st.binary(min_size=2, max_size=2))
)


def packed(pieces: list[tuple[int, int, int, bytes]], limit: int, joint: int) -> list[range]:
    ranks: list[Rank] = [(depth, 0, digest) for _, _, depth, digest in pieces]
    return pack([cost for cost, *_ in pieces], [opening for _, opening, *_ in pieces], ranks, limit, joint)


@given(PIECES, st.integers(100, 300), st.integers(0, 2))
def test_groups_are_in_order_whole_and_within_the_limit(pieces, limit, joint):
    groups = packed(pieces, limit, joint)
    assert [index for group in groups for index in group] == list(range(len(pieces)))
    for group in groups:
        cost = pieces[group.start][1] + sum(pieces[index][0] for index in group) + joint * (len(group) - 1)
        assert cost <= limit


@given(PIECES, st.integers(100, 300))
def test_what_fits_is_one_group(pieces, limit):
    total = sum(cost for cost, *_ in pieces)
    if pieces and total + pieces[0][1] <= limit:
        assert packed(pieces, limit, 0) == [range(len(pieces))]


def test_a_piece_above_the_limit_stands_alone():
    assert packed([(5, 0, 0, b""), (50, 0, 0, b""), (5, 0, 0, b"")], 10, 0) == [range(1), range(1, 2), range(2, 3)]


def test_stronger_seams_win():
    pieces = [(10, 0, 2, b"x") for _ in range(30)]
    pieces[8] = (10, 0, 0, b"x")
    assert packed(pieces, 100, 0)[0] == range(8)


def test_no_small_rest_is_left():
    pieces = [(10, 0, 0, bytes([number])) for number in range(11)]
    assert [len(group) * 10 for group in packed(pieces, 100, 0)][-1] >= 15


def test_an_insertion_into_equal_pieces_moves_few_borders():
    """Where all pieces are alike in size, packing to the brim would move every border after an insertion."""
    chance = random.Random(7)
    pieces = [(10, 0, 0, chance.randbytes(8)) for _ in range(1_000)]
    before = {tuple(pieces[index] for index in group) for group in packed(pieces, 200, 0)}
    worst = 0
    for _ in range(30):
        edited = list(pieces)
        edited.insert(chance.randrange(500), (10, 0, 0, chance.randbytes(8)))
        after = {tuple(edited[index] for index in group) for group in packed(edited, 200, 0)}
        worst = max(worst, len(after - before))
    assert len(before) > 50
    assert worst <= 12
