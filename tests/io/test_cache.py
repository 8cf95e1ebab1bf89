import resource
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store, default_root, key
from vxhelpers.io.files import WriteError, replacing, sha256


def no_computation() -> dict:
    raise AssertionError("computed again")


def test_result_is_computed_once_and_comes_back_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = {"clip": np.arange(5), "scale": 0.5}
    value = {"file": np.eye(3, dtype=np.float16), "ids": np.array([], np.int8), "note": {"n": (1,)}}
    first = store.get_or_compute(parts, lambda: value)
    second = store.get_or_compute(parts, no_computation)
    found = store.find(parts)
    assert store.find({**parts, "scale": 0.6}) is None
    for got in (first, second, found):
        assert set(got) == {"file", "ids", "note"}
        assert got["file"].dtype == np.float16 and np.array_equal(got["file"], np.eye(3))
        assert got["ids"].dtype == np.int8 and got["ids"].shape == (0,)
        assert got["note"] == {"n": [1]}


def test_key_is_of_contents() -> None:
    base = key({"a": 1, "x": np.zeros((2, 3), np.float32)})
    assert base == key({"x": np.zeros((3, 2), np.float32).T, "a": 1})
    assert base != key({"a": 1, "x": np.zeros((3, 2), np.float32)})
    assert base != key({"a": 1, "x": np.zeros((2, 3), np.int32)})
    assert base != key({"a": 1, "x": np.full((2, 3), 1e-7, np.float32)})
    assert base != key({"a": 2, "x": np.zeros((2, 3), np.float32)})
    assert key({"a": (1, 2)}) == key({"a": [1, 2]})


@pytest.mark.parametrize("part", [float("nan"), object(), Path("x"), {1, 2}, np.array([None])])
def test_a_part_without_content_is_refused(part: object) -> None:
    with pytest.raises(InputError, match="cache key"):
        key({"part": part})


def test_a_result_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for value in (np.array([{}]), float("nan"), object()):
        with pytest.raises(InputError, match="to be cached"):
            store.get_or_compute({"a": 1}, lambda value=value: {"v": value})
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: str) -> None:
    store, parts = Store(tmp_path), {"a": 1}
    store.get_or_compute(parts, lambda: {"x": np.arange(1000)})
    path = store.path(parts)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    new = {"cut": content[:700], "flip": content, "empty": b"", "text": b"not a zip"}
    path.write_bytes(new[damage])
    again = store.get_or_compute(parts, lambda: {"x": np.arange(1000) + 1})
    assert again["x"][0] == 1
    assert store.get_or_compute(parts, no_computation)["x"][0] == 1


def test_a_failed_computation_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError):
        store.get_or_compute({"a": 1}, lambda: {"x": 1 / 0})
    assert not list(tmp_path.rglob("*"))


def test_a_full_disk_names_the_path_and_leaves_nothing(tmp_path: Path) -> None:
    """The limit on the size of files stands in for a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        with pytest.raises(WriteError, match=str(tmp_path)):
            Store(tmp_path).get_or_compute({"a": 1}, lambda: {"x": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"file/.*another place"):
        Store(tmp_path / "file").get_or_compute({"a": 1}, lambda: {"x": 1})


def test_writers_at_the_same_time_leave_one_whole_entry(tmp_path: Path) -> None:
    store, start = Store(tmp_path), threading.Barrier(4)

    def write(k: int) -> None:
        start.wait()
        store.get_or_compute({"a": 1}, lambda: {"x": np.full(20_000, k)})

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(store.get_or_compute({"a": 1}, no_computation)["x"].tolist())) == 1
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 1


def test_default_root_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VX_CACHE", str(tmp_path))
    assert default_root() == tmp_path == Store().root
    monkeypatch.delenv("VX_CACHE")
    assert default_root() == Path.home() / ".cache" / "vxhelpers"


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("one")
        assert not path.exists() and temporary.suffix == ".txt"
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error), replacing(path) as temporary:
            temporary.write_text("tw")
            raise error
    assert path.read_text() == "one" and list(path.parent.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match="other"), replacing(path):
        (tmp_path / "other").read_text()


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
