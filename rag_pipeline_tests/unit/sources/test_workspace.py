from pathlib import Path

from rag_pipeline.model import DocumentRef
from rag_pipeline.settings import FilesSettings
from rag_pipeline.sources import open_source


def test_the_pipelines_own_folder_is_never_a_source(tmp_path: Path) -> None:
    own = tmp_path / "work" / ".rag"
    for file in (tmp_path / "a.md", tmp_path / "work" / "b.md", own / "blobs" / "c.md"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("text")
    settings = FilesSettings(name="all", type="files", path=Path("."))
    source = open_source(settings, tmp_path, own / "cache", own)
    assert [item.document_id for item in source.list() if isinstance(item, DocumentRef)] == ["a.md", "work/b.md"]
