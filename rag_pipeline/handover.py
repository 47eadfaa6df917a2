"""What one stage hands to the next: a few numbers, and the folder in which its Parquet files lie.

Each value holds the one before, so the last says how everything came about. All are small and
serialise to JSON; the rows are in the files, whose columns are fixed here.
"""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

_LISTED = [
    pa.field("document_id", pa.string()),
    pa.field("uri", pa.string()),
    pa.field("version", pa.string()),
    pa.field("modified_at", pa.timestamp("us", "UTC")),
    pa.field("size", pa.int64()),
    pa.field("media_type", pa.string()),
    pa.field("allow", pa.list_(pa.string())),
    pa.field("deny", pa.list_(pa.string())),
    pa.field("metadata", pa.string()),
    pa.field("failure", pa.string()),
    pa.field("document_hash", pa.binary()),
]
_HASHED = [pa.field("content_hash", pa.binary()), pa.field("declared_access", pa.list_(pa.string()))]

LISTING = pa.schema(_LISTED)
"""One row a listed document, as the source tells it; metadata is JSON."""

MANIFEST = pa.schema([*_LISTED, *_HASHED])
"""The listing with what reading added: content hash, and the access in force."""

CHANGES = pa.schema(
    [
        *MANIFEST,
        pa.field("doc_key", pa.int64()),
        pa.field("category", pa.string()),
        pa.field("previous_id", pa.string()),
    ]
)
"""One row a document that is not unchanged."""

DOCUMENTS = pa.schema(
    [
        *CHANGES,
        pa.field("digest", pa.binary()),
        pa.field("title", pa.string()),
        pa.field("front_matter", pa.string()),
        pa.field("section_ids", pa.list_(pa.binary())),
        pa.field("section_starts", pa.list_(pa.int32())),
        pa.field("places", pa.string()),
    ]
)
"""The changes with what parsing added; digest stands for the access list. What failed to parse is quarantined.

places is a JSON object: the place of each chunk that has one, by its local id in hexadecimal digits.
"""

SECTIONS = pa.schema(
    [
        pa.field("document_hash", pa.binary()),
        pa.field("section_id", pa.binary()),
        pa.field("heading_path", pa.list_(pa.string())),
        pa.field("occurrence", pa.int32()),
        pa.field("text", pa.string()),
    ]
)

CHUNKS = pa.schema(
    [
        pa.field("document_hash", pa.binary()),
        pa.field("section_id", pa.binary()),
        pa.field("local_id", pa.binary()),
        pa.field("text", pa.string()),
        pa.field("start_offset", pa.int32()),
        pa.field("end_offset", pa.int32()),
        pa.field("tokens", pa.int32()),
        pa.field("forced", pa.bool_()),
        pa.field("embed_hash", pa.binary()),
        pa.field("shingles", pa.binary()),
        pa.field("embed_text", pa.string()),
    ]
)

REFUSED = pa.schema(
    [pa.field("document_hash", pa.binary()), pa.field("reason", pa.string()), pa.field("lasting", pa.bool_())]
)
"""One row a document with a text that the model refused; without such there is no file."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A listing of a source: ``listing.parquet``. A pinned one was taken earlier and brings its hashes along."""

    source: str
    snapshot_id: int
    folder: str
    started_at: datetime
    complete: bool
    reason: str | None
    listed: int
    failures: int
    pinned: bool


@dataclass(frozen=True, slots=True)
class Hashes:
    """Every listed document with its content hash: ``manifest.parquet``."""

    snapshot: Snapshot
    read: int
    reused: int
    bytes_read: int
    unreadable: int
    readable_by_nobody: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the published state of `revision`: ``changes.parquet``.

    `restamped` are those of the unchanged whose version token is new; only the token is published.
    """

    hashes: Hashes
    generation: int
    revision: int
    published: int
    added: int
    changed: int
    moved: int
    access_changed: int
    metadata_changed: int
    removed: int
    restored: int
    unchanged: int
    restamped: int
    quarantined: int
    withheld_deletions: int
    withheld_widenings: int
    approvals: tuple[int, ...]
    released: tuple[str, ...]

    @property
    def withheld(self) -> int:
        """Changes that wait for a person's approval."""
        return self.withheld_deletions + self.withheld_widenings

    @property
    def touched(self) -> int:
        """Documents that this refresh publishes something about."""
        return self.listed_changes + self.removed

    @property
    def listed_changes(self) -> int:
        """Documents that the source holds and that differ from what is published."""
        return self.added + self.changed + self.moved + self.access_changed + self.metadata_changed + self.restored


@dataclass(frozen=True, slots=True)
class Chunked:
    """The changed documents, cut: ``documents.parquet, sections.parquet, chunks.parquet``."""

    changes: Changes
    added: int
    changed: int
    restored: int
    failures: int
    sections: int
    chunks: int
    forced: int
    largest: int

    @property
    def quarantined(self) -> int:
        """Documents that cannot be read: known before, or found now."""
        return self.changes.quarantined + self.failures


@dataclass(frozen=True, slots=True)
class Embedded:
    """Every chunk's text now has a vector in the store, or its document is in ``refused.parquet``.

    `chunked` counts those documents among its failures.
    Of the distinct `texts_wanted` the store had `texts_found`, which saved `tokens_saved`; `cost_usd` is None when
    nobody knows the model's price.
    """

    chunked: Chunked
    model: str
    texts: int
    embedded: int
    tokens: int
    cost_usd: float | None
    seconds: float
    texts_wanted: int = 0
    texts_found: int = 0
    tokens_saved: int = 0

    @property
    def hit_rate(self) -> float:
        """The share of the wanted texts that the store had; 1 when none was wanted."""
        return self.texts_found / self.texts_wanted if self.texts_wanted else 1.0


@dataclass(frozen=True, slots=True)
class Published:
    """What one transaction did to the index, or would have done (`dry_run`); `cost_usd` None is unknown."""

    source: str
    snapshot_id: int
    complete: bool
    reason: str | None
    listed: int
    added: int
    changed: int
    moved: int
    access_changed: int
    metadata_changed: int
    removed: int
    restored: int
    unchanged: int
    withheld: int
    withheld_deletions: int
    withheld_widenings: int
    quarantined: int
    documents_written: int
    documents_deleted: int
    chunks_written: int
    chunks_deleted: int
    texts_wanted: int
    texts_found: int
    texts_embedded: int
    tokens: int
    cost_usd: float | None
    seconds: float
    revision: int
    generation: int
    dry_run: bool = False
