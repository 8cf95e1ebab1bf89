"""What the zoo knows of a network: its input, its labels, its layers and their layouts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from vxhelpers.errors import InputError, UnknownNameError

Layout = Literal["NCTHW", "NTHWC", "NLC", "NC"]
Size = int | tuple[int, int]

# A transformer's block may hand on its tokens together with their (T, H, W) grid.
Output = Tensor | tuple[Tensor, tuple[int, int, int]]


@dataclass(frozen=True)
class Layer:
    """A module whose output is probed.

    Parameters
    ----------
    name
        Path of the module inside the net, as ``net.get_submodule`` takes it.
    layout
        Layout of its output: ``NCTHW``; ``NTHWC`` (channels last, Swin); ``NLC`` (a pair of tokens
        ``(N, 1 + T*H*W, C)``, class token first, and their grid ``(T, H, W)``, MViT); or ``NC``
        (pooled or fully connected: features with no grid left to map, whatever their shape).
    """

    name: str
    layout: Layout

    def canonical(self, output: Output) -> Tensor:
        """Bring this layer's output, or its gradient in the same form, to ``(N, C, T, H, W)``.

        Pooled features come back as ``(N, features)``. The class token of a token sequence is left
        out. The result is a view where possible.

        Raises
        ------
        InputError
            If the output does not have the declared layout.
        """
        if self.layout == "NLC":
            if isinstance(output, Tensor):
                raise InputError(f"layer {self.name!r}: tokens need their (T, H, W) grid")
            tokens, grid = output
            if tokens.ndim != 3 or tokens.shape[1] != 1 + grid[0] * grid[1] * grid[2]:
                raise InputError(
                    f"layer {self.name!r}: tokens of shape {tuple(tokens.shape)} do not fill a "
                    f"grid of {grid} and a class token"
                )
            return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, *grid)
        if not isinstance(output, Tensor):
            raise InputError(f"layer {self.name!r}: one tensor expected, not {type(output)}")
        if self.layout == "NC":
            return output.flatten(1)
        if output.ndim != 5:
            raise InputError(
                f"layer {self.name!r}: layout {self.layout} does not fit {tuple(output.shape)}"
            )
        return output if self.layout == "NCTHW" else output.permute(0, 4, 1, 2, 3)


@dataclass(frozen=True)
class Entry:
    """One architecture of the zoo, with everything needed to feed, read and probe it.

    Parameters
    ----------
    name, family
        Name in the zoo, and where the architecture comes from.
    build
        Makes the net, randomly initialised, for a number of classes.
    frames, stride
        Frames the net takes, and steps between them in the video.
    resize, crop
        Short side or ``(height, width)`` that frames are resized to, and the centre crop.
    mean, std
        Normalisation of R, G, B on the scale of 0 to 1.
    layers
        Probe layers, input to output. The last one with a grid (layout other than ``NC``) is the
        last whose grid carries a gradient.
    top_layer
        The features that the classifier reads: STCE's layer.
    linear_head
        True when only pooling, dropout (off when explaining) and a linear layer follow
        ``top_layer``: a logit's gradient there is one constant vector, the same for every clip.
    head
        Path of the final linear layer; its weight has one row a class.
    labels
        Labels of the published weights; empty where there are none.
    url
        Published weights; empty where there are none.
    """

    name: str
    family: str
    build: Callable[[int], nn.Module]
    frames: int
    stride: int
    resize: Size
    crop: Size
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layers: tuple[Layer, ...]
    top_layer: str
    linear_head: bool
    head: str
    labels: tuple[str, ...] = ()
    url: str = ""

    def layer(self, name: str) -> Layer:
        """Look a probe layer up by name; raises UnknownNameError with the nearest names."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = [layer.name for layer in self.layers]
        raise UnknownNameError("layer", name, known, where=f"model {self.name!r}")
