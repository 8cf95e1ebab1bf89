"""Review in a browser without a notebook: one page, served to this machine alone.

The server listens on the loopback address only. Another program or page on the machine could still
reach the port, so: every request must name a random token in its path, the ``Host`` header must be
the server's own (a foreign name that resolves to 127.0.0.1 is refused), a decision must come as
JSON from this page's origin, and the page may load nothing from elsewhere.
"""

import html
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from vxhelpers.errors import InputError
from vxhelpers.io.files import asset
from vxhelpers.live.review_desk import Desk

ADDRESS = "127.0.0.1"
_MOST_BYTES = 8192


@contextmanager
def serving(desk: Desk, *, port: int = 0) -> Iterator[str]:
    """Serve the review page of a desk while the body runs.

    Parameters
    ----------
    desk
        What is reviewed.
    port
        To listen on; a free one unless given.

    Yields
    ------
    str
        The page's address, with its token.

    Raises
    ------
    InputError
        If the port is taken or not allowed.
    """
    token = secrets.token_urlsafe(24)

    class Handler(_Handler):
        pass

    Handler.desk, Handler.token = desk, token
    try:
        server = ThreadingHTTPServer((ADDRESS, port), Handler)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} cannot be used: {error}; leave it out or name another"
        ) from error
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{ADDRESS}:{server.server_port}/{token}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    desk: Desk
    token: str
    server_version = "vx"
    sys_version = ""
    timeout = 30  # seconds for a request to arrive

    def do_GET(self) -> None:
        """Send the page."""
        if not self._allowed(""):
            return
        nonce = secrets.token_urlsafe(16)
        parts = {
            "{title}": html.escape(self.desk.title),
            "{nonce}": nonce,
            "{css}": asset("vxhelpers.live", "review.css"),
            "{js}": asset("vxhelpers.live", "review.js"),
        }
        page = asset("vxhelpers.live", "review.html")
        for name, text in parts.items():
            page = page.replace(name, text)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self._send(page.encode(), "text/html; charset=utf-8", {"Content-Security-Policy": policy})

    def do_POST(self) -> None:
        """Hand a message to the desk and send its answer."""
        if not self._allowed("ask"):
            return
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{self.headers.get('Host')}":
            return self._refuse(HTTPStatus.FORBIDDEN, "a page of another origin may not ask")
        if self.headers.get_content_type() != "application/json":
            return self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "messages are application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "messages are short")
        try:
            message = json.loads(self.rfile.read(int(length)))
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return self._refuse(HTTPStatus.BAD_REQUEST, "a message is a JSON object")
        answer = json.dumps(self.desk.answer(message), allow_nan=False)
        self._send(answer.encode(), "application/json", {})

    def log_message(self, *arguments: Any) -> None:
        """Say nothing of each request: its path holds the token."""

    def _allowed(self, name: str) -> bool:
        """Whether host, token and path are ours; the refusal is sent where they are not."""
        port = self.server.server_port  # type: ignore[attr-defined]
        if self.headers.get("Host") not in (f"{ADDRESS}:{port}", f"localhost:{port}"):
            self._refuse(HTTPStatus.FORBIDDEN, "this host name is not served")
            return False
        if not secrets.compare_digest(self.path.encode(), f"/{self.token}/{name}".encode()):
            self._refuse(HTTPStatus.NOT_FOUND, "no such page")
            return False
        return True

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True
        self._send(f"{why}\n".encode(), "text/plain; charset=utf-8", {}, status)

    def _send(
        self, body: bytes, kind: str, headers: dict[str, str], status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        self.send_response(status)
        common = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in {**common, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
