"""The log of a review: read and checked, changed as a whole, safe from kills and other writers."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vxhelpers.concept_sets.review_log import COLUMNS, Decision, changing, read
from vxhelpers.errors import ManifestError
from vxhelpers.io.files import WriteError

AT = "2026-03-01T12:30:00+00:00"
HEADER = ",".join(COLUMNS)
GOOD = f'{HEADER}\na,accept,anna,{AT},\nb,reject,"Bo, Dr.",{AT},{"0f" * 32}\n'
KNOWN = {"a", "b", "c d"}


def add(path: Path, clip_id: str = "a", decision: str = "accept") -> None:
    with changing(path, KNOWN) as log:
        log.append(Decision(clip_id, decision, "anna", AT))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    assert read(path, KNOWN) == ()
    path.write_text(GOOD)
    first = Decision("a", "accept", "anna", AT)
    second = Decision("b", "reject", "Bo, Dr.", AT, "0f" * 32)
    assert read(path, KNOWN) == (first, second)
    add(path, "c d", "skip")
    assert path.read_text() == f"{GOOD}c d,skip,anna,{AT},\n"
    with changing(path, KNOWN) as log:
        del log[0]
    assert read(path, KNOWN) == (second, Decision("c d", "skip", "anna", AT))


def test_a_file_without_hashes_and_with_a_mark_of_excel_is_read(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_bytes(f"\ufeff{HEADER.removesuffix(',sha256')}\r\na, accept ,,{AT}\r\n".encode())
    assert read(path, KNOWN) == (Decision("a", "accept", "", AT),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header must be clip_id,decision"),
        ("decision,clip_id\n", "line 1: the header must be .* move the file away to begin anew"),
        (GOOD.replace(",", ";"), "line 1: the header"),
        (f"{GOOD}\nz,accept,anna,{AT},\n", r"line 5: unknown clip 'z' \(known: .*delete it"),
        (f"{GOOD}c  d,accept,anna,{AT},\n", "line 4: unknown clip 'c  d'; did you mean 'c d'"),
        (f"{GOOD}a,acept,anna,{AT},\n", "line 4: decision 'acept' is none of accept, reject, skip"),
        (f"{GOOD}a,,anna,{AT},\n", "line 4: decision ''"),
        (f"{GOOD}a,accept,anna,yesterday,\n", "line 4: at 'yesterday' is no time such as 2026"),
        (f"{GOOD}a,accept,anna,2026-03-01T12:30,\n", "line 4: at .* is no time such as .*00:00"),
        (f"{GOOD}a,accept,anna,{AT},beef\n", "line 4: sha256 'beef' is not 64 hexadecimal"),
        (f"{GOOD}a,accept\n", "line 4: has more or fewer cells than the header"),
        (f"{GOOD}a,accept,anna,{AT},,,\n", "line 4: has more or fewer cells than the header"),
        (f'{GOOD}a,"acc\n', "after line 3: is not a CSV in UTF-8"),
        (f"{GOOD}\0\0\0\0\n", "after line 3: is not a CSV|line 4: "),
    ],
)
def test_nonsense_is_named_and_never_written_over(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "review.csv"
    path.write_bytes(text.encode())
    with pytest.raises(ManifestError, match=f"review.csv, {message}"):
        read(path, KNOWN)
    with pytest.raises(ManifestError, match=message):
        add(path)
    assert path.read_bytes() == text.encode()
    path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    with pytest.raises(ManifestError, match=r"review.csv, after line 1: is not a CSV in UTF-8"):
        add(path)


def test_a_body_that_raises_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_text(GOOD)
    with pytest.raises(KeyError), changing(path, KNOWN) as log:
        log.clear()
        raise KeyError
    assert path.read_text() == GOOD
    add(path)  # the lock is free again


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"gone/review.csv: No such file .* can be written to"):
        add(tmp_path / "gone" / "review.csv")


def test_writers_at_the_same_file_wait_for_one_another(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: add(path, "ab"[k % 2]), range(40)))
    assert [row.clip_id for row in read(path, KNOWN)].count("a") == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == [".review.lock", "review.csv"]


WRITER = """
import sys
from pathlib import Path
from vxhelpers.concept_sets.review_log import Decision, changing
path = Path(sys.argv[1])
for k in range(100_000):
    with changing(path, {"a"}) as log:
        log.append(Decision("a", "accept", str(len(log)), "2026-03-01T12:30:00+00:00"))
        number = len(log)
    print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_reported(tmp_path: Path) -> None:
    """`kill -9` at five moments of a tight loop of decisions: every reported row is there."""
    path = tmp_path / "review.csv"
    for k in range(5):
        before = len(read(path, KNOWN))
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert int(writer.stdout.readline()) == before + 1  # it goes on where the last one stopped
        time.sleep(0.02 + 0.017 * k)
        os.kill(writer.pid, signal.SIGKILL)
        reported = [int(line) for line in writer.stdout.read().split()] or [before + 1]
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        log = read(path, KNOWN)
        assert reported[-1] <= len(log) <= reported[-1] + 1
        assert [row.reviewer for row in log] == [str(n) for n in range(len(log))]
    add(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".review.lock", "review.csv"]
