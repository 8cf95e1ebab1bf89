import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from vxhelpers.data.clip import Clip
from vxhelpers.data.sampling import output_size, prepare, prepare_mask, sample_frames, view
from vxhelpers.errors import InputError

MEAN, STD = (0.45, 0.40, 0.50), (0.225, 0.25, 0.2)


def noise(frames: int = 12, height: int = 30, width: int = 44) -> Clip:
    pixels = np.random.default_rng(3).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    return Clip(pixels, 25, "noise")


def test_window_is_centred_and_strided() -> None:
    assert sample_frames(noise(12), frames=4).tolist() == [4, 5, 6, 7]
    assert sample_frames(noise(12), frames=4, stride=3).tolist() == [1, 4, 7, 10]
    assert sample_frames(noise(12), frames=3, stride=2, start=5).tolist() == [5, 7, 9]
    assert sample_frames(12, frames=12).tolist() == list(range(12))


def test_short_clips_loop_or_hold() -> None:
    assert sample_frames(3, frames=7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert sample_frames(3, frames=7, short="hold").tolist() == [0, 1, 2, 2, 2, 2, 2]
    assert sample_frames(5, frames=4, stride=2).tolist() == [0, 2, 4, 1]
    assert sample_frames(6, frames=4, start=4).tolist() == [4, 5, 0, 1]
    assert sample_frames(1, frames=3).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"frames": 0}, "at least 1"),
        ({"frames": 2, "stride": 0}, "at least 1"),
        ({"frames": 2, "start": 12}, "start 12 is outside the clip of 12 frames"),
        ({"frames": 2, "start": -1}, "noise: start -1"),
        ({"frames": 2, "short": "mirror"}, "'loop' or 'hold'"),
    ],
)
def test_bad_windows_are_refused(options: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        sample_frames(noise(12), **options)


def test_prepare_equals_torchvision_step_by_step() -> None:
    clip = noise(12, 37, 50)
    x = prepare(clip, frames=4, stride=2, resize=24, crop=(20, 22), mean=MEAN, std=STD)
    frames = torch.from_numpy(clip.frames[[2, 4, 6, 8]]).permute(0, 3, 1, 2)
    frames = F.center_crop(F.resize(frames, [24], antialias=True), [20, 22])
    wanted = F.normalize(F.to_dtype(frames, torch.float32, scale=True), list(MEAN), list(STD))
    assert x.dtype == torch.float32 and x.shape == (3, 4, 20, 22) and x.is_contiguous()
    torch.testing.assert_close(x, wanted.transpose(0, 1), atol=2e-6, rtol=0)


def test_view_is_what_prepare_normalises() -> None:
    clip = noise()
    options = {"frames": 16, "stride": 1, "resize": (40, 60), "crop": 32, "short": "hold"}
    pixels = view(clip, **options)
    assert pixels.shape == (16, 32, 32, 3) and pixels.dtype == np.uint8
    wanted = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    x = prepare(clip, mean=MEAN, std=STD, **options)
    np.testing.assert_allclose(x.numpy(), wanted.transpose(3, 0, 1, 2), atol=2e-6)


def test_without_resize_and_crop_the_pixels_stay() -> None:
    clip = noise()
    assert np.array_equal(view(clip, frames=12, resize=None, crop=None), clip.frames)
    centre = view(clip, frames=12, resize=None, crop=(10, 20))
    assert np.array_equal(centre, clip.frames[:, 10:20, 12:32])


def test_mask_lies_on_the_view(moving_blob: Clip) -> None:
    """The blob found in the view and the blob's mask agree, whatever the geometry."""
    mask = moving_blob.frames[..., 0] == 230
    for resize, crop in ((96, 80), (72, 60), ((60, 64), (48, 40))):
        options = {"frames": 8, "stride": 2, "resize": resize, "crop": crop}
        pixels = view(moving_blob, **options).astype(int)
        seen = pixels[..., 0] - pixels[..., 2] > 95  # the blob alone is yellow
        fitted = prepare_mask(mask, **options)
        assert fitted.dtype == np.bool_ and fitted.shape == seen.shape
        assert seen.any()
        inside = np.logical_and(seen, fitted).sum() / np.logical_or(seen, fitted).sum()
        assert inside > 0.85


def test_mask_keeps_its_ids() -> None:
    ids = np.random.default_rng(0).choice(np.array([0, 7, 255], np.uint8), (5, 20, 30))
    fitted = prepare_mask(ids, frames=9, resize=33, crop=31)
    assert fitted.dtype == np.uint8 and fitted.shape == (9, 31, 31)
    assert set(np.unique(fitted)) <= {0, 7, 255}
    with pytest.raises(InputError, match="bool or uint8"):
        prepare_mask(ids.astype(np.float32), frames=2, resize=8, crop=8)


def test_inputs_are_not_changed_and_may_be_read_only() -> None:
    clip = noise()
    before = clip.frames.copy()
    clip.frames.setflags(write=False)
    x = prepare(clip, frames=12, resize=None, crop=None, mean=MEAN, std=STD)
    x += 1
    assert np.array_equal(clip.frames, before)


@pytest.mark.parametrize(
    ("size", "resize", "resized"),
    [((48, 64), 24, (24, 32)), ((64, 48), 24, (32, 24)), ((37, 50), 24, (24, 32))],
)
def test_short_side_keeps_the_aspect(
    size: tuple[int, int], resize: int, resized: tuple[int, int]
) -> None:
    assert output_size(*size, resize=resize, crop=None) == (resized, (0, 0, *resized))


def test_bad_geometry_is_refused() -> None:
    with pytest.raises(InputError, match=r"noise: .*resized to 16x23 has no centre crop of 20x20"):
        view(noise(), frames=2, resize=16, crop=20)
    with pytest.raises(InputError, match="std above 0"):
        prepare(noise(), frames=2, resize=None, crop=None, mean=MEAN, std=(1, 0, 1))
