"""The zoo's entries: one table of architectures, inputs and probe layers."""

import warnings
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from vxhelpers.models.nets.c3d import c3d
from vxhelpers.models.nets.entry import Entry, Layer, Layout
from vxhelpers.models.nets.i3d import i3d
from vxhelpers.models.nets.r3d import r3d
from vxhelpers.models.nets.swin3d import swin3d


def _layers(layout: Layout, *names: str, top: Sequence[str] = ()) -> tuple[Layer, ...]:
    grids = tuple(Layer(name, layout) for name in names)
    return grids + tuple(Layer(name, "NC") for name in top)


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

_C3D = _layers("NCTHW", "relu1", "relu2", "relu3b", "relu4b", "relu5b", top=("fc6", "fc7"))
_INCEPTION = _layers(
    "NCTHW",
    "Conv3d_1a_7x7",
    "Conv3d_2c_3x3",
    "Mixed_3c",
    "Mixed_4d",
    "Mixed_4f",
    "Mixed_5c",
    top=("avg_pool",),
)
_RESNET = _layers("NCTHW", "stem", "layer1", "layer2", "layer3", "layer4", top=("avgpool",))

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
        layers=_C3D,
        top_layer="fc7",
        linear_head=False,  # a ReLU stands between fc7 and fc8
        head="fc8",
    ),
    _STAGE(
        name="stage_r3d",
        build=partial(r3d, width=8, blocks=(1, 1, 2, 2), strides=(1, 2, 2, 1)),
        layers=_RESNET,
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
        layers=_INCEPTION,
        top_layer="avg_pool",
        linear_head=True,
        head="logits.conv3d",
    ),
    _STAGE(
        name="stage_swin3d",
        build=swin3d,
        layers=_layers("NTHWC", "features.0", "features.2.1", "features.2", top=("avgpool",)),
        top_layer="avgpool",
        linear_head=True,
        head="head",
    ),
)


# ---- torchvision: Kinetics-400, facts from the library's own weights records ---------------------


def _torchvision(
    name: str,
    *,
    frames: int,
    stride: int,
    layers: tuple[Layer, ...],
    head: str,
    family: str = "torchvision",
) -> Entry:
    """An entry whose size, normalisation, labels and address torchvision records with its weights.

    The records give the sampling in words only: ``clip_len`` frames at ``frame_rate``, hence the
    stride in videos of 30 frames a second.
    """
    from torchvision.models import get_model, get_model_weights

    weights = get_model_weights(name)["KINETICS400_V1"]
    transform = weights.transforms()

    def build(classes: int) -> nn.Module:
        net: nn.Module = get_model(name, weights=None, num_classes=classes)
        return net

    return Entry(
        name=name,
        family=family,
        build=build,
        frames=frames,
        stride=stride,
        resize=_size(transform.resize_size),
        crop=_size(transform.crop_size),
        mean=tuple(transform.mean),
        std=tuple(transform.std),
        layers=layers,
        top_layer=layers[-1].name,
        linear_head=True,
        head=head,
        labels=tuple(weights.meta["categories"]),
        url=weights.url,
    )


def _size(size: Sequence[int]) -> int | tuple[int, int]:
    """torchvision writes a short side as one number in a list."""
    return size[0] if len(size) == 1 else (size[0], size[1])


_SWIN = _layers("NTHWC", "features.0", "features.2", "features.4", "features.6", top=("avgpool",))


def _from_torchvision() -> tuple[Entry, ...]:
    return (
        *(
            _torchvision(name, frames=32, stride=2, layers=_SWIN, head="head", family="Video Swin")
            for name in ("swin3d_t", "swin3d_s", "swin3d_b")
        ),
        *(
            _torchvision(name, frames=16, stride=2, layers=_RESNET, head="fc")
            for name in ("r3d_18", "mc3_18", "r2plus1d_18")
        ),
        _torchvision(
            "s3d",
            frames=128,
            stride=2,
            layers=_layers(
                "NCTHW",
                "features.0",
                "features.3",
                "features.6",
                "features.12",
                "features.15",
                top=("avgpool",),
            ),
            head="classifier.1",
        ),
        # The classifier reads the class token alone, so the last block's patch tokens get no
        # gradient: block 14 is the last with something to map. 0, 2 and 13 end the stages before.
        _torchvision(
            "mvit_v2_s",
            frames=16,
            stride=4,
            layers=_layers(
                "NLC", "blocks.0", "blocks.2", "blocks.13", "blocks.14", top=("head.0",)
            ),
            head="head.1",
        ),
    )


# ---- PyTorchVideo: Kinetics-400, sampling and sizes of the project's torch hub pages -------------


class TwoPathways(nn.Module):
    """Feed a SlowFast net from one clip: all frames to the fast pathway, every fourth to the slow.

    The slow frames are spread evenly from the first to the last, as in the library's own examples
    (Feichtenhofer et al. 2019, alpha = 4 for SlowFast 8x8).
    """

    def __init__(self, net: nn.Module, alpha: int = 4) -> None:
        super().__init__()
        self.blocks, self.alpha = net.blocks, alpha  # the net's own names, so its files load

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, T, H, W)``, T a multiple of alpha, to ``(N, classes)`` logits."""
        frames = x.shape[2]
        picks = torch.linspace(0, frames - 1, frames // self.alpha, device=x.device).long()
        pathways: Any = [x.index_select(2, picks), x]
        for block in self.blocks:  # type: ignore[union-attr]
            pathways = block(pathways)
        logits: Tensor = pathways
        return logits


def _pytorchvideo(
    name: str,
    file: str,
    *,
    frames: int,
    stride: int,
    size: int,
    layers: tuple[Layer, ...],
    head: str = "blocks.5.proj",
) -> Entry:
    def build(classes: int) -> nn.Module:
        with warnings.catch_warnings():  # fvcore scripts two losses as it is imported
            warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
            from pytorchvideo.models import hub

        options: dict[str, Any] = {"model_num_class": classes}
        if name.startswith("x3d"):
            # Logits, not X3D's softmax; and torch's own Swish, the library's being deprecated.
            options |= {"head_activation": None, "inner_act": nn.SiLU}
        net: nn.Module = getattr(hub, name)(pretrained=False, **options)
        return TwoPathways(net) if name.startswith("slowfast") else net

    return Entry(
        name=name,
        family="PyTorchVideo",
        build=build,
        frames=frames,
        stride=stride,
        resize=size,
        crop=size,
        mean=(0.45, 0.45, 0.45),
        std=(0.225, 0.225, 0.225),
        layers=layers,
        top_layer=layers[-1].name,
        linear_head=True,
        head=head,
        labels=_kinetics(),
        url=f"https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/{file}",
    )


def _kinetics() -> tuple[str, ...]:
    """Kinetics-400's classes, in the alphabetical order in which every library numbers them."""
    from torchvision.models.video import R3D_18_Weights

    return tuple(R3D_18_Weights.KINETICS400_V1.meta["categories"])


def _from_pytorchvideo() -> tuple[Entry, ...]:
    stages = ("blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4")
    plain = _layers("NCTHW", *stages, top=("blocks.5.pool",))
    # Block 2 pools over time, which moves everything after it by one.
    pooled = _layers("NCTHW", *stages[:2], *stages[3:], "blocks.5", top=("blocks.6.pool",))
    # In each stage the fast pathway (all frames, few channels) stands before the slow one.
    pathways = _layers(
        "NCTHW",
        *(f"{stage}.multipathway_blocks.{path}" for stage in stages for path in (1, 0)),
        top=("blocks.5",),
    )
    entry = _pytorchvideo
    slow = partial(entry, frames=8, stride=8, size=256)
    return (
        slow("slow_r50", "SLOW_8x8_R50.pyth", layers=plain),
        entry(
            "slowfast_r50",
            "SLOWFAST_8x8_R50.pyth",
            frames=32,
            stride=2,
            size=256,
            layers=pathways,
            head="blocks.6.proj",
        ),
        entry("x3d_s", "X3D_S.pyth", frames=13, stride=6, size=182, layers=plain),
        entry("x3d_m", "X3D_M.pyth", frames=16, stride=5, size=256, layers=plain),
        slow("i3d_r50", "I3D_8x8_R50.pyth", layers=pooled, head="blocks.6.proj"),
        slow("c2d_r50", "C2D_8x8_R50.pyth", layers=pooled, head="blocks.6.proj"),
    )


# ---- the STCE paper's: full size, for weights that the user brings -------------------------------


def _from_papers() -> tuple[Entry, ...]:
    return (
        Entry(
            name="c3d",
            family="STCE paper",
            build=c3d,
            frames=16,
            stride=1,
            resize=(128, 171),
            crop=(112, 112),
            mean=(0.43216, 0.394666, 0.37645),
            std=(0.22803, 0.22145, 0.216989),
            layers=_C3D,
            top_layer="fc7",
            linear_head=False,  # a ReLU stands between fc7 and fc8
            head="fc8",
            labels=_kinetics(),
        ),
        Entry(
            name="i3d",
            family="STCE paper",
            build=i3d,
            frames=64,
            stride=1,
            resize=256,
            crop=(224, 224),
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            layers=_INCEPTION,
            top_layer="avg_pool",
            linear_head=True,
            head="logits.conv3d",
            labels=_kinetics(),
        ),
    )


@cache
def entries() -> dict[str, Entry]:
    """All entries by name, in the order they are listed to readers."""
    groups = (_EMBEDDED, _from_torchvision(), _from_pytorchvideo(), _from_papers())
    return {entry.name: entry for group in groups for entry in group}
