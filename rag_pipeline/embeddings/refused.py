"""Documents with a text that the model refused: written down for the publication, which quarantines them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from rag_pipeline.embeddings import Refusal
from rag_pipeline.handover import REFUSED, Chunked
from rag_pipeline.parquet import ParquetWriter, read_rows
from rag_pipeline.workspace import Workspace


def quarantine_refused(workspace: Workspace, chunked: Chunked, refused: Mapping[bytes, Refusal]) -> Chunked:
    """Write ``refused.parquet`` and return the numbers without the documents in it, which are failures now.

    `refused` is by hash of the text. Without any there is no file, not even an old one.
    """
    folder = chunked.changes.hashes.snapshot.folder
    file = workspace.file(folder, "refused.parquet")
    if not refused:
        file.unlink(missing_ok=True)
        return chunked
    reasons: dict[bytes, Refusal] = {}
    for row in read_rows(workspace.file(folder, "chunks.parquet"), ["document_hash", "embed_hash"]):
        if refusal := refused.get(row["embed_hash"]):
            known = reasons.get(row["document_hash"])
            # One text that may be taken another time, and the document is worth another try.
            reasons[row["document_hash"]] = refusal if known is None or known.lasting else known
    with ParquetWriter(file, REFUSED) as writer:
        for document_hash, refusal in reasons.items():
            writer.write({"document_hash": document_hash, "reason": refusal.reason, "lasting": refusal.lasting})
    documents = read_rows(workspace.file(folder, "documents.parquet"), ["document_hash", "category"])
    lost = Counter(row["category"] for row in documents if row["document_hash"] in reasons)
    return replace(
        chunked,
        added=chunked.added - lost["added"],
        changed=chunked.changed - lost["changed"],
        restored=chunked.restored - lost["restored"],
        failures=chunked.failures + lost.total(),
    )
