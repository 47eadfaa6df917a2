"""A service with the embeddings API in a process of its own, as fast as can be, that answers after a given time.

``python -m benchmarks.embedding_service_process MILLISECONDS DIMENSIONS`` prints its port and serves until its input
ends. Every answer leaves so long after its request came in, however many there are; equal texts get equal vectors.
"""

import asyncio
import base64
import json
import sys
import zlib

import numpy as np

_VECTORS = 61
_LARGEST = 2**26


def _answers(dimensions: int) -> list[bytes]:
    """Return some vectors as they are written into an answer, all but their index."""
    numbers = np.random.default_rng(1).standard_normal((_VECTORS, dimensions)).astype("<f4")
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    return [b',"embedding":"' + base64.b64encode(row.tobytes()) + b'"}' for row in numbers]


class _Service:
    def __init__(self, seconds: float, dimensions: int) -> None:
        self._seconds = seconds
        self._answers = _answers(dimensions)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                came = loop.time()
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = self._answer(json.loads(await reader.readexactly(length)))
                await asyncio.sleep(came + self._seconds - loop.time())
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    def _answer(self, asked: dict[str, object]) -> bytes:
        texts = asked["input"]
        assert isinstance(texts, list)
        items = b",".join(
            b'{"object":"embedding","index":%d' % index + self._answers[zlib.crc32(text.encode()) % _VECTORS]
            for index, text in enumerate(texts)
        )
        tokens = sum(len(text) for text in texts) // 4
        tail = b'],"usage":{"prompt_tokens":%d,"total_tokens":%d},"model":' % (tokens, tokens)
        return b'{"object":"list","data":[' + items + tail + json.dumps(asked["model"]).encode() + b"}"


async def _main(milliseconds: float, dimensions: int) -> None:
    service = _Service(milliseconds / 1000, dimensions)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, limit=_LARGEST)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1]), int(sys.argv[2])))
