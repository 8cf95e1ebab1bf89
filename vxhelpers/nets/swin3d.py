"""A narrow Video Swin (Liu et al. 2022): torchvision's blocks behind our own patch embedding."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn


class TokenNorm(nn.BatchNorm1d):
    """Batch normalisation of channels-last tokens ``(N, T, H, W, C)``."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(0, -2)).view(input.shape)


class PatchEmbed(nn.Module):
    """Patches to tokens, with every channel brought to one variance.

    Half of the filters start antisymmetric in time, as frame differences. Without the two changes,
    what stands still outweighs what moves in every token, and a norm over the token's channels
    keeps it so.
    """

    def __init__(
        self,
        patch_size: Sequence[int],
        embed_dim: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        size = (patch_size[0], patch_size[1], patch_size[2])
        self.proj = nn.Conv3d(3, embed_dim, size, size, bias=False)
        with torch.no_grad():
            moving = self.proj.weight[: embed_dim // 2]
            moving[:, :, size[0] // 2 :] = -moving[:, :, : size[0] // 2]
        self.norm = TokenNorm(embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.norm(self.proj(x).permute(0, 2, 3, 4, 1))
        return tokens


def swin3d(
    classes: int,
    *,
    patch: Sequence[int] = (2, 8, 8),
    width: int = 64,
    depths: Sequence[int] = (2, 4),
    heads: Sequence[int] = (4, 8),
    window: Sequence[int] = (8, 4, 4),
) -> nn.Module:
    """torchvision's ``SwinTransformer3d`` with :class:`PatchEmbed`.

    Parameters
    ----------
    classes
        Number of outputs.
    patch, window
        Sizes in (T, H, W): of a patch in pixels (even in time), of an attention window in tokens.
    width
        Channels of the first stage; each further stage has twice as many.
    depths, heads
        Blocks and attention heads of each stage.
    """
    from torchvision.models.video import SwinTransformer3d

    net: nn.Module = SwinTransformer3d(
        patch_size=list(patch),
        embed_dim=width,
        depths=list(depths),
        num_heads=list(heads),
        window_size=list(window),
        stochastic_depth_prob=0.0,
        num_classes=classes,
        norm_layer=partial(nn.LayerNorm, eps=1e-5),
        patch_embed=PatchEmbed,
    )
    return net
