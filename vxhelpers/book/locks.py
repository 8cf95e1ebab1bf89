"""One run at a time in a build folder: a lock that ends with the process that holds it."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from vxhelpers.errors import RunError
from vxhelpers.io.files import WriteError


@contextmanager
def hold(out: Path) -> Iterator[None]:
    """Hold a build folder while the body runs; it is made if it is missing.

    The operating system ends the lock with the process, however that ends, so none is left behind.
    A process that holds the folder may hold it again inside.

    Raises
    ------
    RunError
        If another process holds it; the text says which one, where and since when.
    WriteError
        If the folder cannot be made or written.
    """
    from filelock import FileLock, Timeout

    path = out / "run.lock"
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, is_singleton=True)
        inside = lock.is_locked
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            f"{out}: another run is at work there{_holder(path)}; wait for its end, end it, or "
            "name another folder (--out)"
        ) from error
    except OSError as error:
        raise WriteError(
            f"cannot write {out}: {error.strerror or error}; name another place (--out)"
        ) from error
    try:
        if not inside:
            _say(path)
        yield
    finally:
        lock.release()


def _say(path: Path) -> None:
    """Write into the lock's file who holds it."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    try:
        path.write_text(json.dumps(holder), encoding="utf-8")
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


def _holder(path: Path) -> str:
    """Who holds the lock, in words; nothing where its file does not say."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f" (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
