"""Text of documents as a model may be shown it: what is seen is what there is, and nothing in it is markup of a model.

Nothing is taken away that a reader would see. What he would not see could give orders behind his back: invisible
characters, those that change the direction of a line, tags and variation selectors that spell a hidden text. And what
a chat template means by a special token must not come out of a document, where a server reads such tokens in any text.
"""

import re

_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, save tab and line end
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners and fillers without a shape
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"  # zero width, marks of direction, what is reserved among them
    "\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb"  # fillers, variation selectors, byte order, annotations
    "\ud800-\udfff"  # halves of a character
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # controls of shorthand and music
    "\U000e0000-\U000e0fff"  # tags, further variation selectors
    "]+"
)
_BREAKS = re.compile("\r\n?|[\u2028\u2029\x85\x0b\x0c]")
# These join letters of some scripts, and the parts of some emoji: one at a time, between two characters that are seen.
_STRAY_JOINERS = re.compile(
    "(?<![^\x00-\x7f\u200c\u200d\ufe0f])[\u200c\u200d\ufe0f]+|[\u200c\u200d\ufe0f]{3,}|[\u200c\u200d](?![^\x00-\x7f])"
)
_WORDS = (
    "s|bos|eos|pad|unk|sep|cls|mask|im_start|im_end|endoftext|start_of_turn|end_of_turn|start_of_image|think|thinking"
    "|tool_call|tool_calls|tool_response|tool_result|function_call|function_calls|system|user|assistant|human|model"
    "|unused\\d+|extra_id_\\d+|reserved_special_token_\\d+"
)
_TOKENS = (
    re.compile(r"<(?=[|\uff5c][^<>\n]{0,80}[|\uff5c]>)"),  # <|im_start|> and its kind
    re.compile(rf"<(?=/?(?:{_WORDS})\s*/?>)", re.IGNORECASE),
    re.compile(r"<(?=<\s*+/?\s*+sys\s*+>>)|(?<=<)<(?=\s*+/?\s*+sys\s*+>>)", re.IGNORECASE),
)
_BRACKETED = re.compile(
    r"\[(?=\s*+/?\s*+(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT|gMASK|BOS|EOS)\s*+\])", re.I
)


def plain(text: str) -> str:
    """Return a text without what is not seen, and with special tokens that are none any more; else as it is."""
    text = _STRAY_JOINERS.sub("", visible(_BREAKS.sub("\n", text)))
    for token in _TOKENS:
        text = token.sub("‹", text)
    return _BRACKETED.sub("❲", text)


def line(text: str) -> str:
    """Return a text as one line, blanks single."""
    return " ".join(plain(text).split())


def visible(text: str) -> str:
    """Return a text without characters that are not seen, each looked at alone; line ends and tabs stay."""
    return _INVISIBLE.sub("", text)
