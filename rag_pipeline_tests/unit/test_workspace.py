import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from rag_pipeline.errors import DocumentError
from rag_pipeline.parquet import ParquetWriter, batches, count_rows, read_rows, read_tuples
from rag_pipeline.settings import Settings
from rag_pipeline.workspace import Workspace

SCHEMA = pa.schema([("name", pa.string()), ("digest", pa.binary()), ("tags", pa.list_(pa.string()))])


@pytest.fixture(params=["local", "memory"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    root = ".rag" if request.param == "local" else f"memory://{tmp_path.name}"
    return Workspace(Settings.model_validate({"folder": tmp_path, "workspace": {"root": root}}))


def test_a_blob_is_kept_once_and_comes_back_whole(workspace: Workspace) -> None:
    digest = workspace.put_blob(b"what the document says")
    assert digest == hashlib.sha256(b"what the document says").digest()
    assert workspace.put_blob(b"what the document says") == digest
    assert workspace.get_blob(digest) == b"what the document says"
    now = datetime.now(UTC)
    assert list(workspace.blobs(before=now + timedelta(minutes=1))) == [digest]
    assert list(workspace.blobs(before=now - timedelta(minutes=1))) == []
    assert workspace.remove_blobs([digest]) == 1
    with pytest.raises(DocumentError, match="are gone"):
        workspace.get_blob(digest)


@pytest.mark.parametrize("damage", [b"what the doc", b"WHAT the document says"])
def test_a_torn_blob_is_noticed_and_mended(workspace: Workspace, damage: bytes) -> None:
    digest = workspace.put_blob(b"what the document says")
    blob = workspace.root / "blobs" / digest.hex()[:2] / digest.hex()[2:]
    blob.write_bytes(damage)
    with pytest.raises(DocumentError, match="are damaged"):
        workspace.get_blob(digest)
    workspace.put_blob(b"what the document says")
    assert workspace.get_blob(digest) == b"what the document says"


def test_refreshes_have_folders_of_their_own_in_the_order_of_time(workspace: Workspace) -> None:
    first, second = workspace.new_folder("wiki"), workspace.new_folder("wiki")
    workspace.new_folder("other")
    workspace.file(first, "a.parquet").write_bytes(b"x")
    assert workspace.folders("wiki") == [first, second]
    workspace.remove_folder(first)
    workspace.remove_folder(first)
    assert workspace.folders("wiki") == [second]


def test_rows_come_back_in_order_as_rows_and_as_tuples(workspace: Workspace) -> None:
    rows = [
        {"name": f"n{number}", "digest": bytes([number % 256]), "tags": ["a", str(number)] if number % 3 else None}
        for number in range(4567)
    ]
    file = workspace.file(workspace.new_folder("wiki"), "rows.parquet")
    with ParquetWriter(file, SCHEMA) as writer:
        for row in rows:
            writer.write(row)
    assert list(read_rows(file)) == rows
    assert list(read_tuples(file, ["tags", "name"])) == [(row["tags"], row["name"]) for row in rows]
    assert count_rows(file) == len(rows)


def test_a_file_that_was_not_finished_is_not_there(workspace: Workspace) -> None:
    folder = workspace.new_folder("wiki")
    file = workspace.file(folder, "rows.parquet")

    def interrupted() -> None:
        with ParquetWriter(file, SCHEMA) as writer:
            writer.write({"name": "a", "digest": b"", "tags": []})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert not file.exists()
    assert not list((workspace.root / folder).iterdir())


def test_batches_hold_no_more_than_asked() -> None:
    assert list(batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batches([], 3)) == []
