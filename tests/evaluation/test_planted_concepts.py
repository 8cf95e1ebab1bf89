from dataclasses import replace

import blocks
import numpy as np
import pytest
import torch
from toys import Cells, toy_model

from vxhelpers.attribution.registry import attribute
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.evaluation import planted_concepts, planted_stce
from vxhelpers.evaluation.planted import Trial
from vxhelpers.evaluation.planted_concepts import Alignments, aligned, lines
from vxhelpers.evaluation.planted_stce import explained, painted, stce_map
from vxhelpers.models import zoo
from vxhelpers.stce.features import Recipe

RECIPE = Recipe(segments=(4, 8), concepts=3, nearest=4)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def by_hand(monkeypatch):
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)
    monkeypatch.setattr("vxhelpers.evaluation.planted_stce.segment", blocks.segment)


@pytest.fixture
def scores(by_hand):
    return explained(
        blocks.model(), "right", blocks.clips(6, 1), blocks.clips(5, 2), rng=_rng(),
        recipe=RECIPE, groups=4,
    )  # fmt: skip


# STCE


def test_voxels_get_the_mean_of_their_supervoxels_concepts(scores) -> None:
    """Each supervoxel shown alone, one by one; one fine piece is not kept, its voxels have one."""
    model, clip = blocks.model(), blocks.clips(1, 3)[0]
    x = model.prepare([clip])
    cut = blocks.by_hand()
    total, count = np.zeros((2, blocks.T, blocks.SIDE, blocks.SIDE))
    for level, label in cut.kept:
        inside = cut.labels[level] == label
        with torch.inference_mode():
            net = model.net.net
            shown = x * torch.from_numpy(inside)
            found = net.conv3(net.relu2(net.conv2(net.relu1(net.conv1(shown))))).flatten().double()
        far = np.linalg.norm(scores.discovery.centres - found.numpy(), axis=1)
        total[inside] += scores.derivative[far.argmin()]
        count[inside] += 1
    assert set(np.unique(count)) == {1, 2}
    maps = painted(model, scores, x)
    np.testing.assert_allclose(maps.numpy(), total / count, rtol=1e-6)
    assert len(np.unique(maps)) > 2


def test_a_map_is_as_the_clip_alone_and_leaves_it_as_it_was(scores) -> None:
    model = blocks.model()
    x = model.prepare(blocks.clips(3, 4))
    before = x.clone()
    alone = torch.stack([painted(model, scores, one[None]) for one in x])
    assert torch.equal(x, before)
    again = painted(model, scores, x[1:2])
    assert torch.equal(alone[1], again) and not torch.equal(alone[0], alone[1])


@pytest.fixture(scope="module")
def static() -> Trial:
    """Two clips of one class; the net is not trained, which is cheap and no matter here."""
    labels = ("broom in hall", "flag in park", "racket on court")
    model = zoo.load("stage_c3d", weights="random", labels=labels, seed=0)
    x = torch.zeros(2, 3, 16, 64, 64)
    return Trial(
        "static", "static", model, x, torch.tensor([2, 2]), np.zeros((2, 16, 64, 64), bool)
    )


def test_concepts_are_found_in_training_clips_of_the_class(static, monkeypatch) -> None:
    asked = []

    def note(model, label, clips, randoms, **options):
        asked.append((label, [c.source for c in clips], [c.source for c in randoms]))
        return InputError("too few")

    monkeypatch.setattr(planted_stce, "explained", note)
    method = stce_map([static], rng=_rng(), clips=3, randoms=2)
    ((label, mine, others),) = asked
    assert label == "racket on court" and len(mine) == 3 and len(others) == 2
    assert all(name.startswith("stage:static/train/") for name in mine + others)
    assert all(int(name[-5:]) % 3 == 2 for name in mine)  # labels take turns
    assert all(int(name[-5:]) % 3 != 2 for name in others)

    with pytest.raises(InputError, match="STCE: InputError: too few"):
        attribute(method, static.model, static.x, target=static.target, rng=_rng())
    with pytest.raises(InputError, match="no concepts of 'broom in hall' were discovered"):
        attribute(method, static.model, static.x, target=torch.tensor([0, 2]), rng=_rng())
    other = replace(static.model, digest="1" * 64)
    with pytest.raises(
        InputError, match="no concepts of 'racket on court' were discovered in this"
    ):
        attribute(method, other, static.x, target=static.target, rng=_rng())
    elsewhere = replace(static.model, labels=("a", "b", "c"))  # the same weights, another task
    with pytest.raises(InputError, match="no concepts of 'c' were discovered"):
        attribute(method, elsewhere, static.x, target=static.target, rng=_rng())


def test_why_a_class_has_no_concepts_is_told(by_hand) -> None:
    found = explained(
        blocks.model(), "right", blocks.clips(1, 1), blocks.clips(5, 2), rng=_rng(),
        recipe=replace(RECIPE, concepts=20),
    )  # fmt: skip
    assert isinstance(found, InputError)
    assert str(found).startswith("concepts of 'right': 1 clips have 11 supervoxels")


# Video-TCAV


def colour(red: int, green: int, blue: int) -> Clip:
    frames = np.full((16, 112, 112, 3), (red, green, blue), np.uint8)
    return Clip(frames, 16.0, f"{red} {green} {blue}")


class Volume(Cells):
    """Cells with a volume to probe: mean colour, then logits of red + blue / 2, green, -3 red."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = torch.nn.AdaptiveAvgPool3d(1)
        self.flat = torch.nn.Flatten()
        self.head = torch.nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0, 0, 0.5], [0, 1, 0], [-3, 0, 0]]))


def of_colours(kind):
    """Things are redder (dynamic) or greener (static) than chance; the other thing is bluer."""
    bases, up = [20, 40, 60, 80], {"dynamic": (50, 0), "static": (0, 50)}[kind]
    sets = {
        "thing": [colour(b + up[0], b + up[1], b) for b in bases],
        "other": [colour(b, b, b + 50) for b in bases],
    }
    return sets | {f"random {j}": [colour(b + j, b + j, b + j) for b in bases] for j in (1, 2)}


def test_alignments_are_cosines_with_vectors_by_hand() -> None:
    model = toy_model(Volume(), [("pool", "NCTHW"), ("flat", "NC")])
    x = torch.randn(2, 3, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    one = Trial("motion", "motion", model, x, torch.tensor([0, 2]), np.zeros(x[:, 0].shape, bool))
    found = aligned(one, {0: of_colours, 2: of_colours})
    std = np.array(model.entry.std)
    with torch.inference_mode():
        p = model.logits(x).softmax(1).double().numpy()
    W = model.net.head.weight.detach().double().numpy()
    expected = {"thing dynamic": [], "thing static": [], "other dynamic": []}
    up = {"thing dynamic": (50, 0, 0), "thing static": (0, 50, 0), "other dynamic": (0, 0, 50)}
    for k, target in enumerate((0, 2)):
        g = W[target] - p[k] @ W
        for name, step in up.items():
            vs = [(np.array(step) - j) / std for j in (1, 2)]
            cosines = [g @ v / np.linalg.norm(g) / np.linalg.norm(v) for v in vs]
            expected[name].append(np.mean(cosines))
    np.testing.assert_allclose(found.thing["dynamic"], expected["thing dynamic"], atol=1e-4)
    np.testing.assert_allclose(found.thing["static"], expected["thing static"], atol=1e-4)
    np.testing.assert_allclose(found.other["dynamic"], expected["other dynamic"], atol=1e-4)
    assert found.thing["dynamic"][0] > 0 > found.thing["dynamic"][1]


def test_what_goes_and_which_thing_is_before() -> None:
    def of(dynamic, static):
        return {"dynamic": np.array(dynamic), "static": np.array(static)}

    found = Alignments(of([1, 1, 0.2, 0, 0.1], [0, 1, 0.6, 0, -0.1]), of([0, 1, 1, 0, 2], [9] * 5))
    np.testing.assert_allclose(found.gone, [1, 0, -0.5, 0, 1])
    assert found.where.tolist() == [1, 0.5, 0, 0.5, 0]


def test_tcav_answers_what_and_where_alone(static, monkeypatch) -> None:
    """An oracle: movement is all on one task, nothing on the other; no clip is rendered."""
    motion = replace(static, task="motion", kind="motion")
    place = replace(static, task="shortcut", kind="background")
    both = {"motion": ([0.9, 0.8], [0.1, 0.1]), "static": ([0.5, 0.5], [0.6, 0.6])}

    def oracle(one, folders):
        dynamic, static = map(np.array, both[one.task])
        return Alignments({"dynamic": dynamic, "static": static}, {"dynamic": static - 1})

    monkeypatch.setattr(planted_concepts, "aligned", oracle)
    monkeypatch.setattr(planted_concepts, "_clips", lambda *_: {})
    found = lines([motion, static, place], rng=_rng(), names=["Video-TCAV"])
    told = [(line.task, line.question, line.score.value) for line in found]
    assert told == [("motion", "where", 1), ("static", "where", 1), ("motion", "what", 1)]
    assert {line.family for line in found} == {"concepts"}

    def fails(one, folders):
        raise InputError("no clips")

    monkeypatch.setattr(planted_concepts, "aligned", fails)
    found = lines([motion, static], rng=_rng(), names=["Video-TCAV"])
    assert [(line.question, line.score, line.failed) for line in found] == [
        ("where", None, "no clips")
    ] * 2
    with pytest.raises(UnknownNameError, match="did you mean 'STCE'"):
        lines([motion], rng=_rng(), names=["STC"])


def test_concept_clips_are_of_the_thing_in_hand_and_of_training_videos(static) -> None:
    folders = planted_concepts._clips(static, 4, 2, None)
    assert list(folders) == [2]
    for kind in ("dynamic", "static"):
        sets = folders[2](kind)
        assert [*sets] == ["thing", "other", f"random {kind} 00", f"random {kind} 01"]
        assert all(len(clips) == 4 for clips in sets.values())
    static, dynamic = folders[2]("static")["thing"][0], folders[2]("dynamic")["thing"][0]
    assert (static.frames == static.frames[:1]).all()
    assert not (dynamic.frames == dynamic.frames[:1]).all()
