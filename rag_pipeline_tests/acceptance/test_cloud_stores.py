"""``gs://`` and ``az://`` through their own drivers, against emulators of the two services where these are installed.

pip install 'rag-pipeline[gcs,azure]' gcp-storage-emulator
npm install --global azurite
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.model import PUBLIC, Access, ListingEnd
from rag_pipeline.settings import ObjectStoreSettings
from rag_pipeline.sources.contract import assert_source_contract
from rag_pipeline.sources.object_store import ObjectStoreSource
from rag_pipeline_tests.unit.sources.listings import listing

OBJECTS = {
    "p/a.md": b"one",
    "p/b/c.md": b"two",
    "p/b/d e.md": b"",
    "p/d/é #1.md": b"four",
    "p/hr/.access.toml": b'access = ["group:hr"]',
    "p/hr/x.md": b"x",
    "p2/y.md": b"another prefix",
}
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, the same everywhere and no secret."""


@dataclass
class Store:
    """A bucket ``docs`` that holds `OBJECTS`, and how to reach it."""

    scheme: str
    options: dict[str, Any]
    remove: Callable[[str], object]

    def source(self, place: str = "docs/p") -> ObjectStoreSource:
        url = f"{self.scheme}://{place}"
        values = {"name": "x", "type": "object_store", "url": url, "access": [PUBLIC], "options": self.options}
        return ObjectStoreSource(ObjectStoreSettings.model_validate(values))


@contextmanager
def served(command: list[str], port: int) -> Iterator[None]:
    """Run a server until the end, from when it accepts connections."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    emulator = shutil.which("gcp-storage-emulator", path=str(Path(sys.executable).parent))
    if emulator is None or find_spec("gcsfs") is None:
        pytest.skip("gcsfs or gcp-storage-emulator is not installed")
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it asks by gRPC, which the emulator lacks
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start = [emulator, "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory", "--default-bucket", "docs"]
    with served(start, port):
        anonymous = import_module("google.auth.credentials").AnonymousCredentials()
        storage = import_module("google.cloud.storage")
        client = storage.Client(project="x", credentials=anonymous, client_options={"api_endpoint": url})
        bucket = client.bucket("docs")
        for key, data in OBJECTS.items():
            bucket.blob(key).upload_from_string(data)
        yield Store("gs", {"endpoint_url": url, "token": "anon"}, lambda key: bucket.blob(key).delete())


@contextmanager
def azure(_: pytest.MonkeyPatch) -> Iterator[Store]:
    emulator = shutil.which("azurite-blob")
    if emulator is None or find_spec("adlfs") is None:
        pytest.skip("adlfs or azurite is not installed")
    port = free_port()
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{AZURE_ACCOUNT};"
    )
    flags = ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    with served([emulator, "--blobPort", str(port), *flags], port):
        service = import_module("azure.storage.blob").BlobServiceClient.from_connection_string(connection)
        container = service.create_container("docs")
        for key, data in OBJECTS.items():
            container.upload_blob(key, data)
        yield Store("az", {"connection_string": connection}, container.delete_blob)
        service.close()


@pytest.fixture(params=[google, azure], ids=["gs", "az"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with request.param(monkeypatch) as made:
        yield made


@pytest.mark.timeout(120)
def test_a_cloud_store_is_listed_fetched_and_bounded_as_any_other(store: Store) -> None:
    source = store.source()
    source.check()
    found = listing(source)
    assert found.end == ListingEnd(complete=True)
    assert not found.failures
    read = {f"p/{name}": source.fetch(ref) for name, ref in found.documents.items()}
    assert read == {key: data for key, data in OBJECTS.items() if key.startswith("p/") and key.endswith(".md")}
    assert {name: ref.access for name, ref in found.documents.items() if ref.access != Access((PUBLIC,))} == {
        "hr/x.md": Access(("group:hr",))
    }
    assert all(ref.version and ref.modified_at for ref in found.documents.values())
    assert listing(store.source("docs/nothing")).end == ListingEnd(complete=True)
    missing = store.source("nowhere/p")
    assert not listing(missing).end.complete
    with pytest.raises(ConfigurationError, match=f"{store.scheme}://nowhere does not exist"):
        missing.check()
    source.close()
    missing.close()
    assert_source_contract(store.source, remove=lambda name: store.remove(f"p/{name}"))
