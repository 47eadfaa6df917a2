"""The git source on real repositories, kind and hostile."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import Access, DocumentRef
from rag_pipeline.sources import open_source
from rag_pipeline.sources.git import GitSource
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline_tests.unit.sources.listings import Listing, files, folder_for_example, git, listing, trees, write
from rag_pipeline_tests.unit.sources.repository import LFS_POINTER, START, SUBMODULE, Repository, run, symlink


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin.git")


def listed(folder: Path, url: str | Path = "origin.git", **changes: Any) -> Listing:
    source = GitSource(git(url, **changes), folder, folder / "cache")
    try:
        return listing(source)
    finally:
        source.close()


def test_lists_and_fetches_a_commit(tmp_path: Path, origin: Repository) -> None:
    commit = origin.commit({"a.md": b"one", "d/b é.txt": b"", "d/drafts/c.md": b"x"})
    source = GitSource(git("origin.git", exclude=["**/drafts"]), tmp_path, tmp_path / "cache")
    found = listing(source)
    assert source.revision == commit
    assert list(found.documents) == ["a.md", "d/b é.txt"]
    assert [source.fetch(document) for document in found.documents.values()] == [b"one", b""]
    assert found.documents["a.md"] == DocumentRef(
        document_id="a.md",
        uri="origin.git@HEAD:a.md",
        version=origin.git("rev-parse", "main:a.md").decode().strip(),
        modified_at=datetime.fromtimestamp(START + 3600, UTC),
        size=3,
        media_type="text/markdown",
        access=Access(("public",)),
    )
    assert found.documents["d/b é.txt"].uri == "origin.git@HEAD:d/b%20%C3%A9.txt"
    source.close()


def checkout(repository: Repository, folder: Path) -> None:
    run("clone", "--quiet", str(repository.folder), str(folder))


def bundle(repository: Repository, file: Path) -> None:
    repository.git("bundle", "create", "--quiet", str(file), "main", "HEAD")


@pytest.mark.parametrize(("make", "prefixes"), [(checkout, ["", "{}/", "file://{}/"]), (bundle, ["", "{}/"])])
def test_a_checkout_and_a_bundle_are_origins_too(
    tmp_path: Path, origin: Repository, make: Callable[[Repository, Path], None], prefixes: list[str]
) -> None:
    origin.commit({"a.md": b"one"})
    expected = listed(tmp_path, ref="main").documents["a.md"].version
    make(origin, tmp_path / "other")
    for prefix in prefixes:
        for ref in ("main", "HEAD"):
            url = prefix.format(tmp_path) + "other"
            assert listed(tmp_path, url, ref=ref).documents["a.md"].version == expected


def test_a_shallow_checkout_is_an_origin_too(tmp_path: Path, origin: Repository) -> None:
    for number in range(3):
        origin.commit({"a.md": b"%d" % number})
    run("clone", "--quiet", "--depth=1", f"file://{origin.folder}", str(tmp_path / "shallow"))
    found = listed(tmp_path, "shallow")
    assert found.end.complete
    assert set(found.documents) == {"a.md"}
    run("-C", str(tmp_path / "shallow"), "fetch", "--quiet", "--unshallow")
    assert listed(tmp_path, "shallow").documents == found.documents


@pytest.mark.parametrize("kind", ["branch", "tag", "annotated", "commit", "short", "full"])
def test_a_ref_is_a_branch_a_tag_or_a_commit(tmp_path: Path, origin: Repository, kind: str) -> None:
    wanted = origin.commit({"a.md": b"wanted"}, branch="side/way")
    origin.git("tag", "v1", wanted)
    origin.git("-c", "user.name=T", "-c", "user.email=t@example.org", "tag", "-a", "-m", "x", "v2", wanted)
    origin.commit({"a.md": b"other"})
    names = {"branch": "side/way", "tag": "v1", "annotated": "v2", "short": wanted[:10], "full": "refs/heads/side/way"}
    found = listed(tmp_path, ref=names.get(kind, wanted))
    assert found.documents["a.md"].size == len("wanted")


def test_a_branch_comes_before_a_tag_of_its_name(tmp_path: Path, origin: Repository) -> None:
    origin.git("update-ref", "refs/tags/main", origin.commit({"a.md": b"old"}))
    origin.commit({"a.md": b"newer"})
    assert listed(tmp_path, ref="main").documents["a.md"].size == len("newer")


def test_follows_force_pushes_branch_switches_and_deleted_branches(tmp_path: Path, origin: Repository) -> None:
    first = origin.commit({"a.md": b"1", "b.md": b"1"})
    origin.commit({"a.md": b"22"})
    assert listed(tmp_path, ref="main").documents["a.md"].size == 2
    origin.git("update-ref", "refs/heads/main", first)
    assert listed(tmp_path, ref="main").documents["a.md"].size == 1
    origin.commit({"b.md": None, "c/d.md": b"333"})
    assert set(listed(tmp_path, ref="main").documents) == {"a.md", "c/d.md"}
    origin.commit({"a.md": b"55555"}, branch="other")
    assert listed(tmp_path, ref="other").documents["a.md"].size == 5
    origin.git("update-ref", "-d", "refs/heads/other")
    gone = listed(tmp_path, ref="other").end
    assert not gone.complete
    assert gone.reason
    assert "branches: main" in gone.reason
    origin.commit({"a.md": b"666666"}, branch="other/nested")
    assert listed(tmp_path, ref="other/nested").documents["a.md"].size == 6


def test_another_url_starts_another_mirror(tmp_path: Path, origin: Repository) -> None:
    origin.commit({"a.md": b"1"})
    Repository(tmp_path / "second.git").commit({"b.md": b"1"})
    assert set(listed(tmp_path).documents) == {"a.md"}
    assert set(listed(tmp_path, "second.git").documents) == {"b.md"}
    assert len(list((tmp_path / "cache").glob("*.git"))) == 1
    assert set(listed(tmp_path).documents) == {"a.md"}


def test_an_empty_repository_is_no_empty_listing(tmp_path: Path, origin: Repository) -> None:
    end = listed(tmp_path).end
    assert not end.complete
    assert end.reason
    assert "branches: none" in end.reason
    origin.commit({"a.md": b"1"})
    assert listed(tmp_path).end.complete
    origin.commit({"a.md": None})
    assert listed(tmp_path).end.complete


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nowhere", "does not appear to be a git repository"),
        ("ext::sh -c touch% canary", "transport 'ext' not allowed"),
        ("http://127.0.0.1:1/x", "transport 'http' not allowed"),
        ("fd::17", "transport 'fd' not allowed"),
        ("ssh://-oProxyCommand=touch canary/x", "strange hostname"),
    ],
)
def test_a_wrong_url_is_explained_in_gits_words(tmp_path: Path, url: str, words: str) -> None:
    source = GitSource(git(url), tmp_path, tmp_path / "cache")
    with pytest.raises(ConfigurationError, match=rf"rag\.toml: sources\[x\]\.url: .*{words}"):
        source.check()
    with pytest.raises(ConfigurationError):
        next(source.list())
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("value", ["-x", "--upload-pack=touch canary", "", "a\nb", "-"])
@pytest.mark.parametrize("key", ["url", "ref"])
def test_an_option_is_neither_a_url_nor_a_ref(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"sources\[x\]\.{key}"):
        open_source(git("origin.git").model_copy(update={key: value}), tmp_path, tmp_path / "cache")


def test_check_names_a_wrong_ref_and_the_right_ones(tmp_path: Path, origin: Repository) -> None:
    origin.commit({"a.md": b"1"})
    GitSource(git("origin.git"), tmp_path, tmp_path / "cache").check()
    with pytest.raises(ConfigurationError, match=r"sources\[x\]\.ref: 'trunk' names no commit; branches: main"):
        GitSource(git("origin.git", ref="trunk"), tmp_path, tmp_path / "cache").check()


@pytest.mark.parametrize("url", ["git://127.0.0.1:1/x", "https://user:hunter2@127.0.0.1:1/x"])
def test_an_outage_is_transient_and_nothing_stale_is_listed(tmp_path: Path, url: str) -> None:
    source = GitSource(git(url), tmp_path, tmp_path / "cache")
    with pytest.raises(TransientError) as error:
        source.check()
    assert "hunter2" not in str(error.value)
    with pytest.raises(TransientError):
        next(source.list())


def test_an_origin_that_goes_away_is_not_replaced_by_its_mirror(tmp_path: Path, origin: Repository) -> None:
    origin.commit({"a.md": b"1"})
    assert listed(tmp_path).end.complete
    origin.folder.rename(tmp_path / "away.git")
    with pytest.raises(ConfigurationError, match="does not appear to be a git repository"):
        listed(tmp_path)
    (tmp_path / "away.git").rename(origin.folder)
    assert listed(tmp_path).end.complete


def test_a_uri_holds_no_password(tmp_path: Path, origin: Repository) -> None:
    source = GitSource(git("https://user:hunter2@example.org/x.git"), tmp_path, tmp_path / "cache")
    assert "https://example.org/x.git@HEAD:" in repr(vars(source))
    assert "hunter2@" not in repr({name: value for name, value in vars(source).items() if isinstance(value, str)})


def test_what_is_not_content_is_seen_and_not_read(tmp_path: Path, origin: Repository) -> None:
    odd = {"new\nline.md": b"1", "q\"uo'te.md": b"2", "🦄/💥.md": b"3", "a" * 300 + ".md": b"4", "tab\t.md": b"5"}
    origin.commit(
        {
            **odd,
            "link.md": symlink("/etc/passwd"),
            "sub/module": SUBMODULE,
            "big.bin.md": LFS_POINTER,
            "about-lfs.md": b"# " + LFS_POINTER,
            "caf\udce9.md": b"6",
            "big.md": b"x" * (MAX_DOCUMENT_BYTES + 1),
        }
    )
    source = GitSource(git("origin.git"), tmp_path, tmp_path / "cache")
    listing(source)
    found = listing(source)
    assert set(found.documents) == {*odd, "about-lfs.md"}
    assert found.end.complete
    assert set(found.failures) == {"sub/module", "big.bin.md", "./caf\\xe9.md", "big.md"}
    assert "submodule" in found.failures["sub/module"]
    assert "LFS" in found.failures["big.bin.md"]
    assert source.skipped == {"symbolic links": 1}
    assert [source.fetch(found.documents[path]) for path in odd] == list(odd.values())
    big = origin.git("rev-parse", "main:big.md").decode().strip()
    with pytest.raises(DocumentError, match="50,000,001 bytes"):
        source.fetch(DocumentRef("big.md", "", version=big))
    for version in (None, "", "HEAD", "0" * 40, "1" * 40 + "\n", source.revision):
        with pytest.raises(DocumentError, match="'x'"):
            source.fetch(DocumentRef("x", "", version=version))
    assert source.fetch(found.documents["new\nline.md"]) == b"1"
    source.close()


def test_a_pointer_is_recognised_when_it_comes_and_when_it_goes(tmp_path: Path, origin: Repository) -> None:
    origin.commit({"a.md": b"text", "b.md": LFS_POINTER})
    assert set(listed(tmp_path).failures) == {"b.md"}
    origin.commit({"c.md": b"unrelated"})
    assert set(listed(tmp_path).failures) == {"b.md"}
    origin.commit({"a.md": LFS_POINTER, "b.md": b"text"})
    assert set(listed(tmp_path).failures) == {"a.md"}


def test_nothing_of_the_origin_or_the_user_is_executed(
    tmp_path: Path, origin: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit({"a.md": b"1", ".gitattributes": b"*.md diff=evil filter=evil"})
    canary = tmp_path / "canary"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {canary}\nexit 1\n")
    script.chmod(0o755)
    home = tmp_path / "home"
    config = f"""
[core]
    hooksPath = {tmp_path}/hooks
    fsmonitor = {script}
    sshCommand = {script}
    gitProxy = {script}
    alternateRefsCommand = {script}
[uploadpack]
    packObjectsHook = {script}
[credential]
    helper = {script}
[diff "evil"]
    textconv = {script}
    command = {script}
[filter "evil"]
    smudge = {script}
[url "/nowhere/"]
    insteadOf = {tmp_path}/
"""
    write(home, {".gitconfig": config.encode()})
    for name in ("pre-receive", "post-update", "reference-transaction", "post-checkout", "pre-auto-gc"):
        for folder in (tmp_path / "hooks", origin.folder / "hooks"):
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(script.read_bytes())
            (folder / name).chmod(0o755)
    with (origin.folder / "config").open("a") as file:
        file.write(config)
    monkeypatch.setenv("HOME", str(home))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, str(home / ".gitconfig"))
    for name in (
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_INDEX_FILE",
        "GIT_EXTERNAL_DIFF",
        "GIT_PROXY_COMMAND",
    ):
        monkeypatch.setenv(name, str(script))
    found = listed(tmp_path)
    assert set(found.documents) == {"a.md", ".gitattributes"}
    assert not canary.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to somebody else")
def test_a_repository_may_belong_to_another_user(tmp_path: Path, origin: Repository) -> None:
    origin.commit({"a.md": b"1"})
    checkout(origin, tmp_path / "theirs")
    for folder, _, names in os.walk(tmp_path / "theirs"):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, 65534, 65534)
    assert set(listed(tmp_path, "theirs").documents) == {"a.md"}
    for folder, _, names in os.walk(tmp_path / "cache"):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, 65534, 65534)
    assert set(listed(tmp_path, "theirs").documents) == {"a.md"}


def test_refreshes_at_once_agree(tmp_path: Path, origin: Repository) -> None:
    origin.commit({f"{number}.md": b"%d" % number for number in range(300)})
    results: list[Listing] = []
    threads = [threading.Thread(target=lambda: results.append(listed(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result == results[0] and result.end.complete for result in results)


_LIST = """
import sys
from pathlib import Path
from rag_pipeline.settings import GitSettings
from rag_pipeline.sources.git import GitSource

folder = Path(sys.argv[1])
source = GitSource(GitSettings(name="x", type="git", url="origin.git"), folder, folder / "cache")
print("ready", flush=True)
for item in source.list():
    pass
print("done", flush=True)
"""


def test_a_listing_after_one_that_was_killed_is_whole(tmp_path: Path, origin: Repository) -> None:
    for turn in range(8):
        origin.commit({f"{turn}/{number}.md": os.urandom(2_000) for number in range(300)})
        command = [sys.executable, "-c", _LIST, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.01 + 0.012 * turn)
            process.kill()
        if turn % 3 == 2:
            found = listed(tmp_path)
            assert found.end.complete
            assert len(found.documents) == 300 * (turn + 1)
    assert listed(tmp_path).documents == listed(tmp_path).documents


def test_the_lock_outlives_the_process_that_asked_for_the_fetch(tmp_path: Path) -> None:
    started, go_on = tmp_path / "started", tmp_path / "go-on"
    held = f"touch {started}; for _ in $(seq 6000); do test -e {go_on} && break; sleep 0.05; done; false"
    environment = {**os.environ, "GIT_SSH_COMMAND": held}
    command = [sys.executable, "-c", _LIST.replace("origin.git", "ssh://example.org/x"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        while not started.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    with open(tmp_path / "cache/lock", "r+b") as lock:
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            go_on.touch()
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_what_a_killed_fetch_leaves_behind_is_in_nobodys_way(tmp_path: Path, origin: Repository) -> None:
    origin.commit({"a.md": b"1"})
    listed(tmp_path, ref="main")
    (mirror,) = (tmp_path / "cache").glob("*.git")
    leftovers = ["packed-refs.lock", "config.lock", "shallow.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x"]
    write(mirror, dict.fromkeys([*leftovers, "rag-facts-1.json"], b""))
    origin.commit({"a.md": b"22"})
    assert listed(tmp_path, ref="main").documents["a.md"].size == 2
    assert not any((mirror / leftover).exists() for leftover in leftovers)
    for name in ("HEAD", "config"):
        (mirror / name).unlink()
        assert listed(tmp_path, ref="main").end.complete


def test_the_process_that_reads_blobs_may_die(tmp_path: Path, origin: Repository) -> None:
    origin.commit({"a.md": b"1"})
    source = GitSource(git("origin.git"), tmp_path, tmp_path / "cache")
    (document,) = listing(source).documents.values()
    assert source.fetch(document) == b"1"
    process = source._blobs._process
    assert process is not None
    process.kill()
    process.wait()
    assert source.fetch(document) == b"1"
    source.close()
    source.close()


GLOBS = st.lists(st.sampled_from(["**/*", "a/**", "*/b/**", "**/B", "**/a.md", "*.md", "**/.*"]), max_size=2)


@settings(max_examples=25, deadline=None)
@given(tree=trees(), include=GLOBS, exclude=GLOBS)
def test_a_folder_and_its_commit_list_alike(tree: dict[str, bytes], include: list[str], exclude: list[str]) -> None:
    with folder_for_example() as folder:
        write(folder / "tree", tree)
        Repository(folder / "origin.git").commit(tree)
        rules = {"include": include, "exclude": exclude, "access": ["group:a", "group:b"]}
        from_files = listing(open_source(files(Path("tree"), **rules), folder, folder / "cache"))
        from_git = listed(folder, "origin.git", **rules)
    assert from_files.end == from_git.end
    assert from_files.failures == from_git.failures
    assert {path: (item.size, item.media_type, item.access) for path, item in from_files.documents.items()} == {
        path: (item.size, item.media_type, item.access) for path, item in from_git.documents.items()
    }
