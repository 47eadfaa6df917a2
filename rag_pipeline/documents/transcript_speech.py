"""Who says what: cues become remarks of speakers, and remarks become utterances.

Promises: no cue is cut, and no text is lost but its tags. An utterance is one speaker's; it ends with a
sentence, at a pause, at a new turn, or before it grows too long. A name is believed when a voice tag says it,
when it is written in capitals, or when the same name opens several remarks; it holds until the next one, unless
the file repeats it in cues that follow each other.
"""

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rag_pipeline.documents.transcript_cues import Cue
from rag_pipeline.documents.writer import Writer, one_line
from rag_pipeline.model import BlockKind, Place

PAUSE = 1.5
"""Seconds of silence that end an utterance, and let the next one begin a chunk."""

LONGEST = 280
"""Bytes at which an utterance ends where remarks allow: 60 to 90 tokens of most models."""

_LONG_CUE = 10.0  # seconds; longer ones are chapters or descriptions, each a text of its own
_SENTENCE_END = re.compile(r"(?:[!?。！？]|(?<!\.)\.)[\"'”’»)\]]*$")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*+)?[ \t]++([^<>]*+)>")
_TAG = re.compile(r"</?(?:c|i|b|u|s|v|ruby|rt|lang|font)\b[^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE)
_WORD_TIME = re.compile(r"<\d[\d:.]*>")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{1,31});")
_TURN_MARK = re.compile(r"\s*(?:>{2,3}\s*|(?P<dash>[-–]\s+|-(?=[^\W\d_])))")
_NAMED = re.compile(r"\s*([^\W\d_][\w.'’ -]{0,59}):(?:\s+|$)")
_SOUND = re.compile(r"[\[(♪♫*][^\[\](]*[\])♪♫*]")


@dataclass(frozen=True, slots=True)
class Remark:
    """What one speaker says at a stretch; `speaker` is empty when unknown. `opens` marks the start of a turn."""

    text: str
    speaker: str = ""
    opens: bool = False
    seconds: tuple[float, float] | None = None


def remarks(cues: Sequence[Cue]) -> list[Remark]:
    """Return the remarks of some cues, in order."""
    names = Counter(name for cue in cues for line in cue.lines if (name := _name_of(_shown(line))))
    found = [list(_spoken(cue, names)) for cue in _without_repeats(cues)]
    return list(_attributed(found))


def write(writer: Writer, said: Iterable[Remark]) -> None:
    """Join remarks into utterances and add these as paragraphs; a turn begins with the speaker's name."""
    utterance: list[Remark] = []
    before: Remark | None = None
    size = 0
    for remark in said:
        length = len(remark.text.encode()) + 1
        if utterance and (size + length > LONGEST or not _goes_on(utterance[-1], remark)):
            _add(writer, utterance, before)
            before, utterance, size = utterance[-1], [], 0
        utterance.append(remark)
        size += length
    if utterance:
        _add(writer, utterance, before)


def _goes_on(last: Remark, remark: Remark) -> bool:
    return (
        _same_turn(last, remark)
        and not _SENTENCE_END.search(last.text)
        and not any(each.seconds and each.seconds[1] - each.seconds[0] > _LONG_CUE for each in (last, remark))
    )


def _same_turn(last: Remark, remark: Remark) -> bool:
    """Whether the same person goes on without a pause."""
    pause = remark.seconds[0] - last.seconds[1] if remark.seconds and last.seconds else 0
    return not remark.opens and remark.speaker == last.speaker and pause < PAUSE


def _add(writer: Writer, utterance: Sequence[Remark], before: Remark | None) -> None:
    first, text = utterance[0], " ".join(remark.text for remark in utterance)
    if first.speaker and (first.opens or before is None or before.speaker != first.speaker):
        text = f"{first.speaker}: {text}"
    places = [Place(seconds=remark.seconds, speakers=(remark.speaker,) * bool(remark.speaker)) for remark in utterance]
    place = places[0]
    for other in places[1:]:
        place = place.joined(other)
    clings = before is not None and _same_turn(before, first)
    writer.add(BlockKind.PARAGRAPH, text, place=None if place == Place() else place, clings=clings)


def _spoken(cue: Cue, names: Counter[str]) -> Iterator[Remark]:
    """Split a cue where another speaker begins."""
    speaker, opens, words = "", False, list[str]()
    first = _TURN_MARK.match(_shown(cue.lines[0])) if cue.lines else None
    dialogue = first is not None and first["dash"] is not None
    for line in cue.lines:
        voices = _VOICE.split(line)
        for index, piece in enumerate(voices):
            shown = _shown(piece)
            if index % 2:
                yield from _remark(words, speaker, opens, cue)
                speaker, opens, words = shown, False, []
                continue
            mark = _TURN_MARK.match(shown)
            if mark and mark["dash"] and not dialogue:
                mark = None
            rest = shown[mark.end() :] if mark else shown
            name = _name_of(rest)
            named = bool(name) and (name.isupper() or names[name] > 1)
            if (mark or named) and shown:
                yield from _remark(words, speaker, opens, cue)
                speaker, opens, words = (name if named else ""), True, []
                rest = rest.partition(":")[2] if named else rest
            words.append(rest)
    yield from _remark(words, speaker, opens, cue)


def _remark(words: list[str], speaker: str, opens: bool, cue: Cue) -> Iterator[Remark]:
    text = one_line(" ".join(words))
    if text:
        yield Remark(text, speaker, opens, cue.seconds)


def _attributed(cues: Sequence[Sequence[Remark]]) -> Iterator[Remark]:
    """Let a name hold for what follows, unless the file names each cue of a turn; sounds are nobody's words."""
    edges = [(one[-1], other[0]) for one, other in pairwise(cue for cue in cues if cue)]
    each_cue = any(one.speaker and one.speaker == other.speaker for one, other in edges)
    speaker = ""
    for remark in (remark for cue in cues for remark in cue):
        sound = _SOUND.fullmatch(remark.text)
        if remark.speaker or remark.opens or (remark.text[0] in "[(" and not sound):
            speaker = remark.speaker  # after "[Ana] …" it may be anyone
        elif not each_cue and not sound:
            remark = replace(remark, speaker=speaker)
        yield remark


def _without_repeats(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Drop the lines that captions with timed words show again while they roll up."""
    if not any(_WORD_TIME.search(line) for cue in cues for line in cue.lines):
        yield from cues
        return
    last = ""
    for cue in cues:
        lines = list[str]()
        for line in cue.lines:
            shown = one_line(_shown(line))
            if shown != last or _WORD_TIME.search(line):
                lines.append(line)
            last = shown or last
        yield Cue(cue.seconds, lines)


def _shown(line: str) -> str:
    """A line without tags; what it escapes is written out."""
    return _ENTITY.sub(lambda match: html.unescape(match[0]), _TAG.sub("", line))


def _name_of(line: str) -> str:
    """The name that a line begins with, if it looks like one: up to four words that begin with capitals or digits."""
    mark = _TURN_MARK.match(line)
    match = _NAMED.match(line, mark.end() if mark else 0)
    words = match[1].split() if match else []
    return " ".join(words) if len(words) <= 4 and all(word[0].isupper() or word[0].isdigit() for word in words) else ""
