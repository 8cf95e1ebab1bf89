import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from vxhelpers.data import stage
from vxhelpers.data.manifest import (
    FOLDER,
    Manifest,
    Row,
    find,
    locate,
    names,
    read,
    read_card,
    write,
)
from vxhelpers.errors import ManifestError, UnknownNameError

HEADER = "clip_id,path,label,split,start_s,end_s\n"


def saved(folder: Path, rows: str, *, header: str = HEADER, card: str = "") -> Path:
    path = folder / "clips.csv"
    path.write_text(header + rows, encoding="utf-8")
    if card:
        path.with_suffix(".yaml").write_text(card, encoding="utf-8")
    return path


def test_rows_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, 'a,x/a.mp4,walking,train,,\nb,"x/ü, b.mp4",running,test,1.5,3\n')
    manifest = read(path)
    assert manifest.rows == (
        Row("a", "x/a.mp4", "walking", "train", None, None),
        Row("b", "x/ü, b.mp4", "running", "test", 1.5, 3.0),
    )
    assert manifest.labels == ("running", "walking") and manifest.name == "clips"
    assert manifest.splits == {"train": 1, "test": 1} and manifest.source == path


def test_spreadsheets_may_save_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"a,a.mp4,l,train,,\r\n")
    assert len(read(path).rows) == 1


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rows = (
        Row("a", "v/a.mp4", "one", "train", 0.1, 1 / 3, "0" * 64),
        Row("b", "val/two, 2/b.mp4", "two, 2", "val"),
    )
    card = {"name": "mine", "labels": ["two, 2", "one"], "path": "{split}/{label}/{clip_id}.mp4"}
    write(Manifest("mine", rows, card), tmp_path / "m.csv")
    back = read(tmp_path / "m.csv")
    assert back.name == "mine" and back.card == card and back.labels == ("two, 2", "one")
    assert back.rows == (replace(rows[0], end_s=0.333333), rows[1])
    assert 'b,,"two, 2",val,,,' in (tmp_path / "m.csv").read_text()
    write(back, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "m.csv").read_bytes()
    assert read(tmp_path / "again.csv").digest == back.digest
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "again.csv",
        "again.yaml",
        "m.csv",
        "m.yaml",
    ]


def test_digest_is_of_rows_and_labels() -> None:
    rows = (Row("a", "a.mp4", "one", "train"), Row("b", "b.mp4", "two", "test", 0.0, 1.0))
    base = Manifest("m", rows).digest
    assert base == Manifest("other", rows, {"title": "words"}, Path("x.csv")).digest
    assert base != Manifest("m", rows[::-1]).digest
    assert base != Manifest("m", rows, {"labels": ["two", "one"]}).digest
    for change in ({"path": "c.mp4"}, {"end_s": 2.0}, {"split": "val"}, {"sha256": "0" * 64}):
        assert base != Manifest("m", (rows[0], replace(rows[1], **change))).digest


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("a,a.mp4,l,train,,\na,b.mp4,l,train,,\n", r"line 3: clip_id 'a' is there already.*line 2"),
        ("a,a.mp4,l,train,-1,2\n", "line 2: .*negative"),
        ("a,a.mp4,l,train,3,2\n", "line 2: end_s 2 is not after start_s 3"),
        ("a,a.mp4,l,train,2,2\n", "end_s 2 is not after start_s 2"),
        ("a,a.mp4,l,train,1,\n", "both start_s and end_s, or neither"),
        ("a,a.mp4,l,train,one,2\n", "line 2: start_s 'one' is not a number"),
        ("a,a.mp4,l,train,0,nan\n", "not finite"),
        ("a,a.mp4,l,train,0,inf\n", "not finite"),
        ("a,/etc/a.mp4,l,train,,\n", "line 2: path '/etc/a.mp4' is absolute"),
        ("a,C:/a.mp4,l,train,,\n", "is absolute"),
        ("a,x/../../a.mp4,l,train,,\n", r"line 2: path 'x/../../a.mp4' leaves the root"),
        ("a,x\\..\\a.mp4,l,train,,\n", "leaves the root"),
        ("a,a.mp4, ,train,,\n", "line 2: label is empty"),
        (",a.mp4,l,train,,\n", "clip_id is empty"),
        ("a,,l,train,,\n", "path is empty"),
        ("a,a.mp4,l,,,\n", "split is empty"),
        ("a,a.mp4,l,train,,\nb,b.mp4\n", "line 3: has more or fewer cells"),
        ("a,a.mp4,l,train,,,7\n", "line 2: has more or fewer cells"),
        ('a,"a.mp4,l,train,,\n', "is not a CSV"),
        ("", "has no rows.*vx data scan"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: str, match: str) -> None:
    path = saved(tmp_path, rows)
    with pytest.raises(ManifestError, match=match) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_bad_headers_are_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"clips.csv: column label, end_s is missing"):
        read(saved(tmp_path, "", header="clip_id,path,split,start_s\n"))
    with pytest.raises(UnknownNameError, match=r"unknown column 'sha' .*did you mean 'sha256'"):
        read(saved(tmp_path, "", header="clip_id,path,label,split,start_s,end_s,sha\n"))
    with pytest.raises(ManifestError, match="twice"):
        read(saved(tmp_path, "", header="clip_id,path,label,label,split,start_s,end_s\n"))
    (tmp_path / "clips.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="is not a CSV in UTF-8"):
        read(tmp_path / "clips.csv")


def test_bad_hashes_and_labels_are_named(tmp_path: Path) -> None:
    header = HEADER.strip() + ",sha256\n"
    with pytest.raises(ManifestError, match="line 2: sha256 'beef' is not 64"):
        read(saved(tmp_path, "a,a.mp4,l,train,,,beef\n", header=header))
    with pytest.raises(UnknownNameError, match=r"'wlaking' in .*line 2; did you mean 'walking'"):
        read(saved(tmp_path, "a,a.mp4,wlaking,train,,\n", card="labels: [walking, running]"))


@pytest.mark.parametrize(
    ("card", "match"),
    [
        ("labels: [a, a]", "listed twice"),
        ("labels: [yes, a]", "list of texts"),
        ("- a\n- b", "mapping"),
        ("labels: [a", "is not YAML"),
    ],
)
def test_bad_cards_are_named(tmp_path: Path, card: str, match: str) -> None:
    with pytest.raises(ManifestError, match=match) as caught:
        read(saved(tmp_path, "a,a.mp4,a,train,,\n", card=card))
    assert "clips.yaml" in str(caught.value)


def test_unknown_names_are_suggested(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'kinetics400'"):
        find("kinetics40")
    with pytest.raises(ManifestError, match="no such manifest"):
        find(tmp_path / "gone.csv")


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    bad = Manifest("m", (Row("a", "../a.mp4", "l", "train"),))
    with pytest.raises(ManifestError, match=r"row 1: path '../a.mp4' leaves"):
        write(bad, tmp_path / "m.csv")
    with pytest.raises(ManifestError, match=r"\*.csv"):
        write(Manifest("m", ()), tmp_path / "m.txt")
    assert not list(tmp_path.iterdir())


def test_links_cannot_leave_the_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside.mp4").touch()
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    (tmp_path / "root" / "a.mp4").touch()
    (tmp_path / "root" / "inner.mp4").symlink_to(tmp_path / "root" / "a.mp4")
    root = tmp_path / "root"
    assert locate(Row("a", "inner.mp4", "l", "s"), root) == (root / "a.mp4").resolve()
    with pytest.raises(ManifestError, match=r"'b': link.mp4 leaves the root"):
        locate(Row("b", "link.mp4", "l", "s"), root)
    with pytest.raises(ManifestError, match="absolute"):
        locate(Row("c", "/link.mp4", "l", "s"), root)


def test_every_data_set_has_a_card() -> None:
    assert names() == ["hmdb51", "kinetics400", "kinetics700", "kth", "stage", "ucf101"]
    classes = {"hmdb51": 51, "kinetics400": 400, "kinetics700": 700, "kth": 6, "ucf101": 101}
    for name in names():
        card = read_card(name)
        needed = {"name", "title", "source", "licence", "obtain", "layout", "labels", "citation"}
        assert needed <= set(card) and card["name"] == name
        assert len(card["labels"]) == classes.get(name, len(card["labels"]))
        if "counts" in card:
            assert read(name).splits == card["counts"]
        else:
            with pytest.raises(ManifestError, match=f"{name}.csv: has no rows.*vx data scan"):
                read(name)


def test_kth_is_the_published_split() -> None:
    manifest = read("kth")
    assert len(manifest.rows) == 2391 and manifest.splits["test"] == 863
    assert manifest.splits["train"] + manifest.splits["val"] == 1528
    videos = {row.path for row in manifest.rows}
    assert len(videos) == 599
    assert not any("person13_handclapping_d3" in video for video in videos)
    subjects: dict[str, set[int]] = {"train": set(), "val": set(), "test": set()}
    for row in manifest.rows:
        subjects[row.split].add(int(row.clip_id[6:8]))
    assert subjects["train"] == set(range(11, 19))
    assert subjects["val"] == {19, 20, 21, 23, 24, 25, 1, 4}
    assert subjects["test"] == {22, 2, 3, 5, 6, 7, 8, 9, 10}
    assert manifest.labels == stage.TASKS["kth"].labels
    last = next(row for row in manifest.rows if row.clip_id == "person25_walking_d4#4")
    assert (last.start_s, last.end_s) == (487 / 25, 592 / 25)  # frames 488-592, counted from 1


def test_kinetics_paths_follow_the_usual_layout() -> None:
    manifest = read("kinetics400")
    assert len(manifest.rows) == 19_906 and len(manifest.labels) == 400
    assert min(Counter(row.label for row in manifest.rows).values()) > 10
    first = manifest.rows[0]
    assert first.path == "val/abseiling/0wR5jVB-WPk_000417_000427.mp4"
    assert first.start_s is None


def test_the_stage_is_listed_as_it_renders() -> None:
    """After a change of the stage: ``write(Manifest("stage", stage.manifest().rows,
    read_card("stage")), FOLDER / "stage.csv")``, with labels and counts of the card renewed."""
    manifest = read("stage")
    assert manifest.rows == stage.manifest().rows
    assert list(manifest.labels) == sorted({row.label for row in manifest.rows})
    with (FOLDER / "stage.csv").open() as file:
        assert next(csv.reader(file)) == HEADER.strip().split(",")
