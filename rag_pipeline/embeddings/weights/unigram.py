"""Makes the tokenizer of the XLM-RoBERTa family from its vocabulary: the most probable cut into pieces."""

import json
from pathlib import Path

from rag_pipeline.embeddings.weights.q4 import Vocabulary

_CONTROLS = r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
_SPACES = r"[\s\u200b-\u200f\u2581\ufeff\ufffd]+"
_BLANK = "▁"
"""Stands for a space in pieces."""


def write_tokenizer(vocabulary: Vocabulary, tokens: int, folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``; the model reads up to `tokens` of a text."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.normalizers import NFKC, Replace, Sequence, Strip
    from tokenizers.pre_tokenizers import Metaspace
    from tokenizers.processors import TemplateProcessing

    special = {
        name: vocabulary.pieces[number][0]
        for name, number in (
            ("bos_token", vocabulary.begin),
            ("eos_token", vocabulary.end),
            ("pad_token", vocabulary.pad),
            ("unk_token", vocabulary.unknown),
        )
    }
    begin, end = special["bos_token"], special["eos_token"]
    tokenizer = Tokenizer(Unigram(vocabulary.pieces, unk_id=vocabulary.unknown, byte_fallback=False))
    tokenizer.normalizer = Sequence([Replace(Regex(_CONTROLS), ""), NFKC(), Replace(Regex(_SPACES), " "), Strip()])
    tokenizer.pre_tokenizer = Metaspace(replacement=_BLANK, prepend_scheme="always")
    tokenizer.add_special_tokens(list(special.values()))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, vocabulary.begin), (end, vocabulary.end)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"model_max_length": tokens, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
