"""What a parser can do to its process, and that it ends there: each misdeed is one that a real plug-in commits."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from rag_pipeline.documents import parse
from rag_pipeline.documents.isolation import Job, Parsers
from rag_pipeline.documents.wire import BrokenMessage, decode, encode
from rag_pipeline.errors import DocumentError, PermanentError
from rag_pipeline.model import Block, BlockKind, Document, Place
from rag_pipeline.plugins import plugins
from rag_pipeline.settings import Parsing
from rag_pipeline_tests.unit.documents.generated import DOCUMENTS
from rag_pipeline_tests.unit.documents.impatience import impatient
from rag_pipeline_tests.unit.documents.laws import assert_lawful

MISDEEDS = """
import ctypes, os, socket, subprocess, sys, time, urllib.request
from rag_pipeline.model import Block, BlockKind, Document

def _said(text):
    return Document(text, (Block(BlockKind.PARAGRAPH, 0, len(text)),))

def well(data):
    print("this must not reach the parent", flush=True)
    print("nor this", file=sys.stderr, flush=True)
    os.write(1, b"nor that")
    return _said(data.decode())

def hang(data):
    time.sleep(600)

def spin(data):
    while True:
        pass

def die(data):
    os.abort()

def read_nothing(data):
    ctypes.string_at(0)

def leave(data):
    os._exit(3)

def resign(data):
    sys.exit("enough")

def grow(data):
    held = []
    while True:
        held.append(bytearray(10_000_000))

def fail(data):
    raise KeyError("a\\nb\\x00" + "x" * 5000)

def babble(data):
    for number in range(3, 20):
        try:
            os.write(number, b"\\xff" * 1000)
        except OSError:
            pass
    return _said("x")

def boast(data):
    return _said("word " * 20_000_000 + "end")

def lawless(data):
    return Document("text", (Block(BlockKind.PARAGRAPH, 0, 400),))

def vast(data):
    return _said("é" * 5_000_000)

def odd(data):
    return Document("x", (Block(BlockKind.PARAGRAPH, 0, 1),), metadata={"a": {1, 2}})

def process(data):
    return _said(str(os.getpid()))

def environment(data):
    return _said(" ".join(sorted(os.environ)) + " " + os.getcwd())

def keep(data, held=[]):
    held.append(bytearray(os.urandom(1000)) * 90_000)
    return process(data)

def open_file(data):
    return _said(open(data.decode()).read())

def write_file(data):
    open(data.decode(), "w").write("x")

def remove_file(data):
    os.remove(data.decode())

def connect(data):
    host, port = data.decode().split()
    socket.create_connection((host, int(port)))

def fetch(data):
    urllib.request.urlopen(data.decode())

def run(data):
    subprocess.run(["true"])

def system(data):
    os.system("true")

def fork(data):
    os.fork()
"""
NAMES = [line[4:].partition("(")[0] for line in MISDEEDS.splitlines() if line.startswith("def ")]


@pytest.fixture(scope="module", autouse=True)
def misdeeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install a package whose parsers do everything that parsers must not."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "misdeeds.py").write_text(MISDEEDS)
    (folder / "misdeeds-1.0.dist-info").mkdir()
    (folder / "misdeeds-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: misdeeds\nVersion: 1.0\n")
    entries = "".join(f"test/{name} = misdeeds:{name}\n" for name in NAMES) + "test/absent = misdeeds:absent\n"
    (folder / "misdeeds-1.0.dist-info" / "entry_points.txt").write_text(f"[rag_pipeline.parsers]\n{entries}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        plugins.cache_clear()
        yield folder
    plugins.cache_clear()


@pytest.fixture(scope="module")
def parsers() -> Iterator[Parsers]:
    before = set(psutil.Process().children(recursive=True))
    with Parsers(Parsing(seconds=600, memory_mb=300, processes=2)) as made:
        yield made
    assert set(psutil.Process().children(recursive=True)) == before  # zombies would be among them


def outcome(parsers: Parsers, kind: str, data: bytes = b"x", name: str = "doc") -> Document | DocumentError:
    ((job, found),) = parsers.parse_each([Job(7, data, kind, name)])
    assert job.payload == 7
    return found


def workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


def test_documents_come_back_in_order_whoever_parsed_them(parsers: Parsers) -> None:
    kinds = ["text/markdown", "text/html", "text/plain", "test/well", "text/x-source"]
    jobs = [Job(number, f"word{number}".encode(), kinds[number % 5], f"d{number}") for number in range(60)]
    found = list(parsers.parse_each(jobs))
    assert [job for job, _ in found] == jobs
    assert all(isinstance(document, Document) and document.text == f"word{job.payload}" for job, document in found)


@examples(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_a_document_is_the_same_from_here_and_from_afar(parsers: Parsers, case: tuple[str, str]) -> None:
    text, kind = case
    data = text.encode("utf-8", "replace")
    try:
        expected: object = parse(data, kind, "doc")
    except DocumentError as error:
        expected = str(error)
    found = outcome(parsers, kind, data)
    assert (str(found) if isinstance(found, DocumentError) else found) == expected


@pytest.mark.parametrize(
    ("misdeed", "reason"),
    [
        ("hang", r"took longer than 1\.5 s; exclude it or raise \[parsing\] seconds"),
        ("spin", r"took longer than 1\.5 s"),
        ("die", r"crashed \(Abort.*\).*raise \[parsing\] memory_mb"),
        ("read_nothing", r"crashed \((Segmentation|Bus).*\)"),
        ("leave", r"ended without an answer \(exit code 3\)"),
        ("resign", r"ended without an answer"),
        ("grow", r"needs more than 300 MB to parse; exclude it or raise \[parsing\] memory_mb"),
        ("fail", r"failed \(KeyError: "),
        ("babble", r"says more than|no answer that makes sense|no lawful"),
        ("boast", r"says more than 37 MB; exclude it or raise \[parsing\] memory_mb"),
        ("lawless", r"no lawful document \(its blocks overlap or leave the text\)"),
        ("odd", r"failed \(TypeError"),
        ("absent", r"cannot be loaded"),
        ("nobody", r"no parser for test/nobody"),
    ],
)
def test_a_misdeed_costs_its_own_document_and_names_the_remedy(
    parsers: Parsers, monkeypatch: pytest.MonkeyPatch, misdeed: str, reason: str
) -> None:
    impatient(monkeypatch, lambda kind, data: kind in ("test/hang", "test/spin"), 1.5)
    jobs = [Job(number, b"good", "test/well", "good") for number in range(8)]
    jobs.insert(3, Job("bad", b"x", f"test/{misdeed}", "bad"))
    found = list(parsers.parse_each(jobs))
    assert [job for job, _ in found] == jobs
    for job, document in found:
        if job.payload == "bad":
            assert isinstance(document, DocumentError)
            assert re.match(f"bad: .*{reason}", str(document)), document
            assert "\n" not in str(document)
            assert len(str(document)) < 600
        else:
            assert isinstance(document, Document)
            assert document.text == "good"


def test_a_large_answer_arrives_whole(parsers: Parsers) -> None:
    document = outcome(parsers, "test/vast")
    assert isinstance(document, Document)
    assert document.text == "é" * 5_000_000


def test_a_large_document_of_a_plain_kind_is_parsed_elsewhere() -> None:
    before = workers()
    with Parsers(Parsing(processes=1)) as single:
        found = outcome(single, "text/plain", b"word " * 100_000 + b"end")
        assert isinstance(found, Document)
        assert len(found.text) == 500_003
        assert len(workers()) == len(before) + 1


@pytest.mark.parametrize("misdeed", ["open_file", "write_file", "remove_file"])
def test_no_file_is_touched(parsers: Parsers, tmp_path: Path, misdeed: str) -> None:
    canary = tmp_path / "canary"
    canary.write_text("sing")
    found = outcome(parsers, f"test/{misdeed}", str(canary).encode())
    assert isinstance(found, DocumentError)
    assert "tried what is refused" in str(found)
    assert canary.read_text() == "sing"


@pytest.mark.parametrize("misdeed", ["run", "system", "fork"])
def test_no_process_is_started(parsers: Parsers, misdeed: str) -> None:
    assert "tried what is refused" in str(outcome(parsers, f"test/{misdeed}"))


def test_no_connection_is_made(parsers: Parsers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        assert "refused" in str(outcome(parsers, "test/connect", f"{host} {port}".encode()))
        assert "refused" in str(outcome(parsers, "test/fetch", f"http://{host}:{port}/".encode()))
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


def test_nothing_of_the_environment_reaches_a_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("RAG_DATABASE__URL", "secret")
    with Parsers(Parsing(processes=1)) as parsers:
        found = outcome(parsers, "test/environment")
    assert isinstance(found, Document)
    *names, folder = found.text.split()
    assert set(names) <= {
        "PYTHONPATH",
        "PYTHONHASHSEED",
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "PYTHONHOME",
        "LC_CTYPE",
    }
    assert folder == "/"


def test_a_process_serves_many_documents_but_not_for_ever(parsers: Parsers) -> None:
    with Parsers(Parsing(processes=1)) as single:
        found = [str(document) for _, document in single.parse_each(Job(n, b"x", "test/process") for n in range(401))]
    counts = [found.count(process) for process in dict.fromkeys(found)]
    assert counts == [200, 200, 1]


def test_a_process_that_grew_is_replaced() -> None:
    with Parsers(Parsing(processes=1, memory_mb=300)) as single:
        found = [str(document) for _, document in single.parse_each(Job(n, b"x", "test/keep") for n in range(4))]
    assert [found.count(process) for process in dict.fromkeys(found)] == [2, 2]


def test_no_process_is_started_for_plain_documents() -> None:
    before = workers()
    with Parsers(Parsing()) as parsers:
        found = list(parsers.parse_each([Job(0, b"# a", "text/markdown"), Job(1, b"b", "text/plain")]))
        assert all(isinstance(document, Document) for _, document in found)
        assert workers() == before


def test_an_error_that_is_known_already_passes_through(parsers: Parsers) -> None:
    class Lost(DocumentError):
        pass

    lost = Lost("its bytes are gone")
    jobs = [Job(0, lost, "text/html", "a"), Job(1, b"<p>b", "text/html", "b")]
    (_, first), (_, second) = parsers.parse_each(jobs)
    assert first is lost
    assert isinstance(second, Document)


def test_only_a_few_documents_are_in_flight(parsers: Parsers) -> None:
    read = 0

    def jobs(size: int) -> Iterator[Job]:
        nonlocal read
        for read in range(1, 51):
            yield Job(read, bytes(size), "test/process")

    for number, _ in enumerate(parsers.parse_each(jobs(1)), start=1):
        assert read <= number + 6
    assert read == 50
    for number, _ in enumerate(parsers.parse_each(jobs(30_000_000)), start=1):
        assert read <= number + 2
        if number == 3:
            break


def test_an_error_of_the_caller_leaves_the_parsers_usable(parsers: Parsers) -> None:
    def jobs() -> Iterator[Job]:
        yield Job(0, b"x", "test/process")
        raise ValueError("the listing broke")

    with pytest.raises(ValueError, match="the listing broke"):
        list(parsers.parse_each(jobs()))
    assert isinstance(outcome(parsers, "test/well"), Document)


def test_threads_may_share_the_parsers(parsers: Parsers) -> None:
    found: list[list[str]] = []

    def work(name: str) -> None:
        jobs = [Job(number, f"{name}{number}".encode(), "test/well") for number in range(20)]
        found.append([document.text for _, document in parsers.parse_each(jobs) if isinstance(document, Document)])

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[f"{name}{number}" for number in range(20)] for name in "abc"]


def test_closing_is_prompt_whatever_hangs() -> None:
    before = set(psutil.Process().children(recursive=True))
    parsers = Parsers(Parsing(seconds=600, processes=2))
    begun = parsers.parse_each(Job(number, b"x", "test/well" if number == 0 else "test/hang") for number in range(9))
    next(begun)
    parsers.close()  # and not after the ten minutes for which a parser sleeps
    assert set(psutil.Process().children(recursive=True)) == before


@pytest.mark.parametrize("doing", ["well", "hang"])
def test_no_process_outlives_its_parent(misdeeds: Path, doing: str) -> None:
    """It ends when its parent has gone, or by its own alarm; the parent's limit is far away."""
    program = (
        "import threading, time, psutil\n"
        "from rag_pipeline.documents.isolation import Job, Parsers\n"
        "from rag_pipeline.settings import Parsing\n"
        "parsers = Parsers(Parsing(seconds=0.5, processes=1))\n"
        "list(parsers.parse_each([Job(0, b'x', 'test/well')]))\n"
        "[process] = parsers._idle\n"
        "process._seconds = 600\n"
        "[worker] = psutil.Process().children()\n"
        f"jobs = parsers.parse_each([Job(1, b'x', 'test/{doing}')])\n"
        "said = worker.pid, *worker.cmdline()\n"
        "threading.Thread(target=list, args=[jobs], daemon=True).start()\n"
        "time.sleep(0.3)\n"
        "print(*said, flush=True)\n"
        "time.sleep(600)\n"
    )
    path = os.pathsep.join([str(misdeeds), *sys.path])
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env={"PYTHONPATH": path}) as parent:
        assert parent.stdout
        pid, *command = parent.stdout.readline().decode().split()
        assert "rag_pipeline.documents.worker" in command
        parent.send_signal(signal.SIGKILL)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid)).wait(timeout=120)


def test_python_that_cannot_run_the_worker_is_no_fault_of_the_document(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "charset_normalizer.py").write_text("raise ImportError('half an installation')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Parsers(Parsing(processes=1)) as parsers, pytest.raises(PermanentError, match=r"cannot start .*half an inst"):
        outcome(parsers, "text/html")


PLACED = Document(
    "a b\n\n| c |\nd",
    (
        Block(BlockKind.HEADING, 0, 0, 2, "f"),
        Block(BlockKind.CODE, 0, 3, seams=((1,), (1, 2)), place=Place((1, 2), (3, 4), (0.5, 2), ("é", "B"), "f.g")),
        Block(BlockKind.TABLE, 5, 12, header_end=10, clings=True, place=Place()),
    ),
    "é",
    {"a": [1, None, {"b": "\u2028"}]},
)


def test_what_is_sent_is_what_arrives() -> None:
    assert decode(*encode(PLACED)) == PLACED


def message(document_title: object = "", metadata: object = None, **changes: object) -> bytes:
    """What a process might send for the text "text": one block, changed in one respect."""
    block: dict[str, object] = {"kind": 1, "start": 0, "end": 4, "level": 0, "title": "", "header_end": None}
    block |= {"seams": [], "clings": False, "place": None}
    assert changes.keys() <= block.keys()
    return json.dumps(
        {"title": document_title, "metadata": metadata or {}, "blocks": [list((block | changes).values())]}
    ).encode()


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (b"text", message(kind=17)),
        (b"text", message(kind=True)),
        (b"text", message(kind=-1)),
        (b"text", message(kind="code")),
        (b"text", message(start=2)),
        (b"text", message(start=-1)),
        (b"text", message(end=3)),
        (b"text", message(end=5)),
        (b"text", message(end=4.0)),
        (b"text", message(kind=0, level=7)),
        (b"text", message(kind=0, level=1, title="a\nb")),
        (b"text", message(title="\ud800")),
        (b"text", message(title=7)),
        (b"text", message(document_title="\ud800")),
        (b"text", message(document_title=7)),
        (b"text", message(header_end=2)),
        (b"text", message(header_end="")),
        (b"text", message(kind=4, header_end=5)),
        (b"text", message(seams=[[4]])),
        (b"text", message(seams=[[2, 1]])),
        (b"text", message(seams=[["1"]])),
        (b"text", message(seams=7)),
        (b"text", message(clings=1)),
        (b"text", message(place=7)),
        (b"text", message(place={"pages": [1]})),
        (b"text", message(place={"lines": [1, 2.5]})),
        (b"text", message(place={"seconds": [0, float("inf")]})),
        (b"text", message(place={"speakers": "all"})),
        (b"text", message(place={"symbol": "\x07"})),
        (b"text", message(metadata=[1])),
        (b"text", message()[:-1]),
        (b"text", b"[" * 100_000),
        (b"text", b"\xff"),
        (b"text", b"7"),
        (b"text", b'{"title":"","metadata":{},"blocks":[]}'),
        (b"text", b'{"title":"","metadata":{},"blocks":[[1,0,4,0]]}'),
        (b"text", b'{"title":"","metadata":{},"blocks":[[1,0,2,0,""],[1,1,4,0,""]]}'),
        (b"te t", b'{"title":"","metadata":{},"blocks":[[1,0,3,0,""],[1,3,4,0,""]]}'),
        (b"te\rt", message()),
        (b"te\xfft", message()),
        (b"    ", message()),
        (b"", message(start=0, end=0)),
    ],
)
def test_a_message_that_breaks_a_law_is_no_document(text: bytes, rest: bytes) -> None:
    assert decode(b"text", message())
    with pytest.raises(BrokenMessage):
        decode(text, rest)


@examples(max_examples=300, deadline=None)
@given(
    st.binary(max_size=20),
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
            lambda inner: (
                st.lists(inner, max_size=9)
                | st.dictionaries(st.sampled_from(["title", "metadata", "blocks", "pages"]), inner)
            ),
            max_leaves=25,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_message_is_a_document_or_broken(text: bytes, rest: bytes) -> None:
    with suppress(BrokenMessage):
        assert_lawful(decode(text, rest))
