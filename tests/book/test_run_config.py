"""Plans: every name of the flags, read from YAML; what is wrong is named with its line."""

from pathlib import Path

import pytest

from vxhelpers.book.run_config import Plan, Slurm, read_plan, slurm_from
from vxhelpers.errors import InputError, UnknownNameError


def _read(folder: Path, text: str) -> Plan:
    path = folder / "plan.yml"
    path.write_text(text)
    return read_plan(path)


def test_a_plan_has_the_names_of_the_flags(tmp_path: Path) -> None:
    plan = _read(
        tmp_path,
        "actions: all\ndataset: 'stage:kth'\nmodels: [stage_c3d, stage_r3d]\nchapters: gradcam\n"
        "seed: 3\nforce: true\nroot: null\nslurm:\n  queue: gpu\n  workers: 8\n",
    )
    assert plan == Plan(
        actions="all", dataset="stage:kth", models=("stage_c3d", "stage_r3d"),
        chapters=("gradcam",), seed=3, force=True, slurm=Slurm(queue="gpu", workers=8),
    )  # fmt: skip
    assert _read(tmp_path, "actions: [all]\n").actions == ("all",)  # a class of this name


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("seed: 1\nmodles: [a]\n", r"key 'modles' in .*plan\.yml, line 2; did you mean 'models'"),
        ("slurm:\n  walltme: '1'\n", r"'walltme' in .*line 2; did you mean 'walltime'"),
        ("seed: many\n", r"plan\.yml, line 1: seed: a whole number is needed, not 'many'"),
        ("seed: true\n", "a whole number is needed, not True"),
        ("\nactions: [1]\n", r"line 2: actions: names are needed"),
        ("profile: 3\n", r"a text is needed \(in quotes\), not 3"),
        ("seed: 1\nseed: 2\n", "line 2: seed is there twice"),
        ("- a\n", r"plan\.yml, line 1: a mapping"),
        ("", r"plan\.yml: a mapping"),
        ("slurm: 3\n", "line 1: a mapping"),
        ("a: [\n", r"plan\.yml: while parsing"),
        ("slurm: {workers: 0}\n", "workers must be 1 or more"),
        ("slurm: {walltime: soon}\n", "walltime is like 04:00:00"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=error):
        _read(tmp_path, text)


def test_a_plan_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.yml"):
        read_plan(tmp_path / "gone.yml")


def test_flags_go_before_the_file() -> None:
    flags, file = Plan(models=("a",), seed=0), Plan(models=("b", "c"), seed=5, jobs=4)
    assert flags.over(file) == Plan(models=("a",), seed=0, jobs=4)


@pytest.mark.parametrize(
    ("models", "weights", "networks"),
    [
        ((), (), [(None, None)]),
        (("a", "b"), (), [("a", None), ("b", None)]),
        (("a", "b"), ("v", "w"), [("a", "v"), ("b", "w")]),
        ((), ("v", "w"), [(None, "v"), (None, "w")]),
        (("a",), ("v", "w"), [("a", "v"), ("a", "w")]),
    ],
)
def test_models_and_weights_are_put_together(models, weights, networks) -> None:  # type: ignore[no-untyped-def]
    assert Plan(models=models, weights=weights).networks() == networks


def test_models_and_weights_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="2 models and 1 weights"):
        Plan(models=("a", "b"), weights=("v",)).networks()


def test_slurm_in_words() -> None:
    assert slurm_from("") == Slurm()
    assert slurm_from("queue=gpu, workers=4,memory=1.5GiB") == Slurm(
        workers=4, queue="gpu", memory="1.5GiB"
    )
    with pytest.raises(UnknownNameError, match="did you mean 'queue'"):
        slurm_from("queu=gpu")
    with pytest.raises(InputError, match="workers is a whole number"):
        slurm_from("workers=many")
    with pytest.raises(InputError, match="takes name=value"):
        slurm_from("gpu")
    with pytest.raises(InputError, match="memory is like 16GB"):
        slurm_from("memory=lots")
