"""The contract: connectors that keep it pass, and each way to break it is found."""

import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import DocumentError, TransientError
from rag_pipeline.model import DocumentRef, Failure, ListingEnd
from rag_pipeline.sources.contract import ContractViolation, assert_source_contract
from rag_pipeline.sources.files import FilesSource
from rag_pipeline.sources.git import GitSource
from rag_pipeline_tests.unit.sources.listings import files, git, write

PAGE = Path(__file__).resolve().parents[3] / "docs" / "connectors.md"


def test_a_folder_keeps_it(tmp_path: Path) -> None:
    write(tmp_path / "place", {"a.md": b"one", "b/c.md": b"two"})

    @contextmanager
    def outage() -> Iterator[None]:
        (tmp_path / "place").rename(tmp_path / "elsewhere")
        yield
        (tmp_path / "elsewhere").rename(tmp_path / "place")

    assert_source_contract(
        lambda: FilesSource(files(tmp_path / "place"), tmp_path),
        remove=lambda name: (tmp_path / "place" / name).unlink(),
        outage=outage,
    )


def test_a_repository_keeps_it(tmp_path: Path) -> None:
    place = tmp_path / "place"

    def commit() -> None:
        subprocess.run(["git", "-C", place, "add", "-A"], check=True)
        name = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", "-C", place, *name, "commit", "-qm", "x"], check=True)

    write(place, {"a.md": b"one", "b/c.md": b"two"})
    subprocess.run(["git", "init", "-q", place], check=True)
    commit()

    def remove(name: str) -> None:
        (place / name).unlink()
        commit()

    cache = tmp_path / "cache"
    assert_source_contract(lambda: GitSource(git(place), tmp_path, cache), remove=remove)


class Shelf:
    """A connector to a dict that keeps the contract; the classes below break one rule each."""

    def __init__(self, place: dict[str, bytes]) -> None:
        self.place = place

    def check(self) -> None:
        pass

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        if self.place.get("broken"):
            raise TransientError("the shelf is broken")
        for name, data in self.place.items():
            yield DocumentRef(name, f"shelf:{name}", version=data.hex())
        yield ListingEnd(complete=True)

    def fetch(self, ref: DocumentRef) -> bytes:
        try:
            return self.place[ref.document_id]
        except KeyError as error:
            raise DocumentError("is gone") from error

    def close(self) -> None:
        pass


class Unended(Shelf):
    def list(self) -> Iterator[Any]:
        yield from (item for item in super().list() if not isinstance(item, ListingEnd))


class GoesOn(Shelf):
    def list(self) -> Iterator[Any]:
        yield from super().list()
        yield DocumentRef("late", "shelf:late")


class Twice(Shelf):
    def list(self) -> Iterator[Any]:
        yield DocumentRef("a", "shelf:a")
        yield from super().list()


class Restless(Shelf):
    calls = 0

    def list(self) -> Iterator[Any]:
        type(self).calls += 1
        for item in super().list():
            yield replace(item, version=str(self.calls)) if isinstance(item, DocumentRef) else item


class Swallows(Shelf):
    def list(self) -> Iterator[Any]:
        try:
            yield from super().list()
        except TransientError:
            yield ListingEnd(complete=True)


class Unreadable(Shelf):
    def fetch(self, ref: DocumentRef) -> bytes:
        raise DocumentError("never")


class Text(Shelf):
    def fetch(self, ref: DocumentRef) -> Any:
        return super().fetch(ref).decode()


class Haunted(Shelf):
    def fetch(self, ref: DocumentRef) -> bytes:
        return self.place.get(ref.document_id, b"")


class Clinging(Shelf):
    seen: dict[str, bytes] = {}  # noqa: RUF012 - shared on purpose: it is the defect

    def list(self) -> Iterator[Any]:
        self.seen.update({name: data for name, data in self.place.items() if name != "broken"})
        for name, data in self.seen.items():
            yield DocumentRef(name, f"shelf:{name}", version=data.hex())
        yield ListingEnd(complete=True)


class Nameless(Shelf):
    def list(self) -> Iterator[Any]:
        yield DocumentRef("a\0b", "shelf:")
        yield ListingEnd(complete=True)


class Unplaced(Shelf):
    def list(self) -> Iterator[Any]:
        for item in super().list():
            yield replace(item, uri="") if isinstance(item, DocumentRef) else item


class NotJson(Shelf):
    def list(self) -> Iterator[Any]:
        for item in super().list():
            yield replace(item, metadata={"x": object()}) if isinstance(item, DocumentRef) else item


def hold(connector: type[Shelf]) -> None:
    place = {"a": b"one", "b": b"two"}

    @contextmanager
    def outage() -> Iterator[None]:
        place["broken"] = b"yes"
        yield
        del place["broken"]

    assert_source_contract(lambda: connector(place), remove=place.pop, outage=outage)


def test_a_connector_that_keeps_it_passes() -> None:
    hold(Shelf)


@pytest.mark.parametrize(
    ("connector", "rule"),
    [
        (Unended, "without a ListingEnd"),
        (GoesOn, "after the ListingEnd"),
        (Twice, "listed twice"),
        (Restless, "two listings"),
        (Swallows, "during an outage"),
        (Unreadable, "cannot be fetched"),
        (Text, "not as bytes"),
        (Haunted, "with another content"),
        (Clinging, "still listed"),
        (Nameless, "no id"),
        (Unplaced, "no uri"),
        (NotJson, "no JSON"),
    ],
)
def test_each_broken_rule_is_found(connector: type[Shelf], rule: str) -> None:
    with pytest.raises(ContractViolation, match=rule):
        hold(connector)


def test_the_connector_of_the_documentation_works_as_a_package(tmp_path: Path) -> None:
    """The page's code, installed as another package would be, serves a rag.toml and keeps the contract."""
    connector, declaration, contract = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[
        :3
    ]
    assert len(connector.strip().splitlines()) <= 40
    module = re.search(r'"(\w+):', declaration)
    assert module is not None
    (tmp_path / f"{module[1]}.py").write_text(connector)
    about = tmp_path / "acme_rag-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rag\nVersion: 1.0\n")
    lines = [line for line in declaration.splitlines() if line and not line.startswith("#")]
    points = [re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", line).replace('"', "") for line in lines]
    (about / "entry_points.txt").write_text("\n".join(points) + "\n")
    (tmp_path / "rag.toml").write_text(
        '[[sources]]\nname = "notes"\ntype = "wiki_dump"\npath = "dump.json"\naccess = ["public"]\n'
    )
    script = textwrap.dedent("""
        from pathlib import Path
        from rag_pipeline.settings import Settings
        from rag_pipeline.sources import open_source

        settings = Settings.load(Path.cwd(), {})
        source = open_source(settings.source("notes"), settings.folder, settings.folder / "cache")
        print(type(source).__name__, [type(item).__name__ for item in source.list()])
    """)
    (tmp_path / "test_wiki.py").write_text(contract)
    (tmp_path / "dump.json").write_text('{"Home": "# Home\\n\\nHello.", "Help": "Ask."}')
    listed = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert listed.stdout.strip() == "WikiDump ['DocumentRef', 'DocumentRef', 'ListingEnd']", listed.stderr
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_wiki.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr
