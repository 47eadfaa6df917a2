"""The contract of `Source` as a test that anyone can run on a connector of their own (docs/connectors.md).

A connector that passes can be trusted with pruning: it says when its listing is complete, names documents the
same way each time, and never takes an outage for a deletion.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from rag_pipeline.errors import DocumentError, TransientError
from rag_pipeline.model import Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES, Source
from rag_pipeline.storable import storable

FETCHED = 25
"""Documents that are fetched in each step, at most."""


class ContractViolation(AssertionError):
    """A connector broke a rule; the message says which one, and on which document."""


def assert_source_contract(
    make: Callable[[], Source],
    *,
    remove: Callable[[str], object] | None = None,
    outage: Callable[[], AbstractContextManager[object]] | None = None,
) -> None:
    """Hold a connector to the protocol; `make` returns a new one on the same place, which has documents.

    `remove` takes a document's id and deletes that document at the place. `outage` opens a time in which a
    part of the place, or all of it, cannot be listed. Without them those rules are not tested.

    Raises `ContractViolation`.
    """
    with _opened(make) as source:
        source.check()
        documents = _complete_listing(source)
        _require(bool(documents), "the place has no documents to try the contract on")
        _fetch_all(source, documents)
        _require(_complete_listing(source) == documents, "two listings of an unchanged place differ")
    with _opened(make) as source:  # a listing and its fetches may happen in different processes
        _fetch_all(source, documents)
        _require(_complete_listing(source) == documents, "a new connector lists an unchanged place differently")
    if outage:
        _assert_an_outage_is_no_deletion(make, outage, documents)
    if remove:
        _assert_gone_means_gone(make, remove, documents)


def _assert_an_outage_is_no_deletion(
    make: Callable[[], Source], outage: Callable[[], AbstractContextManager[object]], documents: dict[str, DocumentRef]
) -> None:
    with outage(), _opened(make) as source:
        try:
            found, failures, end = _listing(source)
        except TransientError:
            pass
        else:
            lost = sorted(documents.keys() - found.keys() - failures.keys())
            _require(
                not (end.complete and lost),
                f"during an outage {len(lost)} documents are missing from a complete listing, such as {lost[:1]}",
            )
            _require(end.complete or bool(end.reason), "an incomplete listing gives no reason")
    with _opened(make) as source:
        _require(_complete_listing(source) == documents, "after an outage the listing is not what it was")


def _assert_gone_means_gone(
    make: Callable[[], Source], remove: Callable[[str], object], documents: dict[str, DocumentRef]
) -> None:
    gone = min(documents)
    with _opened(make) as source:
        before = source.fetch(documents[gone])
    remove(gone)
    with _opened(make) as source:
        rest = _complete_listing(source)
        _require(gone not in rest, f"{gone!r} is still listed after it was deleted")
        others = {name: ref for name, ref in documents.items() if name != gone}
        _require(rest == others, f"deleting {gone!r} changed what is listed of other documents")
        try:
            found = source.fetch(documents[gone])
        except (DocumentError, TransientError):
            return
        # a place that keeps old versions, as git does, may still give the one that was listed
        _require(found == before, f"{gone!r} was deleted, but is fetched with another content instead of DocumentError")


def _listing(source: Source) -> tuple[dict[str, DocumentRef], dict[str, Failure], ListingEnd]:
    documents: dict[str, DocumentRef] = {}
    failures: dict[str, Failure] = {}
    end: ListingEnd | None = None
    for item in source.list():
        _require(end is None, "something is listed after the ListingEnd")
        if isinstance(item, ListingEnd):
            end = item
            continue
        _require(isinstance(item, DocumentRef | Failure), f"the listing yields a {type(item).__name__}")
        name = item.document_id
        _require(bool(name) and storable(name) == name, f"{name!r} is no id that can be stored")
        _require(name not in documents and name not in failures, f"{name!r} is listed twice")
        if isinstance(item, Failure):
            _require(bool(item.reason), f"{name!r} fails without a reason")
            failures[name] = item
        else:
            _check_ref(item)
            documents[name] = item
    if end is None:
        raise ContractViolation("the listing ends without a ListingEnd, so that it never counts as complete")
    return documents, failures, end


def _complete_listing(source: Source) -> dict[str, DocumentRef]:
    documents, _, end = _listing(source)
    _require(end.complete, f"the listing of a healthy place is incomplete: {end.reason}")
    return documents


def _check_ref(ref: DocumentRef) -> None:
    name = ref.document_id
    _require(bool(ref.uri), f"{name!r} has no uri")
    _require(ref.version is None or bool(ref.version), f"{name!r} has an empty version; None means unknown")
    _require(ref.modified_at is None or ref.modified_at.tzinfo is not None, f"{name!r}: modified_at has no time zone")
    _require(ref.access is None or isinstance(ref.access, Access), f"{name!r}: access is no Access")
    try:
        json.dumps(dict(ref.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractViolation(f"{name!r}: metadata are no JSON values: {error}") from error


def _fetch_all(source: Source, documents: dict[str, DocumentRef]) -> None:
    for name in sorted(documents)[:FETCHED]:
        ref = documents[name]
        try:
            data = source.fetch(ref)
        except DocumentError as error:
            raise ContractViolation(f"{name!r} is listed but cannot be fetched: {error}") from error
        _require(isinstance(data, bytes), f"{name!r} is fetched as {type(data).__name__}, not as bytes")
        _require(len(data) <= MAX_DOCUMENT_BYTES, f"{name!r} has {len(data):,} bytes; list it as a Failure")
        _require(source.fetch(ref) == data, f"{name!r} is fetched differently the second time")


@contextmanager
def _opened(make: Callable[[], Source]) -> Iterator[Source]:
    with closing(make()) as source:
        yield source


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise ContractViolation(rule)
