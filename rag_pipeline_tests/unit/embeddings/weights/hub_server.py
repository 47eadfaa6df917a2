"""A server that speaks as much of the Hugging Face hub's protocol as a download of a model needs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rag_pipeline_tests.serving import serving

REVISION = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(repository: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the files of a folder as the only repository; gives the address, and the paths that are asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
            if path == f"/api/models/{repository}/revision/main":
                siblings = [{"rfilename": name} for name in names]
                content = json.dumps({"id": repository, "sha": REVISION, "siblings": siblings}).encode()
            elif path.startswith(f"/api/models/{repository}/tree/"):
                files = [(name, (folder / name).read_bytes()) for name in names]
                content = json.dumps(
                    [
                        {"type": "file", "path": name, "size": len(each), "oid": sha1(each).hexdigest()}
                        for name, each in files
                    ]
                ).encode()
            elif (name := path.removeprefix(f"/{repository}/resolve/{REVISION}/")) in names:
                content = (folder / name).read_bytes()
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}", asked
