"""Files that are whole or not there: atomic replacement, and content hashes."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

from vxhelpers.errors import VxError


class WriteError(VxError, OSError):
    """A file that cannot be written: disk full, no permission, no such folder."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; it takes the place of ``path`` at the end.

    Readers see the old file or the new one, never a part. If the body raises or is interrupted,
    ``path`` stays as it was and the temporary file is removed. Missing parent folders are made.

    Raises
    ------
    WriteError
        If the disk is full or the place cannot be written; the text names ``path``.

    Examples
    --------
    >>> with replacing("labels.txt") as temporary:  # doctest: +SKIP
    ...     temporary.write_text("walking")
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        ours = {None, str(path), str(temporary), *map(str, path.parents)}
        if isinstance(error, VxError) or error.filename not in ours:
            raise  # about another file, for instance a missing input of the body
        reason = error.strerror or str(error)
        raise WriteError(
            f"cannot write {path}: {reason}; free some space or name another place"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@cache
def asset(package: str, name: str) -> str:
    """Text of a file in a package's ``assets/``, without indentation, comments and blank lines."""
    lines = (files(package) / "assets" / name).read_text(encoding="utf-8").splitlines()
    return "\n".join(s for line in lines if (s := line.strip()) and not s.startswith("//"))


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
