"""Do maps hold still: from frame to frame, under noise, after a video is encoded again?"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.data.clip import Clip
from vxhelpers.data.video import read_clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.evaluation.map_similarity import (
    SIMILARITIES,
    Attribute,
    Better,
    Classes,
    Flags,
    Measured,
    Values,
    alike,
    checked,
    explain,
    explained_classes,
    flat,
    grey_level,
    logits,
    unlike,
)
from vxhelpers.models.probe import Target
from vxhelpers.models.zoo import Model

Noise = Literal["gaussian", "uniform"]


@dataclass(frozen=True, eq=False)
class Stability:
    """How alike N maps stay in R slightly changed versions of their clips.

    Parameters
    ----------
    change
        What was done to the clips, in words.
    targets
        ``(N,)`` the class explained, the same in every version.
    kept
        ``(R, N)``: the version's prediction is that of the clip as it is. Where it is not, a map
        may change with good reason.
    similarity
        For each of the similarities ``(R, N)``, to the map of the clip as it is; also of versions
        whose prediction changed.
    baseline
        For each similarity ``(N,)``: how alike the map is to that of another clip; None for one
        clip alone.
    flat
        ``(1 + R, N)``: the map is the same everywhere (the clip as it is first); its rank
        correlations are 0.
    better
        Higher: what is seen is the same, and so is what the network says of it.
    """

    change: str
    targets: Classes
    kept: Flags
    similarity: Mapping[str, Values]
    baseline: Mapping[str, Values] | None
    flat: Flags
    better: Better = "higher"

    @property
    def lost(self) -> Flags:
        """``(N,)``: no version of the clip kept its prediction, so that nothing can be asked."""
        gone: Flags = np.logical_not(self.kept.any(axis=0))
        return gone

    def values(self, similarity: str = "rank") -> Values:
        """Mean over the versions that kept their prediction, for each clip that is not `lost`."""
        if similarity not in self.similarity:
            raise UnknownNameError("similarity", similarity, self.similarity)
        found, seen = self.similarity[similarity], ~self.lost
        means: Values = (found * self.kept).sum(0)[seen] / self.kept.sum(0)[seen]
        return means


def temporal_smoothness(maps: npt.ArrayLike | Tensor) -> Measured:
    """Flicker: mean absolute change from frame to frame, over the mean absolute value.

    Lower is better, of maps that are otherwise equally good: a map that never changes scores 0, and
    evidence that moves makes a true map change. The baseline is what the same frames come to in
    random order: the exact mean over all orders, which is that over all pairs of frames.

    Parameters
    ----------
    maps
        ``(N, T, H, W)`` raw signed maps of two frames or more. A map of zeros scores 0.
    """
    values = checked(maps, np.shape(maps), of="flicker")
    if values.shape[1] < 2:
        raise InputError(f"maps of {values.shape}: flicker needs two frames or more")
    frames = values.reshape(*values.shape[:2], -1).astype(np.float64)
    size = np.abs(frames).mean((1, 2))
    size = np.where(size > 0, size, 1.0)
    steps = range(1, frames.shape[1])
    by_lag = [np.abs(frames[:, lag:] - frames[:, :-lag]).mean(2) for lag in steps]
    return Measured(
        name="flicker",
        values=by_lag[0].mean(1) / size,
        baseline=np.concatenate(by_lag, axis=1).mean(1) / size,
        better="lower",
        flat=flat(values),
    )


def under_noise(
    model: Model,
    attribute: Attribute,
    x: Tensor,
    *,
    noise: Noise = "gaussian",
    level: float = 4.0,
    repeats: int = 5,
    target: Target = None,
    similarities: Sequence[str] = SIMILARITIES,
    rng: np.random.Generator,
    batch_size: int | None = None,
) -> Stability:
    """Add noise to the input and see how alike the maps stay.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode.
    attribute
        The method, called as ``attribute(model, x, target=targets)``.
    x
        ``(N, C, T, H, W)`` prepared clips.
    noise, level
        ``"gaussian"`` of this standard deviation, or ``"uniform"`` between minus and plus this, in
        grey levels of 255. Values are not clipped.
    repeats
        Noisy versions of each clip.
    target
        The class to explain: an index, a label, one of either for each clip, or None for what is
        predicted for the clip as it is. The noisy versions are asked for the same.
    similarities
        Which of `vxhelpers.evaluation.map_similarity.alike`.
    rng
        Draws the noise.
    batch_size
        Clips in one pass of the predictions; a method has a batch size of its own.

    Raises
    ------
    InputError
        If shapes or options do not fit, or the network is in training mode.
    NotFiniteError
        If a map or a logit holds NaN or infinity; names the clip.
    """
    draws: dict[str, Callable[[tuple[int, ...]], Values]] = {
        "gaussian": lambda size: rng.standard_normal(size),
        "uniform": lambda size: rng.uniform(-1, 1, size),
    }
    if noise not in draws or level < 0 or repeats < 1:
        raise InputError(
            f"noise={noise!r} is one of {', '.join(draws)}, level={level} 0 or more, "
            f"repeats={repeats} 1 or more"
        )
    grey = grey_level(model, x) * level

    def noisy() -> Tensor:
        drawn = draws[noise](tuple(x.shape)).astype(np.float32)
        return x + torch.from_numpy(drawn).to(x) * grey

    return _stability(
        model,
        attribute,
        x,
        (noisy() for _ in range(repeats)),
        change=f"{noise} noise of {level:g} grey levels",
        target=target,
        similarities=similarities,
        batch_size=batch_size,
    )


def under_reencoding(
    model: Model,
    attribute: Attribute,
    clips: Sequence[Clip],
    *,
    crf: int = 28,
    target: Target = None,
    similarities: Sequence[str] = SIMILARITIES,
    batch_size: int | None = None,
) -> Stability:
    """Encode clips again as H.264 and see how alike the maps stay: one version of each clip.

    Parameters
    ----------
    model, attribute, target, similarities, batch_size
        As in `under_noise`.
    clips
        The clips, before they are prepared.
    crf
        Constant rate factor: 0 loses nothing but colour's resolution, 23 is x264's default, 51 the
        worst.
    """
    again = [reencoded(clip, crf=crf) for clip in clips]
    return _stability(
        model,
        attribute,
        model.prepare(clips),
        (model.prepare(again) for _ in range(1)),
        change=f"encoded again, H.264 at CRF {crf}",
        target=target,
        similarities=similarities,
        batch_size=batch_size,
    )


def reencoded(clip: Clip, *, crf: int) -> Clip:
    """Encode a clip as H.264 (yuv420p) and decode it: as many frames of the same size.

    The same clip gives the same frames: x264 runs in one thread and without its assembly, which is
    slower. Odd sides are filled up with a copy of the border while the clip is encoded.

    Raises
    ------
    InputError
        If ``crf`` is not 0 to 51.
    VideoError
        If the video cannot be read back.
    """
    import av

    if not 0 <= crf <= 51:
        raise InputError(f"crf={crf}: H.264 takes 0 (best) to 51")
    height, width = clip.frames.shape[1:3]
    even = np.pad(clip.frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w") as file:
            rate = Fraction(clip.fps).limit_denominator(1001)
            # x264's assembly depends on what was in memory before (seen at 112x112, build 165).
            options = {"crf": str(crf), "threads": "1", "x264-params": "asm=0"}
            stream: Any = file.add_stream("libx264", rate=rate, options=options)
            stream.height, stream.width, stream.pix_fmt = *even.shape[1:3], "yuv420p"
            for image in even:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        frames = read_clip(path, frames=len(clip)).frames[:, :height, :width]
    if len(frames) != len(clip):
        raise InputError(f"{clip.source}: {len(clip)} frames became {len(frames)} when encoded")
    return replace(clip, frames=np.ascontiguousarray(frames))


def _stability(
    model: Model,
    attribute: Attribute,
    x: Tensor,
    versions: Iterable[Tensor],
    *,
    change: str,
    target: Target,
    similarities: Sequence[str],
    batch_size: int | None,
) -> Stability:
    scores = logits(model, x, batch_size=batch_size)
    targets, predicted = explained_classes(model, target, scores), scores.argmax(1)
    before = explain(attribute, model, x, targets)
    kept, found, even = [], [], [flat(before)]
    for version in versions:
        kept.append(logits(model, version, batch_size=batch_size).argmax(1) == predicted)
        after = explain(attribute, model, version, targets)
        found.append(alike(before, after, similarities=similarities))
        even.append(flat(after))
    return Stability(
        change=change,
        targets=targets.numpy(),
        kept=torch.stack(kept).numpy(),
        similarity={name: np.stack([one[name] for one in found]) for name in similarities},
        baseline=unlike(before, similarities=similarities),
        flat=np.stack(even),
    )
