"""A narrow Video Swin (Liu et al. 2022): torchvision's blocks behind a convolutional stem."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn


class ConvStem(nn.Sequential):
    """Clip to tokens by three small convolutions, each with batch normalisation.

    In place of torchvision's one convolution a patch: early convolutions help transformers see
    (Xiao et al., NeurIPS 2021). Tokens stand for 2 frames of 8x8 pixels. With plain patches this
    narrow network's loss stays at chance for the first epochs; with the stem it falls at once.
    """

    def __init__(
        self,
        patch_size: Sequence[int],
        embed_dim: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        if list(patch_size) != [2, 8, 8]:
            raise ValueError(f"the stem makes tokens of 2x8x8 pixels, not {patch_size}")
        super().__init__(
            nn.Conv3d(3, 16, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2), bias=False),
            nn.BatchNorm3d(16),
            nn.ReLU(),
            nn.Conv3d(16, 32, 3, stride=(1, 2, 2), padding=1, bias=False),
            nn.BatchNorm3d(32),
            nn.ReLU(),
            nn.Conv3d(32, embed_dim, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm3d(embed_dim),
        )

    def forward(self, input: Tensor) -> Tensor:
        volume: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return volume.permute(0, 2, 3, 4, 1).contiguous()


def swin3d(
    classes: int,
    *,
    width: int = 64,
    depths: Sequence[int] = (2, 4),
    heads: Sequence[int] = (4, 8),
    window: Sequence[int] = (8, 4, 4),
) -> nn.Module:
    """torchvision's ``SwinTransformer3d`` with :class:`ConvStem`, and Xavier's initialisation.

    torchvision starts linear layers with a deviation of 0.02, which suits hundreds of channels; at
    64 it makes every block nearly the identity.

    Parameters
    ----------
    classes
        Number of outputs.
    width
        Channels of the first stage; each further stage has twice as many.
    depths, heads
        Blocks and attention heads of each stage.
    window
        Size of an attention window in tokens (T, H, W).
    """
    from torchvision.models.video import SwinTransformer3d

    net: nn.Module = SwinTransformer3d(
        patch_size=[2, 8, 8],
        embed_dim=width,
        depths=list(depths),
        num_heads=list(heads),
        window_size=list(window),
        stochastic_depth_prob=0.0,
        num_classes=classes,
        norm_layer=partial(nn.LayerNorm, eps=1e-5),
        patch_embed=ConvStem,
    )
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    return net
