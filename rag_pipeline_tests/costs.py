"""What something costs, told so that a slow or busy machine changes nothing.

Growth is counted with `work`. What happens inside C cannot be counted: there an input is so large that what grows as
its square takes minutes, and `no_hang` tells that from a moment. How fast something is, benchmarks show.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from docutils.statemachine import ViewList

_LARGE = 64
_MOST_SECONDS = 40.0
"""Twenty times what the costliest block needs, on an ordinary machine."""


def work(act: Callable[[], object]) -> int:
    """Return what `act` costs in calls and in what they make: the same on every machine, however busy it is.

    Counted are calls of functions, in Python or not, and the items of a text, list or other container that a function
    in Python returns, unless it is large and was returned a short while ago.
    """
    cost = 0
    returned: deque[object] = deque(maxlen=32)

    def counted(_: FrameType, event: str, value: object) -> None:
        nonlocal cost
        if event in ("call", "c_call"):
            cost += 1
        elif event == "return":
            made = value.data if isinstance(value, ViewList) else value
            size = len(made) if isinstance(made, (str, bytes, list, tuple, dict, set)) else 0
            if size < _LARGE or not any(made is other for other in returned):
                cost += size
            if size >= _LARGE:
                returned.append(made)

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        act()
    finally:
        sys.setprofile(before)
    return cost


def assert_linear(small: Callable[[], object], large: Callable[[], object]) -> None:
    """`large` is four times as much of the same as `small`: it may cost six times the work; as the square, sixteen."""
    small()  # what is loaded or compiled once is no part of it
    once, grown = work(small), work(large)
    assert grown <= 6 * once


@contextmanager
def no_hang() -> Iterator[None]:
    """Tell a block that works from one that hangs: it has far more time than it needs, of this thread's own CPU.

    What else runs on the machine does not count, nor a pause of it. This is no measure of speed.
    """
    begun = time.thread_time()
    yield
    spent = time.thread_time() - begun
    assert spent < _MOST_SECONDS, f"{spent:.0f} seconds of CPU"
