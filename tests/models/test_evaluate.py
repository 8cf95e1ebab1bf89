"""Predictions, intervals and the causal check, on networks whose answers are known."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix
from torch import Tensor, nn

from vxhelpers.data.clip import Clip, freeze, reverse
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.evaluate import accuracy, causal_check, confusion, predict
from vxhelpers.models.nets.entry import Entry, Layer
from vxhelpers.models.zoo import Model
from vxhelpers.stats import paired_difference, wilson

LABELS = ("darker", "brighter", "still")


class Trend(nn.Module):
    """Names the sign of the change of brightness over the clip: all of it motion."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: Tensor) -> Tensor:
        brightness = x.mean(dim=(1, 3, 4))
        change = (brightness[:, -1] - brightness[:, 0]) * self.scale
        return torch.stack([-change, change, torch.full_like(change, 1.0)], dim=1)


class Bright(nn.Module):
    """Names the level of brightness: no motion needed."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: Tensor) -> Tensor:
        level = (x.mean(dim=(1, 2, 3, 4)) - 0.5) * self.scale
        return torch.stack([-level, level, torch.full_like(level, -100.0)], dim=1)


def model_of(net: nn.Module) -> Model:
    entry = Entry(
        name="toy",
        family="test",
        build=lambda n: net,
        frames=6,
        stride=2,
        resize=8,
        crop=8,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        layers=(Layer("scale", "NC"),),
        top_layer="scale",
        linear_head=False,
        head="scale",
    )
    return Model(entry, net.eval(), LABELS, "by hand", "0")


def ramp(low: int, high: int, name: str = "ramp", length: int = 20) -> Clip:
    values = np.linspace(low, high, length).round().astype(np.uint8)
    return Clip(np.broadcast_to(values[:, None, None, None], (length, 8, 8, 3)).copy(), 25, name)


@pytest.fixture
def clips() -> list[Clip]:
    return [ramp(200, 50), ramp(40, 210), ramp(90, 90), ramp(60, 180), ramp(220, 30)]


TRUTH = np.array([0, 1, 2, 1, 0])


def test_predict_equals_one_clip_at_a_time_and_any_batch(clips: list[Clip]) -> None:
    model = model_of(Trend())
    whole = predict(model, clips, batch=5)
    assert whole.shape == (5, 3) and whole.dtype == np.float32
    with torch.no_grad():
        single = [model.logits(model.prepare(clip))[0].numpy() for clip in clips]
    np.testing.assert_array_equal(whole, np.stack(single))
    np.testing.assert_array_equal(whole, predict(model, clips, batch=2))
    assert whole.argmax(1).tolist() == TRUTH.tolist()


def test_predict_takes_clips_only_when_their_batch_comes(clips: list[Clip]) -> None:
    class Counting(list[Clip]):
        taken = 0

        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            Counting.taken += 1
            return super().__getitem__(index)

    class Stops(Trend):
        def forward(self, x: Tensor) -> Tensor:
            assert Counting.taken == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(model_of(Stops()), Counting(clips), batch=2)


def test_logits_that_are_not_finite_name_the_clip(clips: list[Clip]) -> None:
    class Breaks(Bright):
        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)
            return torch.where(x.mean(dim=(1, 2, 3, 4))[:, None] < 0.3, torch.nan, logits)

    clips[3] = ramp(0, 10, "night.mp4")
    with pytest.raises(NotFiniteError, match=r"night\.mp4: logits that are not finite"):
        predict(model_of(Breaks()), clips)


def test_no_clips_and_no_batch_are_errors(clips: list[Clip]) -> None:
    with pytest.raises(InputError, match="is the split of the manifest empty"):
        predict(model_of(Trend()), [])
    with pytest.raises(InputError, match="batch must be at least 1"):
        predict(model_of(Trend()), clips, batch=0)


def test_wilson_agrees_with_scipy_and_stays_inside() -> None:
    for n in (1, 7, 40, 500):
        for correct in {0, 1, n // 3, n - 1, n}:
            for confidence in (0.8, 0.95):
                test = binomtest(correct, n).proportion_ci(confidence, method="wilson")
                low, high = wilson(correct, n, confidence=confidence)
                assert (low, high) == pytest.approx((test.low, test.high), abs=1e-12)
                assert 0 <= low <= correct / n <= high <= 1
    with pytest.raises(InputError, match="no interval for 3 of 2"):
        wilson(3, 2)


def test_accuracy_with_its_baselines() -> None:
    score = accuracy([0, 0, 0, 1], [0, 0, 1, 1], 4)
    assert (score.correct, score.n, score.value) == (3, 4, 0.75)
    assert (score.chance, score.majority) == (0.25, 0.75)
    assert str(score) == "0.750 [0.301, 0.954], n = 4"


def test_confusion_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 3, 50), rng.integers(0, 4, 50)
    expected = confusion_matrix(labels, predictions, labels=range(5))
    np.testing.assert_array_equal(confusion(labels, predictions, 5), expected)


@pytest.mark.parametrize(
    ("labels", "predictions", "text"),
    [
        ([0, 1], [0], r"labels \(2,\) and predictions \(1,\)"),
        ([], [], "1 or more"),
        ([0, 3], [0, 0], r"labels must be 0 to 2: \[0, 3\]"),
        ([0, 1], [0, -1], r"predictions must be 0 to 2: \[-1, 0\]"),
    ],
)
def test_labels_and_predictions_that_do_not_fit(
    labels: list[int], predictions: list[int], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        accuracy(labels, predictions, 3)


def test_causal_check_of_a_network_that_reads_motion(clips: list[Clip]) -> None:
    check = causal_check(model_of(Trend()), clips, TRUTH, rng=np.random.default_rng(0))
    assert check.accuracy["normal"].value == 1
    assert check.accuracy["frozen"].correct == 1  # all look still, and one is
    assert check.accuracy["reversed"].correct == 1
    # Reversing swaps darker and brighter.
    assert check.tables["reversed"].tolist() == [[0, 2, 0], [2, 0, 0], [0, 0, 1]]
    assert check.tables["frozen"][:, 2].tolist() == [2, 2, 1]


def test_causal_check_of_a_network_that_reads_one_frame_moves_nothing() -> None:
    clips = [ramp(20, 60), ramp(230, 190), ramp(10, 10)]
    check = causal_check(model_of(Bright()), clips, [0, 1, 0], rng=np.random.default_rng(0))
    assert {name: score.value for name, score in check.accuracy.items()} == {
        "normal": 1,
        "frozen": 1,
        "reversed": 1,
        "shuffled": 1,
    }


def test_causal_versions_are_those_of_the_window_that_is_shown() -> None:
    """On a clip as long as the window, the check equals predictions on edited clips."""
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (8, 11, 8, 8, 3)).astype(np.uint8)  # 11 frames: 6 with stride 2
    clips = [Clip(f, 25, "noise") for f in frames]
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    model = model_of(net)
    torch.manual_seed(0)
    predict(model, clips[:1])
    truth = np.arange(8) % 3
    check = causal_check(model, clips, truth, rng=np.random.default_rng(0))
    for name, edit in (("reversed", reverse), ("frozen", lambda c: freeze(c, 6))):
        expected = predict(model, [edit(clip) for clip in clips]).argmax(1)
        np.testing.assert_array_equal(check.tables[name], confusion(truth, expected, 3))


def test_shuffles_depend_on_the_generator_and_not_on_the_batch(clips: list[Clip]) -> None:
    tables = [
        causal_check(
            model_of(Trend()), clips * 4, np.tile(TRUTH, 4), rng=np.random.default_rng(s), batch=b
        ).tables["shuffled"]
        for s, b in ((0, 3), (0, 20), (1, 20))
    ]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[1], tables[2])


def test_the_check_keeps_every_prediction(clips: list[Clip]) -> None:
    check = causal_check(model_of(Trend()), clips, TRUTH, rng=np.random.default_rng(0))
    for edit, predictions in check.predictions.items():
        assert (confusion(TRUTH, predictions, 3) == check.tables[edit]).all()


def test_a_paired_difference_covers_the_true_one_as_often_as_it_says() -> None:
    """Exactly, over all tables of 12 pairs, at four laws."""
    from scipy.stats import multinomial

    n = 12
    tables = [
        (a, b, c, n - a - b - c)
        for a in range(n + 1)
        for b in range(n + 1 - a)
        for c in range(n + 1 - a - b)
    ]
    found = {}
    for a, b, c, d in tables:
        first = [True] * (a + b) + [False] * (c + d)
        second = [True] * a + [False] * b + [True] * c + [False] * d
        found[a, b, c, d] = paired_difference(first, second)
    for law in ((0.4, 0.3, 0.1, 0.2), (0.85, 0.1, 0.02, 0.03), (0.1, 0.8, 0.05, 0.05)):
        truth = law[1] - law[2]
        chances = multinomial.pmf(tables, n, law)
        inside = [found[t][1] <= truth <= found[t][2] for t in tables]
        assert 0.93 < chances[inside].sum() <= 1


def test_a_paired_difference_of_agreement_keeps_its_width() -> None:
    value, low, high = paired_difference([True] * 10, [False] * 10)
    assert value == 1 and 0.5 < low < 0.8 and high == pytest.approx(1)
    value, low, high = paired_difference([True] * 10, [True] * 10)
    assert value == 0 and low == pytest.approx(-high) and 0.1 < high < 0.4
    with pytest.raises(InputError, match="one length"):
        paired_difference([True], [True, False])
