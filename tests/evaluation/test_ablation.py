"""What a class relies on, on networks that read one thing alone."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.toys import toy_model
from vxhelpers.data.datasets import open_data
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.evaluation.ablation import Reliance, parts, reliance, still_places, swept
from vxhelpers.models import samples, zoo

T, H, W = 6, 32, 32
N = 8  # clips, half of them of class "right"
LABELS = ["right"] * (N // 2) + ["left"] * (N // 2)


class Reads(nn.Module):
    """Logit of "right" is ten times the mean of one channel of what ``reader`` makes of a clip."""

    def __init__(self, reader) -> None:
        super().__init__()
        self.reader = reader
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        value = 10 * self.reader(x)
        return torch.stack([torch.zeros_like(value), value, torch.full_like(value, -50.0)], 1)


def model_of(reader) -> zoo.Model:
    return toy_model(Reads(reader), [("unused", "NC")])


@pytest.fixture
def clips() -> tuple[Tensor, dict[str, np.ndarray]]:
    """Own clips have 1 where others have -1: person in channel 0, object in 1, place in 2.

    The person is 4x3 pixels and goes right by one pixel a frame in own clips, left in others; the
    object, a single pixel, stays.
    """
    x = torch.zeros(N, 3, T, H, W)
    masks = {name: np.zeros((N, T, H, W), bool) for name in ("ground", "person", "arms", "ball")}
    for clip, label in enumerate(LABELS):
        sign = 1.0 if label == "right" else -1.0
        x[clip, 2] = sign
        for t in range(T):
            left = 3 + (t if sign > 0 else T - 1 - t)
            person = np.s_[t, 5:9, left : left + 3]
            masks["person"][clip][person] = True
            masks["arms"][clip][t, 5, left] = True
        masks["ball"][clip][:, 12, 12] = True
        for channel, name in enumerate(("person", "ball")):
            where = torch.from_numpy(masks[name][clip])
            x[clip, :, where] = 0.0
            x[clip, channel, where] = sign
    masks["ground"] = ~(masks["person"] | masks["ball"])
    return x, masks


def found_by(reader, clips, **options) -> Reliance:
    x, masks = clips
    options = {"target": "right", "rng": np.random.default_rng(0), **options}
    return reliance(model_of(reader), x, masks, LABELS, **options)


def reliances(found: Reliance) -> dict[str, float]:
    rng = np.random.default_rng(1)
    told = {what: found.reliance_on(what, rng=rng) for what in found.contrasts}
    return {what: mean.value for what, mean in told.items() if mean is not None}


def person(x: Tensor) -> Tensor:
    return x[:, 0].sum((1, 2, 3)) / (12 * T)


def ball(x: Tensor) -> Tensor:
    return x[:, 1].sum((1, 2, 3)) / T


def place(x: Tensor) -> Tensor:
    return x[:, 2].mean((1, 2, 3)).sign()


def motion(x: Tensor) -> Tensor:
    """Whether what is neither place nor object goes right or left."""
    there = x[:, 0].abs()
    where = (there * torch.arange(W)).sum((2, 3)) / there.sum((2, 3)).clamp(min=1e-6)
    return where.diff(dim=1).mean(1)


@pytest.mark.parametrize(
    ("reader", "whole", "nothing"),
    [
        (person, {"person"}, {"motion", "order", "direction", "objects", "place"}),
        (ball, {"objects"}, {"motion", "order", "direction", "person", "place"}),
        (place, {"place"}, {"motion", "order", "direction", "person", "objects"}),
        (motion, {"motion", "person"}, {"objects", "place"}),
    ],
)
def test_a_network_that_reads_one_thing_leans_on_it_alone(clips, reader, whole, nothing):
    found = found_by(reader, clips)
    told = reliances(found)
    assert found.separation("normal", rng=np.random.default_rng(0)).value == pytest.approx(
        1, abs=1e-3
    )
    assert {what: told[what] for what in whole} == pytest.approx(dict.fromkeys(whole, 1), abs=2e-3)
    still = {what: told[what] for what in nothing - {"person", "objects"}}
    assert still == pytest.approx(dict.fromkeys(still, 0), abs=1e-6)
    # A control's hole may come upon what is read, so that a part's reliance may be below 0.
    assert all(told[what] < 1e-6 for what in nothing & {"person", "objects"})


def test_reversal_makes_a_clip_one_of_the_other_class(clips):
    assert reliances(found_by(motion, clips))["direction"] == pytest.approx(2, abs=1e-3)


def test_the_favourite_class_of_a_network_that_knows_nothing_leans_like_the_others(clips):
    """Without the place the answer is always "right": its own probability never falls."""
    found = found_by(lambda x: place(x) + 0.5 * (place(x) == 0), clips)
    without = found_by(lambda x: motion(x) + 0.5 * (motion(x) == 0), clips)
    assert without.drop("motion").max() < 0.01
    assert reliances(without)["motion"] == pytest.approx(1, abs=0.01)
    other = found_by(lambda x: motion(x) + 0.5 * (motion(x) == 0), clips, target="left")
    assert reliances(other)["motion"] == pytest.approx(reliances(without)["motion"], abs=0.01)
    assert reliances(found)["place"] == pytest.approx(1, abs=0.01)


def test_a_hole_harms_as_such_and_the_control_takes_that_off(clips):
    """A network that counts pixels of the mean colour anywhere: every hole weighs the same."""

    def holes(x: Tensor) -> Tensor:
        return 0.5 - ((x == 0).all(1).float().mean((1, 2, 3)))

    found = found_by(holes, clips)
    logit = {name: values[found.own] for name, values in found.logit.items()}
    assert (logit["normal"] - logit["person hidden"]).min() > 0.4
    beyond = logit["person hidden elsewhere"] - logit["person hidden"]
    assert np.abs(beyond).max() < 0.02  # where the moved hole meets the mean colour of the clip
    assert np.abs(found.drop("person")).max() < 1e-3


def test_hidden_is_what_the_part_sweeps_and_cut_out_its_outline(clips):
    x, masks = clips
    seen = []
    model = model_of(lambda x: seen.append(x.clone()) or person(x))
    found = reliance(model, x, masks, LABELS, target="right", rng=np.random.default_rng(0))
    names = [name for name in found.probability if name != "place of any class"]
    version = dict(zip(names, seen, strict=True))
    hole = (version["person hidden"] == 0).all(1).numpy()
    assert (hole == hole[:, :1]).all()
    assert hole[0, 0].sum() == (4 + 2) * (3 + T - 1 + 2) - 4  # a pixel around, but for the corners
    assert ((version["person cut out"] == 0).all(1).numpy() == masks["person"]).all()
    elsewhere = (version["person hidden elsewhere"] == 0).all(1).numpy()
    assert elsewhere.sum() == hole.sum() and not (elsewhere & masks["person"]).all()
    assert found.area["person"] == pytest.approx(hole[0].mean())
    assert torch.equal(version["normal"], x) and torch.equal(version["reversed"], x.flip(2))


def test_places_are_swapped_behind_what_stands_before_them(clips):
    x, masks = clips
    seen = []
    model = model_of(lambda x: seen.append(x.clone()) or place(x))
    reliance(model, x, masks, LABELS, target="right", rng=np.random.default_rng(0))
    its, of_class, of_others = seen[-3:]
    corner = (slice(None), 2, 0, 0, 0)
    assert its[corner].tolist() == x[corner].tolist()
    assert of_class[corner].tolist() == [1.0] * N and of_others[corner].tolist() == [-1.0] * N
    shown = torch.from_numpy(masks["person"] | masks["ball"])
    for version in (its, of_class, of_others):
        assert torch.equal(version.movedim(1, -1)[shown], x.movedim(1, -1)[shown])


def test_still_places_are_the_mean_of_what_is_seen():
    x = torch.arange(4.0).view(1, 1, 4, 1, 1).repeat(1, 1, 1, 2, 2)
    front = np.zeros((1, 4, 2, 2), bool)
    front[0, 2:, 0, 0] = True  # seen in frames 0 and 1
    front[0, :, 1, 1] = True  # never seen
    still = still_places(x, front)[0, 0]
    assert still[0, 0] == 0.5 and still[0, 1] == 1.5
    assert still[1, 1] == pytest.approx((0.5 * 2 + 1.5 * 8) / 10)


def test_a_class_without_objects_has_none_and_clips_without_are_left_out(clips):
    x, masks = clips
    masks["ball"][: N // 2] = False
    assert "objects" not in found_by(ball, (x, masks)).contrasts
    masks["ball"][0, :, 12, 12] = masks["ball"][1, :, 12, 12] = True
    found = found_by(ball, (x, masks))
    assert found.reliance_on("objects", rng=np.random.default_rng(0)).n == 2
    assert np.isnan(found.probability["objects hidden"][found.own]).sum() == N // 2 - 2
    masks["ball"][1] = False
    found = found_by(ball, (x, masks))
    assert found.reliance_on("objects", rng=np.random.default_rng(0)) is None
    del masks["ball"]
    assert "objects" not in parts(masks)


def test_without_ground_truth_there_is_what_moves_and_the_rest(clips):
    x, masks = clips
    found = found_by(place, (x, {"moving": masks["person"]}))
    told = reliances(found)
    assert set(told) == {"motion", "order", "direction", "what moves", "the rest"}
    assert told["the rest"] == pytest.approx(1, abs=2e-3)
    assert told["what moves"] == pytest.approx(0, abs=1e-6)


def test_parts_are_people_and_things():
    mask = np.ones((1, 2, 4, 4), bool)
    names = ("ground", "person", "arms", "legs", "bystander", "ball", "racket")
    masks = {name: np.zeros_like(mask) for name in names}
    masks["ball"][0, 0, 0, 0] = masks["racket"][0, 0, 1, 1] = masks["person"][0, 0, 2, 2] = True
    masks["bystander"][0, 0, 3, 3] = True
    found = parts(masks)
    assert set(found) == {"person", "objects"}
    assert found["objects"].sum() == 2 and found["person"].sum() == 1


def test_swept_is_the_same_in_all_frames():
    mask = np.zeros((1, 3, 8, 8), bool)
    mask[0, 0, 2, 2] = mask[0, 2, 5, 5] = True
    wide = swept(mask)
    assert (wide == wide[:, :1]).all() and wide[0, 1].sum() == 10


def test_the_interval_covers_and_needs_two_clips():
    values = np.array([1.0, 0.5, 0.75, 0.25, 0.0, 0.1])
    own = np.array([True, True, True, True, False, False])
    found = Reliance(
        1, own, {"normal": values, "frozen": 0 * values}, {}, {"motion": ("normal", "frozen")}, {}
    )
    mean = found.reliance_on("motion", rng=np.random.default_rng(0))
    assert mean.value == pytest.approx(0.625 - 0.05) and mean.n == 4
    assert mean.low < mean.value < mean.high
    assert mean == found.reliance_on("motion", rng=np.random.default_rng(0))


def test_the_same_seed_gives_the_same_and_nothing_is_changed(clips):
    x, masks = clips
    before = x.clone()
    first, second = found_by(person, (x, masks)), found_by(person, (x, masks), batch_size=3)
    for name, values in first.logit.items():
        np.testing.assert_allclose(values, second.logit[name], atol=1e-5)
    assert torch.equal(x, before)


def test_errors_name_what_is_wrong(clips):
    x, masks = clips
    with pytest.raises(InputError, match="8 clips of 'right' and 0 of other classes"):
        reliance(
            model_of(person), x, masks, ["right"] * N, target="right", rng=np.random.default_rng()
        )
    with pytest.raises(InputError, match="mask 'person' is bool"):
        found_by(person, (x, {"person": masks["person"][:, :2]}))
    with pytest.raises(UnknownNameError, match="rigt"):
        found_by(person, clips, target="rigt")
    with pytest.raises(NotFiniteError, match="frozen: NaN"):
        found_by(lambda x: person(x) / (x[:, :, 0] - x[:, :, 1]).abs().sum((1, 2, 3)), clips)


@pytest.mark.parametrize(
    ("task", "label", "whole", "nothing"),
    [
        ("motion", "forehand", {"motion"}, {"place"}),
        ("shortcut", "juggling", {"place"}, {"motion", "objects", "person"}),
    ],
)
def test_planted_evidence_is_found_on_the_stage(task, label, whole, nothing):
    data, net = open_data(f"stage:{task}"), zoo.load("stage_r3d", weights=task)
    rng = np.random.default_rng(0)
    rows = [
        row
        for name in data.labels
        for row in samples.draw(data, label=name, limit=6 if name == label else 3, rng=rng)
    ]
    clips = samples.collect(data, net, rows)
    x = net.prepare(clips.clips)
    found = reliance(net, x, clips.masks, clips.labels, target=label, rng=rng)
    told = {what: found.reliance_on(what, rng=rng) for what in found.contrasts}
    assert all(told[what].low > 0.6 for what in whole)
    assert all(abs(told[what].value) < 0.15 for what in nothing)
    blind = zoo.load("stage_r3d", weights="random", labels=net.labels)
    again = reliance(blind, x, clips.masks, clips.labels, target=label, rng=rng)
    assert all(abs(again.reliance_on(what, rng=rng).value) < 0.1 for what in again.contrasts)
