"""bm25s, run by the interpreter of `.venv-peers`: it reads one JSON object and writes the rankings it finds.

In comes ``{"texts": [...], "questions": [...], "k": 100, "k1": 1.5, "b": 0.75}``; out, of every question, the
indices of its best texts, best first. Texts are cut into words and stemmed as bm25s' own examples do it for
English.
"""

# pyright: reportMissingImports=false
# This file runs in .venv-peers, which the type checker does not see.

import json
import sys

import bm25s
import Stemmer

if __name__ == "__main__":
    job = json.load(sys.stdin)
    stemmer = Stemmer.Stemmer("english")

    def words(texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    retriever = bm25s.BM25(k1=job["k1"], b=job["b"])
    retriever.index(words(job["texts"]), show_progress=False)
    k = min(job["k"], len(job["texts"]))
    found, scores = retriever.retrieve(words(job["questions"]), k=k, show_progress=False)
    json.dump(
        [[int(text) for text, score in zip(*row, strict=True) if score > 0] for row in zip(found, scores, strict=True)],
        sys.stdout,
    )
