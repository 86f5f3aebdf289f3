"""A local web server with faults to order, for the tests of downloading."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Mirror:
    """Serves `files` (path to bytes) on 127.0.0.1; `requests` lists (path, Range header).

    Attributes:
        cuts: numbers of bytes after which the next answers end, one per request.
        ranges: whether Range is honored.
    """

    def __init__(self):
        self.files, self.requests, self.cuts, self.ranges = {}, [], [], True
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, request):
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        content = self.files.get(request.path)
        if content is None:
            return request.send_error(404)
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        if start >= len(content):
            return request.send_error(416)
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content)}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        stop = start + self.cuts.pop(0) if self.cuts else len(content)
        return request.wfile.write(content[start:stop])

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def mirrors(monkeypatch):
    """Two mirrors, with nothing on them yet."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    pair = Mirror(), Mirror()
    yield pair
    for mirror in pair:
        mirror.close()


@pytest.fixture
def dead_url():
    """An address where nobody listens."""
    mirror = Mirror()
    mirror.close()
    return mirror.url
