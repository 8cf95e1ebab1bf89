"""The zoo's entries: one table of architectures, inputs and probe layers."""

from collections.abc import Callable, Sequence
from functools import cache, partial

from torch import nn

from vxhelpers.nets.c3d import c3d
from vxhelpers.nets.entry import Entry, Layer, Layout
from vxhelpers.nets.i3d import i3d
from vxhelpers.nets.r3d import r3d

Builder = Callable[[int], nn.Module]


def _layers(layout: Layout, *names: str, top: Sequence[str] = ()) -> tuple[Layer, ...]:
    grids = tuple(Layer(name, layout) for name in names)
    return grids + tuple(Layer(name, "NC") for name in top)


def _swin3d(classes: int) -> nn.Module:
    from torchvision.models.video import SwinTransformer3d

    net: nn.Module = SwinTransformer3d(
        patch_size=[2, 4, 4],
        embed_dim=32,
        depths=[2, 2, 4],
        num_heads=[2, 4, 8],
        window_size=[8, 4, 4],
        stochastic_depth_prob=0.0,
        num_classes=classes,
    )
    return net


# ---- embedded: trained on rendered scenes, 16 frames of 64x64 -----------------------------------

_STAGE = partial(
    Entry,
    family="embedded",
    frames=16,
    stride=1,
    resize=(64, 64),
    crop=(64, 64),
    mean=(0.45, 0.45, 0.45),
    std=(0.225, 0.225, 0.225),
)

_EMBEDDED = (
    _STAGE(
        name="stage_c3d",
        build=partial(
            c3d,
            width=8,
            units=64,
            stride1=(1, 2, 2),
            pools=((1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 1, 1), (1, 1, 1)),
            grid=None,
            norm=True,
            dropout=0.2,
        ),
        layers=_layers("NCTHW", "relu1", "relu2", "relu3b", "relu4b", "relu5b", top=("fc6", "fc7")),
        top_layer="fc7",
        linear_head=False,
        head="fc8",
    ),
    _STAGE(
        name="stage_r3d",
        build=partial(r3d, width=8, blocks=(1, 1, 2, 2), strides=(1, 2, 2, 1)),
        layers=_layers("NCTHW", "stem", "layer1", "layer2", "layer3", "layer4", top=("avgpool",)),
        top_layer="avgpool",
        linear_head=True,
        head="fc",
    ),
    _STAGE(
        name="stage_i3d",
        build=partial(
            i3d,
            width=3 / 16,
            pool4_stride=(2, 1, 1),
            pool5_stride=(1, 1, 1),
            average=None,
            dropout=0.2,
        ),
        layers=_layers(
            "NCTHW",
            "Conv3d_1a_7x7",
            "Conv3d_2c_3x3",
            "Mixed_3c",
            "Mixed_4d",
            "Mixed_4f",
            "Mixed_5c",
            top=("avg_pool",),
        ),
        top_layer="avg_pool",
        linear_head=True,
        head="logits.conv3d",
    ),
    _STAGE(
        name="stage_swin3d",
        build=_swin3d,
        layers=_layers("NTHWC", "features.0", "features.2", "features.4", top=("avgpool",)),
        top_layer="avgpool",
        linear_head=True,
        head="head",
    ),
)


@cache
def entries() -> dict[str, Entry]:
    """All entries by name, in the order they are listed to readers."""
    return {entry.name: entry for entry in _EMBEDDED}
