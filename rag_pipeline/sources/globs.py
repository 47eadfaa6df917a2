"""Which paths a source covers: globs over relative POSIX paths, translated to regular expressions.

The rules are those of Python 3.13's ``PurePath.full_match``, case-sensitive on every system: ``**`` as a
whole segment stands for any number of segments, also none; ``*``, ``?`` and ``[…]`` stay inside one
segment; nothing is special about a leading dot. ``drafts/**`` therefore covers ``drafts`` itself, too.

Every star but the last of a segment (and every ``**`` but the last) is matched as short as possible and
never reconsidered, which is exact, because what follows it up to the next star has a fixed length. So
matching takes polynomial time of low degree whatever the names are.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rag_pipeline.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class PathFilter:
    """The `include` and `exclude` globs of a source; exclude wins."""

    include: re.Pattern[str]
    exclude: re.Pattern[str]

    @classmethod
    def of(cls, include: Iterable[str], exclude: Iterable[str], setting: str) -> "PathFilter":
        """Compile the globs. Raises `ConfigurationError`, naming `setting`, for one that can match nothing."""
        return cls(_union(include, f"{setting}.include"), _union(exclude, f"{setting}.exclude"))

    def excludes(self, path: str) -> bool:
        """Say whether the path itself is excluded; of a folder, everything below it is then excluded as well."""
        return self.exclude.fullmatch(path + "/") is not None

    def includes(self, path: str) -> bool:
        """Say whether the path is included; the caller has asked `excludes` for it and for each folder above it."""
        return self.include.fullmatch(path + "/") is not None


def translate(glob: str) -> str:
    """Return a regular expression that fully matches ``path + "/"`` exactly when `glob` matches `path`."""
    groups: list[str] = [""]
    for segment in glob.split("/"):
        if segment != "**":
            groups[-1] += _segment(segment) + "/"
        elif groups[-1] or len(groups) == 1:
            groups.append("")
    return _joined(groups, "(?:[^/]+/)*")


def _union(globs: Iterable[str], setting: str) -> re.Pattern[str]:
    patterns: list[str] = []
    for glob in globs:
        path = glob.removeprefix("./").removesuffix("/")
        if any(segment in ("", ".", "..") for segment in path.split("/")):
            raise ConfigurationError(
                f"rag.toml: {setting}: {glob!r} can match nothing; paths are relative to the source, like docs/**/*.md"
            )
        patterns.append(translate(path))
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)", re.DOTALL)


def _segment(glob: str) -> str:
    """Translate one segment, in which every run of stars is one star."""
    parts: list[str] = [""]
    at = 0
    while at < len(glob):
        character = glob[at]
        end = _class_end(glob, at) if character == "[" else None
        if end is not None:
            parts[-1] += _class(glob[at + 1 : end])
            at = end
        elif character == "*":
            if parts[-1] or len(parts) == 1:
                parts.append("")
        else:
            parts[-1] += "[^/]" if character == "?" else re.escape(character)
        at += 1
    return _joined(parts, "[^/]*") if parts != ["", ""] else "[^/]+"


def _joined(parts: list[str], gap: str) -> str:
    """Chain the parts with gaps between them; all gaps but the last are lazy and atomic."""
    if len(parts) == 1:
        return parts[0]
    first, *middle, last = parts
    return first + "".join(f"(?>{gap}?{part})" for part in middle) + gap + last


def _class_end(glob: str, start: int) -> int | None:
    """Return where the class that opens at `start` closes; None means that the bracket stands for itself."""
    first = start + (2 if glob[start + 1 : start + 2] == "!" else 1)
    end = glob.find("]", first + 1)
    return end if end >= 0 else None


def _class(content: str) -> str:
    """Translate what stands between the brackets; as in `fnmatch`, a range that runs backwards is empty."""
    negated = content.startswith("!")
    content = content[negated:]
    ranges = ""
    at = 0
    while at < len(content):
        low = high = content[at]
        if content[at + 1 : at + 2] == "-" and at + 2 < len(content):
            high = content[at + 2]
            at += 2
        at += 1
        if low <= high:
            ranges += f"{re.escape(low)}-{re.escape(high)}"
    if not ranges:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{ranges}]"
