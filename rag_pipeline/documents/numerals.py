"""The numbers of lists, as Office writes them: decimal, letters or Roman."""

_ROMAN = {"m": 1000, "cm": 900, "d": 500, "cd": 400, "c": 100, "xc": 90, "l": 50, "xl": 40, "x": 10, "ix": 9}
_ROMAN |= {"v": 5, "iv": 4, "i": 1}
_LARGEST_ROMAN = 3999
_LARGEST_LETTER = 26 * 4


def numeral(number: int, form: str) -> str:
    """Return `number` in a form such as ``lowerRoman``; decimal where the form is unknown or the number too large.

    Letters repeat after z, as in Office: aa, bb.
    """
    if form.endswith("Roman") and 0 < number <= _LARGEST_ROMAN:
        text = _roman(number)
    elif form.endswith("Letter") and 0 < number <= _LARGEST_LETTER:
        text = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
    else:
        return f"{number:02}" if form == "decimalZero" else str(number)
    return text.upper() if form.startswith("upper") else text


def _roman(number: int) -> str:
    digits: list[str] = []
    for letters, value in _ROMAN.items():
        count, number = divmod(number, value)
        digits.append(letters * count)
    return "".join(digits)
