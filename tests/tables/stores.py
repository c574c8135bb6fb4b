"""Object stores that answer on this machine: as much of the protocols of S3 and Google Storage as reading takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class _Handler(BaseHTTPRequestHandler):
    objects: dict[str, bytes]
    seen: list[str]

    def log_message(self, *words: object) -> None:
        del words

    def _answer(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), "Content-Type": kind, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _part(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        wanted = self.headers.get("Range")
        if not wanted:
            return 200, body, {}
        first, last = wanted.removeprefix("bytes=").split("-")
        end = min(int(last or len(body)), len(body) - 1)
        return 206, body[int(first) : end + 1], {"Content_Range": f"bytes {first}-{end}/{len(body)}"}

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        url = urlsplit(self.path)
        if url.path.startswith(("/storage/v1/", "/download/")):
            self._google(unquote(url.path), parse_qs(url.query))
        else:
            self._s3(unquote(url.path).lstrip("/"), parse_qs(url.query))

    def _s3(self, name: str, query: dict[str, list[str]]) -> None:
        if "list-type" in query:
            bucket = name.rstrip("/")
            start = bucket + "/" + query.get("prefix", [""])[0]
            found = [key for key in sorted(self.objects) if key.startswith(start)]
            rows = "".join(
                f"<Contents><Key>{key.split('/', 1)[1]}</Key><Size>{len(self.objects[key])}</Size>"
                "<LastModified>2026-03-01T00:00:00.000Z</LastModified><ETag>1</ETag></Contents>"
                for key in found
            )
            text = f"<ListBucketResult><Name>{bucket}</Name><KeyCount>{len(found)}</KeyCount>{rows}</ListBucketResult>"
            self._answer(200, text.encode(), "application/xml")
        elif name in self.objects:
            status, body, more = self._part(self.objects[name])
            stamp = "Sun, 01 Mar 2026 00:00:00 GMT"
            self._answer(status, body, "application/octet-stream", ETag='"1"', Last_Modified=stamp, **more)
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")

    def _google(self, path: str, query: dict[str, list[str]]) -> None:
        bucket, _, name = path.split("/b/", 1)[1].partition("/o")
        name = name.lstrip("/")
        about = lambda key: {
            "name": key.split("/", 1)[1],
            "bucket": bucket,
            "size": str(len(self.objects[key])),
            "updated": "2026-03-01T00:00:00Z",
        }
        if not name:
            start = f"{bucket}/" + query.get("prefix", [""])[0]
            found = [about(key) for key in sorted(self.objects) if key.startswith(start)]
            self._answer(200, json.dumps({"items": found}).encode(), "application/json")
        elif f"{bucket}/{name}" not in self.objects:
            self._answer(404, b'{"error": {"code": 404, "message": "no such object"}}', "application/json")
        elif path.startswith("/download/") or query.get("alt") == ["media"]:
            status, body, more = self._part(self.objects[f"{bucket}/{name}"])
            self._answer(status, body, "application/octet-stream", **more)
        else:
            self._answer(200, json.dumps(about(f"{bucket}/{name}")).encode(), "application/json")


@contextmanager
def store(objects: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A store that holds some objects (by `bucket/name`): its URL, and the signatures of requests."""
    handler = type("Handler", (_Handler,), {"objects": objects, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
