"""C3D (Tran et al. 2015, section 3), full size or narrow."""

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn

from vxhelpers.models.nets.initial import he

BLOCKS = (("1", 1), ("2", 2), ("3a", 4), ("3b", 4), ("4a", 8), ("4b", 8), ("5a", 8), ("5b", 8))
POOLS = ((1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2))


def c3d(
    classes: int,
    *,
    width: int = 64,
    units: int = 4096,
    pools: Sequence[tuple[int, int, int]] = POOLS,
    grid: tuple[int, int, int] | None = (1, 4, 4),
    stride1: tuple[int, int, int] = (1, 1, 1),
    norm: bool = False,
    dropout: float = 0.5,
) -> nn.Sequential:
    """Eight 3x3x3 convolutions in five stages, then ``fc6``, ``fc7`` and the classifier ``fc8``.

    Every step is a child of its own, named as in the paper (``conv1`` ... ``conv5b``, ``pool5``,
    ``fc7``), so that each can be probed and the state dicts in circulation load.

    Parameters
    ----------
    classes
        Number of outputs.
    width
        Channels of ``conv1``; the stages have 1, 2, 4, 8 and 8 times as many.
    units
        Outputs of ``fc6`` and of ``fc7``.
    pools
        Kernel and stride of the max-pooling after each stage; ``(1, 1, 1)`` for none.
    grid
        The (T, H, W) left by ``pool5``, flattened into ``fc6``: (1, 4, 4) for the paper's
        16x112x112 input. None averages over whatever is left, for any input size.
    stride1
        Stride of ``conv1`` in (T, H, W); the paper has none.
    norm
        Batch normalisation after each convolution (the paper has none).
    dropout
        Share of ``fc6`` and ``fc7`` outputs dropped in training.
    """
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for index, (block, factor) in enumerate(BLOCKS):
        stride = stride1 if block == "1" else (1, 1, 1)
        steps[f"conv{block}"] = nn.Conv3d(
            channels, factor * width, 3, stride=stride, padding=1, bias=not norm
        )
        channels = factor * width
        if norm:
            steps[f"norm{block}"] = nn.BatchNorm3d(channels)
        steps[f"relu{block}"] = nn.ReLU()
        stage = block[0]
        if index + 1 == len(BLOCKS) or BLOCKS[index + 1][0][0] != stage:
            kernel = pools[int(stage) - 1]
            last = stage == "5" and grid is not None  # 7x7 positions become 4x4, not 3x3
            if kernel != (1, 1, 1):
                steps[f"pool{stage}"] = nn.MaxPool3d(
                    kernel, kernel, padding=(0, 1, 1) if last else 0
                )
    if grid is None:
        steps["average"] = nn.AdaptiveAvgPool3d(1)
    steps["flatten"] = nn.Flatten()
    features = channels * prod(grid or (1,))
    for fc, size in (("6", features), ("7", units)):
        steps[f"fc{fc}"] = nn.Linear(size, units)
        steps[f"relu{fc}"] = nn.ReLU()
        steps[f"drop{fc}"] = nn.Dropout(dropout)
    steps["fc8"] = nn.Linear(units, classes)
    return he(nn.Sequential(steps))
