"""Our own networks against the papers' sizes, and a layer's layouts against values by hand."""

import pytest
import torch
from torch import nn

from vxhelpers.errors import InputError
from vxhelpers.models.nets.c3d import c3d
from vxhelpers.models.nets.catalogue import TwoPathways
from vxhelpers.models.nets.entry import Layer
from vxhelpers.models.nets.i3d import MaxPool, Unit3D, i3d
from vxhelpers.models.nets.r3d import r3d


def shapes(net: nn.Module, *size: int) -> dict[str, tuple[int, ...]]:
    """Output shape of each direct child, computed without memory or time."""
    found: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        x = torch.empty(1, 3, *size)
    for name, child in net.to("meta").named_children():
        x = child(x)
        found[name] = tuple(x.shape[1:])
    return found


def test_c3d_has_the_sizes_of_the_paper() -> None:
    with torch.device("meta"):
        net = c3d(487)
    seen = shapes(net, 16, 112, 112)
    assert seen["pool1"] == (64, 16, 56, 56)
    assert seen["pool2"] == (128, 8, 28, 28)
    assert seen["pool3"] == (256, 4, 14, 14)
    assert seen["pool4"] == (512, 2, 7, 7)
    assert seen["pool5"] == (512, 1, 4, 4)
    assert seen["flatten"] == (8192,)
    assert seen["fc6"] == seen["fc7"] == (4096,)
    assert seen["fc8"] == (487,)
    kernels = [m.kernel_size for m in net.modules() if isinstance(m, nn.Conv3d)]
    assert kernels == [(3, 3, 3)] * 8


def test_c3d_names_its_weights_as_the_files_in_circulation_do() -> None:
    with torch.device("meta"):
        keys = list(c3d(487).state_dict())
    convolutions = ["1", "2", "3a", "3b", "4a", "4b", "5a", "5b"]
    modules = [*(f"conv{c}" for c in convolutions), "fc6", "fc7", "fc8"]
    assert keys == [f"{m}.{kind}" for m in modules for kind in ("weight", "bias")]


def test_i3d_has_the_sizes_of_the_paper() -> None:
    with torch.device("meta"):
        net = i3d(400)
    seen = shapes(net, 64, 224, 224)
    assert seen["Conv3d_1a_7x7"] == (64, 32, 112, 112)
    assert seen["Conv3d_2c_3x3"] == (192, 32, 56, 56)
    assert seen["Mixed_3c"] == (480, 32, 28, 28)
    assert seen["Mixed_4f"] == (832, 16, 14, 14)
    assert seen["Mixed_5c"] == (1024, 8, 7, 7)
    assert seen["avg_pool"] == (1024, 1, 1, 1)
    assert seen["flatten"] == (400,)


def test_i3d_names_its_weights_as_the_published_files_do() -> None:
    with torch.device("meta"):
        keys = set(i3d(400).state_dict())
    units = {key.rsplit(".", 2)[0] for key in keys if key.endswith("conv3d.weight")}
    branches = ("b0", "b1a", "b1b", "b2a", "b2b", "b3b")
    mixed = {
        f"Mixed_{m}.{b}"
        for m in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
        for b in branches
    }
    assert units == mixed | {"Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3", "logits"}
    assert {"logits.conv3d.bias", "Conv3d_1a_7x7.bn.running_var"} <= keys


def test_the_average_of_i3d_weighs_its_windows_and_not_its_frames() -> None:
    net = i3d(2, width=1 / 32, average=(2, 1, 1))
    ramp = torch.arange(4.0).view(1, 1, 4, 1, 1) ** 2  # 0, 1, 4, 9: windows 0.5, 2.5, 6.5
    assert net.get_submodule("avg_pool")(ramp).item() == pytest.approx(9.5 / 3)
    assert i3d(2, width=1 / 32, average=None).get_submodule("avg_pool")(ramp).item() == 3.5


@pytest.mark.parametrize(("size", "stride"), [(7, 2), (8, 2), (9, 3), (5, 1)])
def test_same_padding_gives_one_output_a_stride(size: int, stride: int) -> None:
    x = torch.rand(1, 2, size, size, size)
    out = -(-size // stride)
    unit = Unit3D(2, 3, (3, 3, 3), (stride,) * 3).eval()
    assert unit(x).shape == (1, 3, out, out, out)
    pooled = MaxPool((3, 3, 3), (stride,) * 3)(x)
    assert pooled.shape == (1, 2, out, out, out)
    assert pooled.max() == x.max()


def test_same_padding_puts_the_odd_zero_at_the_end() -> None:
    x = torch.zeros(1, 1, 1, 1, 4)
    x[..., 0] = 1.0
    # Width 4, kernel 3, stride 2: one zero is needed; TensorFlow pads on the right.
    pooled = MaxPool((1, 1, 3), (1, 1, 2))(x)
    assert pooled.flatten().tolist() == [1.0, 0.0]
    assert MaxPool((1, 1, 3), (1, 1, 2))(x.flip(4)).flatten().tolist() == [0.0, 1.0]


def test_width_narrows_every_stage_alike() -> None:
    wide, narrow = shapes(r3d(6, width=8), 8, 32, 32), shapes(r3d(6, width=4), 8, 32, 32)
    for name in ("stem", "layer1", "layer2", "layer3", "layer4", "avgpool"):
        assert wide[name][0] == 2 * narrow[name][0]
        assert wide[name][1:] == narrow[name][1:]
    assert wide["fc"] == narrow["fc"] == (6,)


def test_r3d_strides_in_time_and_space() -> None:
    seen = shapes(r3d(6, strides=(1, 2, 2, 1)), 16, 64, 64)
    assert seen["stem"] == (8, 16, 32, 32)
    assert seen["layer2"] == (16, 8, 16, 16)
    assert seen["layer4"] == (64, 4, 8, 8)


def test_two_pathways_share_first_and_last_frame() -> None:
    class Frames(nn.Module):
        """Hands the frame numbers of both pathways through."""

        def forward(self, paths: list[torch.Tensor]) -> torch.Tensor:
            slow, fast = (p[0, 0, :, 0, 0] for p in paths)
            return torch.cat([slow, fast])[None]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([Frames()])

    x = torch.arange(32.0).view(1, 1, 32, 1, 1)
    both = TwoPathways(Net())(x)[0].tolist()
    assert both[:8] == [0, 4, 8, 13, 17, 22, 26, 31]
    assert both[8:] == list(range(32))


def test_layouts_become_channels_first() -> None:
    x = torch.arange(2 * 3 * 4 * 5 * 6.0).view(2, 3, 4, 5, 6)  # N, C, T, H, W
    last = x.permute(0, 2, 3, 4, 1)
    assert torch.equal(Layer("a", "NCTHW").canonical(x), x)
    assert torch.equal(Layer("a", "NTHWC").canonical(last), x)
    tokens = torch.cat([torch.full((2, 1, 3), -1.0), last.reshape(2, -1, 3)], dim=1)
    assert torch.equal(Layer("a", "NLC").canonical((tokens, (4, 5, 6))), x)
    assert torch.equal(Layer("a", "NC").canonical(x[:, :, :1, :1, :1]), x[:, :, 0, 0, 0])


def test_layouts_that_do_not_fit_are_refused() -> None:
    tokens = torch.zeros(1, 9, 3)
    with pytest.raises(InputError, match=r"layer 'b'.*\(1, 9, 3\) do not fill a grid of \(2, 2, 3"):
        Layer("b", "NLC").canonical((tokens, (2, 2, 3)))
    with pytest.raises(InputError, match="layer 'b': tokens need their"):
        Layer("b", "NLC").canonical(tokens)
    with pytest.raises(InputError, match="layer 'b': layout NTHWC does not fit"):
        Layer("b", "NTHWC").canonical(tokens)
    with pytest.raises(InputError, match="layer 'b': one tensor expected"):
        Layer("b", "NCTHW").canonical((tokens, (2, 2, 2)))
