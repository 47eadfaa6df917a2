"""How a spreadsheet shows a number: dates as ISO 8601, decimals as many as its format has, without float noise.

Promises: what a format says of units, currencies, percent and decimals is kept; thousands are not grouped, so
that a number is found as it is typed. A format that is not understood leaves the number as it is.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_BUILT_IN = {
    **dict.fromkeys((1, 3, 37, 38), "0"),
    **dict.fromkeys((2, 4, 39, 40), "0.00"),
    9: "0%",
    10: "0.00%",
    **dict.fromkeys((*range(14, 18), *range(27, 32), 36, *range(50, 55), 57, 58), "y-m-d"),
    **dict.fromkeys((*range(18, 22), *range(32, 36), 45, 47, 55, 56), "h:m:s"),
    22: "y-m-d h:m",
    46: "[h]:mm:ss",
}
_LITERAL = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|[_*].'
    r"|\[\$(?P<currency>[^\]-]*)[^\]]*\]|(?P<elapsed>\[(?:h+|m+|s+)\])|\[[^\]]*\]",
    re.IGNORECASE | re.DOTALL,
)
_DIGITS = re.compile(r"[#0?][#0?,]*+(?:\.(?P<decimals>[#0?]*))?")
_AROUND = frozenset("\0 -+()%$€£¥")
_MAX_CODE = 255
_MAX_DECIMALS = 10
_MAX_NUMBER = 64
_TOO_LARGE = 1e300
_HALF_UP = 1 + 2**-50  # so that a half, and what is one but for float noise, is rounded up
_PLAIN = re.compile(r"-?(?:0|[1-9]\d{0,14})")


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """What of a format decides how a number looks.

    `moment` is the letters of a date or time, out of ``ymdhs``, and `elapsed` says that it is a duration;
    `decimals` is how many are shown at least and at most; `before` and `after` are what stands around the digits.
    """

    moment: str = ""
    elapsed: bool = False
    decimals: tuple[int, int] | None = None
    percent: bool = False
    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, identifier: int, code: str | None = None) -> "NumberFormat":
        """Read a format: a built-in one by its number, one that a file defines by its code."""
        literals: list[str] = []
        elapsed = False

        def mark(match: re.Match[str]) -> str:
            nonlocal elapsed
            if match["elapsed"]:
                elapsed = True
                return match["elapsed"][1]
            literals.append(match["quoted"] or match["escaped"] or match["currency"] or "")
            return "\0"

        code = _BUILT_IN.get(identifier, "General") if code is None else code
        bare = _LITERAL.sub(mark, code[:_MAX_CODE]).partition(";")[0]
        if moment := "".join(letter for letter in "ymdhs" if letter in bare.lower()):
            return cls(moment, elapsed)
        digits = _DIGITS.search(bare)
        if digits is None or digits[0].endswith(","):
            return cls()
        around = bare[: digits.start()], bare[digits.end() :]
        if not _AROUND.issuperset("".join(around)):
            return cls()
        shown = iter(literals)
        before, after = ("".join(next(shown) if char == "\0" else char for char in part) for part in around)
        places = (digits["decimals"] or "")[:_MAX_DECIMALS]
        return cls("", False, (places.count("0"), len(places)), "%" in bare, before, after)

    def show(self, value: str, since_1904: bool = False) -> str:
        """Return a stored number as a person reads it; what is no number stays as it is.

        Days count from 1900, or `since_1904`.
        """
        try:
            number = float(value) if len(value) <= _MAX_NUMBER else math.nan
        except ValueError:
            return value
        if not abs(number) < _TOO_LARGE:
            return value
        if self.elapsed:
            return _duration(number)
        if self.moment and (text := self._moment(number, since_1904)):
            return text
        if self.decimals is None:
            return value if _PLAIN.fullmatch(value) else f"{number:.15g}"
        least, most = self.decimals
        text = f"{abs(number) * (100 if self.percent else 1) * _HALF_UP:.{most}f}"
        text = text[: len(text) - most + least] + text[len(text) - most + least :].rstrip("0")
        sign = "-" if number < 0 and text.strip("0.") else ""
        return f"{sign}{self.before}{text.rstrip('.')}{self.after}"

    def _moment(self, number: float, since_1904: bool) -> str | None:
        """A date, a time, or both unless it is midnight; None if the calendar does not reach that far."""
        if number < 0:
            return None
        start = datetime(1899, 12, 30 if number >= 60 else 31, tzinfo=UTC)  # 29 February 1900 counts, and never was
        if since_1904:
            start = datetime(1904, 1, 1, tzinfo=UTC)
        try:
            when = start + timedelta(seconds=round(number * 86_400))
        except OverflowError:
            return None
        time = "%H:%M:%S" if "s" in self.moment else "%H:%M" if "h" in self.moment else ""
        day = "%Y-%m-%d" if "d" in self.moment else "%Y-%m" if "m" in self.moment else "%Y"
        if time and not ("y" in self.moment or "d" in self.moment):
            return when.strftime(time)
        return when.strftime(f"{day} {time}" if time and number % 1 else day)


def _duration(days: float) -> str:
    seconds = round(abs(days) * 86_400)
    return f"{'-' if days < 0 else ''}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
