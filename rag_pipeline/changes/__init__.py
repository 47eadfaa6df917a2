"""What differs: which documents are new, changed, moved, gone, or readable by others than before.

`content_hashes` reads only what may have changed; `changed_documents` is one set difference in
Postgres against what is published, and the guards that keep an outage from looking like a deletion.
"""
