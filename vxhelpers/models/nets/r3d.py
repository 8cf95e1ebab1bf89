"""A narrow R3D: torchvision's residual blocks (Tran et al. 2018) with free width and strides."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn
from torchvision.models.video.resnet import BasicBlock, Conv3DSimple

from vxhelpers.models.nets.initial import he


def r3d(
    classes: int,
    *,
    width: int = 8,
    blocks: Sequence[int] = (2, 2, 2, 2),
    strides: Sequence[int] = (1, 2, 2, 1),
) -> nn.Sequential:
    """Stem, four residual stages, average pooling and a linear classifier.

    torchvision's own ``r3d_18`` is fixed to 64 channels and strides (1, 2, 2, 2).

    Parameters
    ----------
    classes
        Number of outputs.
    width
        Channels of the stem and of ``layer1``; each further stage has twice as many.
    blocks, strides
        Residual blocks of each stage, and the stride in time and space of its first one.
    """
    steps: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            nn.Conv3d(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
        )
    )
    channels = width
    for index, (count, stride) in enumerate(zip(blocks, strides, strict=True)):
        planes = width * 2**index
        stage = []
        for block in range(count):
            step = stride if block == 0 else 1
            shortcut = None
            if step != 1 or channels != planes:
                shortcut = nn.Sequential(
                    nn.Conv3d(channels, planes, 1, stride=step, bias=False),
                    nn.BatchNorm3d(planes),
                )
            stage.append(BasicBlock(channels, planes, Conv3DSimple, step, shortcut))
            channels = planes
        steps[f"layer{index + 1}"] = nn.Sequential(*stage)
    steps["avgpool"] = nn.AdaptiveAvgPool3d(1)
    steps["flatten"] = nn.Flatten()
    steps["fc"] = nn.Linear(channels, classes)
    return he(nn.Sequential(steps))
