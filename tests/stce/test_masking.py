from dataclasses import replace

import blocks
import numpy as np
import pytest
import torch
from reference import stce as slow

from vxhelpers.errors import InputError
from vxhelpers.stce.masking import cropped, fill_values, masked, masks_of, rendered

MODEL = blocks.model()
X = MODEL.prepare(blocks.clips(1, 1))[0]
CUT = blocks.by_hand()
MASKS = torch.from_numpy(CUT.masks())


def test_masks_are_the_supervoxels() -> None:
    found = masks_of(torch.from_numpy(CUT.labels), CUT.kept)
    assert found.dtype == torch.bool and torch.equal(found, MASKS)
    assert masks_of(torch.from_numpy(CUT.labels), CUT.kept[5:7]).shape == (2, 4, 8, 8)


@pytest.mark.parametrize("fill", ["mean", "black", (255, 0, 128)])
def test_in_place_all_else_is_the_fill_to_the_bit(fill) -> None:
    values = fill_values(MODEL.entry, fill)
    found = masked(X, MASKS, fill=values)
    for one, mask in zip(found, CUT.masks(), strict=True):
        assert torch.equal(one, slow.shown(X, mask, values.tolist()))


def test_everything_is_the_clip_and_nothing_the_blank() -> None:
    ends = torch.stack([torch.ones_like(MASKS[0]), torch.zeros_like(MASKS[0])])
    before = X.clone()
    whole, blank = masked(X, ends, fill=fill_values(MODEL.entry, "black"))
    assert torch.equal(whole, X) and torch.equal(X, before)
    assert torch.equal(blank, torch.full_like(X, -2.0))
    assert torch.equal(masked(X, ends)[1], torch.zeros_like(X))


def test_the_training_mean_is_the_papers_product() -> None:
    assert torch.equal(masked(X, MASKS), MASKS[:, None] * X[None] + 0.0)


def test_colours_are_normalised_as_pixels_are() -> None:
    clip = replace(blocks.clips(1, 1)[0], frames=np.full((4, 8, 8, 3), (10, 200, 77), np.uint8))
    torch.testing.assert_close(
        fill_values(MODEL.entry, (10, 200, 77)), MODEL.prepare(clip)[0, :, 0, 0, 0]
    )
    for bad in ("grey", (1, 2), (0, 0, 256)):
        with pytest.raises(InputError, match=r"fill=.*'mean', 'black', or \(R, G, B\)"):
            fill_values(MODEL.entry, bad)


def test_cropped_to_the_box_and_enlarged() -> None:
    """A box of half the side, twice as large: bilinear values by hand along a line."""
    line = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 2, 8, 8).contiguous()
    mask = torch.zeros(1, 2, 8, 8, dtype=torch.bool)
    mask[0, 0, 2:6, 4:8] = True
    found = cropped(line, mask, fill=torch.tensor([-1.0]))
    expected = torch.tensor([4, 4.25, 4.75, 5.25, 5.75, 6.25, 6.75, 7])
    assert torch.allclose(found[0, 0, 0], expected.expand(8, 8))
    assert (found[0, 0, 1] == -1).all()  # a frame without it
    mask[0, 1, 0, 0] = True  # the box is over all frames: now it is 6 x 8
    assert not torch.allclose(cropped(line, mask)[0, 0, 0], expected.expand(8, 8))


def test_a_crop_of_everything_is_the_clip() -> None:
    assert torch.equal(cropped(X, torch.ones_like(MASKS[:1]))[0], X)
    assert torch.equal(rendered(X, MASKS, form="in place"), masked(X, MASKS))
    assert torch.equal(rendered(X, MASKS, form="cropped"), cropped(X, MASKS))


def test_bad_input() -> None:
    with pytest.raises(InputError, match="mask 1 is empty"):
        cropped(X, torch.stack([MASKS[0], torch.zeros_like(MASKS[0])]))
    with pytest.raises(InputError, match=r"torch.bool \(11, 4, 8, 7\) for \(3, 4, 8, 8\)"):
        masked(X, MASKS[..., :7])
    with pytest.raises(InputError, match=r"are needed, not torch\.int16"):
        masked(X, MASKS.short())
    with pytest.raises(InputError, match="one value a channel, 3, not"):
        masked(X, MASKS, fill=torch.zeros(2))
    with pytest.raises(InputError, match="form='cut'"):
        rendered(X, MASKS, form="cut")


def test_a_clip_of_the_fills_colour_is_the_blank_to_the_bit() -> None:
    for value in range(0, 256, 5):
        clip = replace(blocks.clips(1, 1)[0], frames=np.full((4, 8, 8, 3), value, np.uint8))
        x, fill = MODEL.prepare(clip)[0], fill_values(MODEL.entry, (value,) * 3)
        assert torch.equal(masked(x, torch.zeros_like(MASKS[:1]), fill=fill)[0], x)
