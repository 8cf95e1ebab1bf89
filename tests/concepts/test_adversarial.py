from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import Cells, Deep3d, toy_model

from vxhelpers.concepts import adversarial
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.models.probe import probe


def noise(count: int, seed: int, *, size: int = 64, frames: int = 16) -> list[Clip]:
    rng = np.random.default_rng(seed)
    shape = (frames, size, size, 3)
    return [
        Clip(rng.integers(0, 256, shape, np.uint8), 25.0, f"noise {seed}.{i}") for i in range(count)
    ]


@pytest.fixture(scope="module")
def cells():
    return toy_model(Cells(), [("flat", "NC")])


@pytest.fixture(scope="module")
def deep():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return toy_model(Deep3d(), [("conv2", "NCTHW"), ("conv3", "NCTHW")])


def colour(model, channel, sign=1.0):
    """Direction that only one colour's cells have."""
    direction = torch.zeros(48)
    direction[16 * channel : 16 * (channel + 1)] = sign
    return direction


def along(model, clips, layer, direction):
    found = probe(model, model.prepare(clips), layers=[layer], gradients=False)
    return (found.activations[layer] * direction).flatten(1).sum(1).numpy()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_linear_layer_is_pushed_as_far_as_it_goes(cells, sign) -> None:
    """Every red value goes up (or down) by epsilon, to 255 (0) at most; nothing else changes."""
    clips = noise(3, 0)
    copies = [clip.frames.copy() for clip in clips]
    found = adversarial.nudge(
        cells, clips, layer="flat", direction=colour(cells, 0, sign), epsilon=3, steps=5,
        batch_size=2,
    )  # fmt: skip
    assert len(found) == 3
    for clip, before, after in zip(clips, copies, found, strict=True):
        expected = before.astype(int)
        expected[..., 0] = np.clip(expected[..., 0] + 3 * sign, 0, 255)
        np.testing.assert_array_equal(after.frames, expected)
        np.testing.assert_array_equal(clip.frames, before)
        assert after.source == clip.source and after.fps == clip.fps


def test_fewer_steps_than_levels_move_less(cells) -> None:
    (clip,) = noise(1, 1)
    (found,) = adversarial.nudge(
        cells, [clip], layer="flat", direction=colour(cells, 2), epsilon=8, steps=2
    )
    assert (found.frames.astype(int) - clip.frames).max() == 2


def test_a_deep_layer_moves_further_than_by_noise(deep) -> None:
    clips, epsilon = noise(4, 2), 4
    direction = adversarial.mean_gradient(deep, noise(3, 3), layer="conv3", target=1, batch_size=2)
    rng = np.random.default_rng(0)
    before = along(deep, clips, "conv3", direction)
    shaken = [
        replace(c, frames=(c.frames.astype(int) + epsilon * rng.choice([-1, 1], c.frames.shape))
                .clip(0, 255).astype(np.uint8))
        for c in clips
    ]  # fmt: skip
    by_noise = np.abs(along(deep, shaken, "conv3", direction) - before)
    for sign in (1, -1):
        pushed = adversarial.nudge(
            deep, clips, layer="conv3", direction=sign * direction, epsilon=epsilon, steps=8
        )
        moved = sign * (along(deep, pushed, "conv3", direction) - before)
        assert (moved > 3 * by_noise).all()
        far = max(
            np.abs(a.frames.astype(int) - b.frames).max()
            for a, b in zip(pushed, clips, strict=True)
        )
        assert far == epsilon
        again = adversarial.nudge(
            deep, clips, layer="conv3", direction=sign * direction, epsilon=epsilon, steps=8,
            batch_size=3,
        )  # fmt: skip
        same = np.mean([(a.frames == b.frames).mean() for a, b in zip(pushed, again, strict=True)])
        assert same > 0.999  # batches sum in another order, and a sign of nearly 0 may turn


def test_mean_gradient_is_the_mean_of_the_clips_gradients(deep) -> None:
    clips = noise(5, 4)
    x = deep.prepare(clips)
    gradients = probe(deep, x, layers=["conv2"], target=[0, 1, 2, 0, 1]).gradients["conv2"]
    found = adversarial.mean_gradient(
        deep, clips, layer="conv2", target=["left", "right", "still", "left", "right"], batch_size=2
    )
    torch.testing.assert_close(found, gradients.mean(0))


def test_seen_clips_are_taken_as_they_are(deep) -> None:
    entry = replace(deep.entry, resize=(40, 40), crop=(32, 32), stride=2, frames=8)
    model = replace(deep, entry=entry)
    clips = noise(2, 5, size=50, frames=20)
    small = adversarial.seen(model, clips)
    assert small[0].frames.shape == (8, 32, 32, 3) and small[0].fps == 12.5
    x, y = model.prepare(clips), adversarial.as_seen(model).prepare(small)
    torch.testing.assert_close(x, y)


def test_hooks_and_gradients_are_gone(deep) -> None:
    direction = torch.zeros(5, 2, 2, 2)
    with pytest.raises(InputError, match="direction of"):
        adversarial.nudge(deep, noise(1, 6), layer="conv3", direction=direction)
    assert not any(module._forward_hooks for module in deep.net.modules())
    assert all(parameter.grad is None for parameter in deep.net.parameters())


def test_bad_input(deep) -> None:
    options = {"layer": "conv3", "direction": torch.zeros(5, 8, 16, 16)}
    with pytest.raises(InputError, match=r"noise 7.0: frames of \(16, 50, 50\)"):
        adversarial.nudge(deep, noise(1, 7, size=50), **options)
    with pytest.raises(InputError, match="epsilon=0"):
        adversarial.nudge(deep, noise(1, 7), **options, epsilon=0)
    with pytest.raises(InputError, match="steps=0"):
        adversarial.nudge(deep, noise(1, 7), **options, steps=0)
    with pytest.raises(UnknownNameError, match="did you mean 'conv3'"):
        adversarial.nudge(deep, noise(1, 7), layer="conv33", direction=options["direction"])
