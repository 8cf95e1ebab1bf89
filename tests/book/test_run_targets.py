"""Targets: names that are safe and unique, and what the book's table fills in."""

import re
from pathlib import Path

import pytest

from vxhelpers.book.run_targets import Target, choose, labels_of, read_table
from vxhelpers.errors import InputError, UnknownNameError

BOOK = Path(__file__).parents[1] / "tiny_book"
NASTY = (
    "a/b",
    "../../x",
    'say "hi"',
    "<b>bold</b>",
    "x" * 200,
    "x" * 201,
    "",
    "Läufer",
    "日本",
    "-",
)


def _target(action: str, dataset: str = "stage:kth") -> Target:
    return Target(action, dataset, "stage_r3d")


def test_plain_names_keep_their_words() -> None:
    assert _target("playing tennis", "stage:tennis").slug == "playing-tennis_stage-tennis"
    assert _target("abseiling", "kinetics400").slug == "abseiling_kinetics400"


@pytest.mark.parametrize("action", NASTY)
def test_slugs_of_any_text_are_safe(action: str) -> None:
    slug = _target(action, "/home/me/my clips.csv").slug
    assert re.fullmatch(r"[a-z0-9-]+_[a-z0-9-]+", slug)
    assert len(slug) < 110


def test_slugs_are_unique() -> None:
    names = (*NASTY, "playing tennis", "playing-tennis", "Playing tennis", "playing  tennis")
    datasets = ("stage:kth", "stage-kth", "clips.csv", "a/clips.csv")
    slugs = {_target(name, data).slug for name in names for data in datasets}
    assert len(slugs) == len(names) * len(datasets)


def test_the_table_fills_in_what_is_left_out() -> None:
    table = read_table(BOOK / "_book.yml")
    tennis, running = choose(table)
    assert tennis == Target(
        "playing tennis", "stage:tennis", "stage_r3d", None, "tennis", 3, "quick"
    )
    assert (running.model, running.weights) == ("stage_c3d", "kth")
    (boxing,) = choose(table, actions=["boxing", "boxing"], seed=0, profile="standard")
    assert boxing == Target("boxing", "stage:kth", "stage_c3d", None, "kth", 0, "standard")


def test_a_named_model_does_not_take_the_weights_of_another() -> None:
    table = read_table(BOOK / "_book.yml")
    (target,) = choose(table, actions=["running"], model="r3d_18")
    assert (target.model, target.weights) == ("r3d_18", None)


def test_a_detector_comes_from_the_table_or_is_named(tmp_path: Path) -> None:
    table = read_table(BOOK / "_book.yml")
    table["defaults"]["stage:tennis"]["detector"] = "stage"
    tennis, running = choose(table)
    assert (tennis.detector, tennis.objects, running.detector) == ("stage", None, None)
    (named,) = choose(table, actions=["running"], detector="yolo11n.pt", objects=["ball", "racket"])
    assert (named.detector, named.objects) == ("yolo11n.pt", ("ball", "racket"))
    with pytest.raises(InputError, match=r"stage:kth: objects need a detector .*--detector"):
        choose(table, actions=["running"], objects=["ball"])
    with pytest.raises(InputError, match="gone: no such detector"):
        choose(table, detector=str(tmp_path / "gone"))
    assert choose(table, detector=str(tmp_path))[0].detector == str(tmp_path)


def test_concepts_are_a_folder_of_one_class(tmp_path: Path) -> None:
    table, folder = read_table(BOOK / "_book.yml"), str(tmp_path)
    (target,) = choose(table, actions=["running"], concepts=folder)
    assert target.concepts == folder and choose(table)[0].concepts is None
    with pytest.raises(InputError, match="is made for one class, not 2"):
        choose(table, concepts=folder)
    with pytest.raises(InputError, match="gone: no such folder of concepts"):
        choose(table, actions=["running"], concepts=str(tmp_path / "gone"))


def test_a_data_set_outside_the_table_gives_its_first_two_classes() -> None:
    table = read_table(BOOK / "_book.yml")
    targets = choose(table, dataset="stage:motion")
    assert [t.action for t in targets] == list(labels_of("stage:motion")[:2])
    assert {t.model for t in targets} == {"swin3d_t"}


def test_unknown_names_suggest_near_ones(tmp_path: Path) -> None:
    table = read_table(BOOK / "_book.yml")
    with pytest.raises(UnknownNameError, match=r"unknown class 'boxxing'.*did you mean 'boxing'"):
        choose(table, actions=["boxxing"])
    with pytest.raises(UnknownNameError, match="in stage:tennis"):
        choose(table, actions=["running"], dataset="stage:tennis")
    with pytest.raises(UnknownNameError, match=r"'kthh'.*did you mean 'kth'"):
        choose(table, actions=["running"], dataset="stage:kthh")
    with pytest.raises(InputError, match=r"gone\.safetensors: no such weights"):
        choose(table, weights=str(tmp_path / "gone.safetensors"))


def test_weights_that_name_their_architecture_choose_the_model(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    path = str(tmp_path / "mine.safetensors")
    save_file({"w": torch.zeros(1)}, path, metadata={"arch": "mc3_18"})
    (target,) = choose(read_table(BOOK / "_book.yml"), actions=["running"], weights=path)
    assert (target.model, target.weights) == ("mc3_18", path)


@pytest.mark.parametrize(
    "text", ["classes: [", "classes: {}\ndefaults: {}", "[]", "classes: []\ndefaults: {a: {}}"]
)
def test_a_broken_table_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "_book.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"_book\.yml"):
        read_table(path)


def test_networks_of_one_class_have_paths_of_their_own() -> None:
    table = read_table(BOOK / "_book.yml")
    kinds = [("stage_r3d", None), ("stage_r3d", "random"), ("r3d_18", None), (None, None)]
    found = [choose(table, actions=["running"], model=m, weights=w)[0] for m, w in kinds]
    assert [t.slug for t in found] == [
        "running_stage-kth_stage-r3d_kth",  # the table's weights ship for this network, too
        "running_stage-kth_stage-r3d_random",
        "running_stage-kth_r3d-18",
        "running_stage-kth",
    ]
    assert [t.label for t in found][1:] == [
        "running (stage_r3d, random)",
        "running (r3d_18)",
        "running",
    ]
    named = [
        Target("a", "b", m, weights=w, apart=True).slug
        for m, w in [("a_b", None), ("a-b", None), ("a", "b"), ("a", "x/b.pt"), ("a", "y/b.pt")]
    ]
    assert len(set(named)) == len(named)
    (usual,) = choose(table, actions=["running"], model="stage_c3d", weights="kth")
    assert usual.slug == "running_stage-kth"


def test_all_is_every_class_with_two_test_clips(tmp_path: Path) -> None:
    table = read_table(BOOK / "_book.yml")
    kth = choose(table, actions="all", dataset="stage:kth")
    assert [t.action for t in kth] == list(labels_of("stage:kth"))
    both = choose(table, actions="all")
    assert {t.dataset for t in both} == {"stage:tennis", "stage:kth"}
    manifest = tmp_path / "clips.csv"
    rows = ["a,a.mp4,golf,test,,", "b,b.mp4,golf,test,,", "c,c.mp4,rare,test,,"]
    head = "clip_id,path,label,split,start_s,end_s\n"
    manifest.write_text(head + "\n".join(rows) + "\n")
    assert [t.action for t in choose(table, actions="all", dataset=str(manifest))] == ["golf"]
    manifest.write_text(head + rows[2] + "\n")
    with pytest.raises(InputError, match="no class has 2 clips in split 'test'"):
        choose(table, actions="all", dataset=str(manifest))
