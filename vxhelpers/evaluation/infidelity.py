"""Does a map predict what a small change does, and does it hold still under one? captum's measures.

Yeh et al., "On the (in)fidelity and sensitivity of explanations" (NeurIPS 2019), by captum, fed
with our maps and with a generator of their own: nothing is drawn from a global one.
"""

from copy import deepcopy
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.map_similarity import (
    Attribute,
    Measured,
    blocks,
    checked,
    explain,
    explained_classes,
    flat,
    grey_level,
    logits,
)
from vxhelpers.models.probe import Score, Target
from vxhelpers.models.zoo import Model


def infidelity(
    model: Model,
    x: Tensor,
    maps: npt.ArrayLike | Tensor,
    *,
    target: Target = None,
    of: Score = "logit",
    perturb: Literal["blank", "noise"] = "blank",
    cell: tuple[int, int, int] = (2, 8, 8),
    share: float = 0.1,
    level: float = 4.0,
    samples: int = 20,
    normalize: bool = True,
    rng: np.random.Generator,
    batch_size: int = 16,
) -> Measured:
    r"""Mean squared error of what a map says a perturbation costs (captum's ``infidelity``).

    .. math:: E_I \left[ (\beta I^T \Phi - (f(x) - f(x - I)))^2 \right],

    in squares of the score's unit; lower is better. A map has one value for all channels of a
    voxel, so it is divided among them evenly and the perturbation is the same in each.

    Parameters
    ----------
    model, x, maps, target
        As in `vxhelpers.evaluation.deletion.curves`.
    of
        The score :math:`f`: ``"logit"`` or ``"log_probability"``.
    perturb
        ``"blank"``: each block of ``cell`` voxels becomes 0 (the mean colour) with probability
        ``share``, and the map's values there are added up: for maps of contributions, such as
        integrated gradients. ``"noise"``: grey Gaussian noise of ``level`` grey levels, which the
        map is multiplied by: for maps of gradients.
    samples
        Perturbations of each clip.
    normalize
        True scales each map by the :math:`\beta` that suits it best (the authors' code), since most
        maps have no unit; False is the definition, :math:`\beta = 1`.
    rng
        Draws the perturbations; the map and its baseline get the same.
    batch_size
        Perturbed clips in one pass.

    Returns
    -------
    Measured
        The baseline is a map that is the same everywhere (one of zeros if not normalised).
    """
    from captum.metrics import infidelity as captum_infidelity

    if (perturb not in ("blank", "noise") or of not in ("logit", "log_probability")) or not (
        0 < share < 1 and samples >= 1 and batch_size >= 1
    ):
        raise InputError(
            f"perturb={perturb!r} is 'blank' or 'noise', of={of!r} 'logit' or 'log_probability', "
            f"share={share} between 0 and 1, samples={samples} and "
            f"batch_size={batch_size} 1 or more"
        )
    values = checked(maps, (len(x), *x.shape[2:]), of="infidelity")
    targets = explained_classes(model, target, logits(model, x, batch_size=batch_size))
    labels = blocks(x.shape[2:], cell)
    scale = 1.0 if perturb == "blank" else float(grey_level(model, x).mean()) * level

    def score(clips: Tensor) -> Tensor:
        found = model.logits(clips)
        return found if of == "logit" else found.log_softmax(1)

    def measure(clip: Tensor, one: Tensor, wanted: int, draws: np.random.Generator) -> float:
        def changed(clips: Tensor) -> tuple[Tensor, Tensor]:
            if perturb == "blank":
                gone = draws.random((len(clips), labels.max() + 1)) < share
                drawn = gone[:, labels].astype(np.float32)
            else:
                drawn = draws.standard_normal((len(clips), *labels.shape)).astype(np.float32)
            step = torch.from_numpy(drawn).to(clips)[:, None].expand_as(clips) * scale
            return step, clips - step * (clips if perturb == "blank" else 1)

        result = captum_infidelity(
            score,
            changed,
            clip[None],
            (one / len(clip)).to(clip).expand_as(clip)[None],
            target=wanted,
            n_perturb_samples=samples,
            max_examples_per_batch=min(batch_size, samples),
            normalize=normalize,
        )
        return max(float(result[0]), 0.0)  # what float32 leaves of nothing may be below 0

    even = torch.full(labels.shape, float(normalize))
    found, baseline = [], []
    for clip, one, wanted in zip(x, torch.from_numpy(values), targets.tolist(), strict=True):
        same = deepcopy(rng)
        found.append(measure(clip.to(model.device), one, wanted, rng))
        baseline.append(measure(clip.to(model.device), even, wanted, same))
    if (bad := ~np.isfinite(found)).any():
        raise NotFiniteError(f"NaN or infinity in a changed version of clip {int(bad.argmax())}")
    name = f"infidelity, {perturb}"
    return Measured(name, np.array(found), np.array(baseline), "lower", flat(values))


def sensitivity_max(
    model: Model,
    attribute: Attribute,
    x: Tensor,
    *,
    level: float = 1.0,
    samples: int = 10,
    target: Target = None,
    rng: np.random.Generator,
    batch_size: int = 8,
) -> Measured:
    """Largest relative change of a map within a small cube about the clip (captum's).

    The norm of the difference of maps over the norm of the clip's own; lower is better. The
    baseline is the difference to another clip's map (None for one clip alone).

    Parameters
    ----------
    model, attribute, x, target
        As in `vxhelpers.evaluation.robustness.under_noise`; the class stays the same.
    level
        Half the cube's side in grey levels of 255.
    samples
        Clips drawn evenly from the cube.
    rng
        Draws them.
    batch_size
        Clips that the method is called with at a time.
    """
    from captum.metrics import sensitivity_max as captum_sensitivity

    if samples < 1 or batch_size < 1 or level < 0:
        raise InputError(
            f"samples={samples} and batch_size={batch_size} must be 1 or more, level={level} 0 or "
            "more"
        )
    targets = explained_classes(model, target, logits(model, x, batch_size=batch_size))
    x = x.to(model.device)
    radius = grey_level(model, x) * level

    def near(clips: Tensor) -> Tensor:
        drawn = rng.uniform(-1, 1, tuple(clips.shape)).astype(np.float32)
        return clips + torch.from_numpy(drawn).to(clips) * radius

    def measure(clip: Tensor, wanted: Tensor) -> float:
        def maps(clips: Tensor | tuple[Tensor, ...]) -> tuple[Tensor]:
            # A tuple, since captum takes the single clips of a tensor apart.
            batch = clips if isinstance(clips, Tensor) else clips[0]
            with torch.enable_grad():  # captum turns gradients off, methods may need them
                found = explain(attribute, model, batch, wanted.repeat(len(batch)))
            return (torch.from_numpy(found),)

        most = min(batch_size, samples)
        found = captum_sensitivity(
            maps, clip[None], near, n_perturb_samples=samples, max_examples_per_batch=most
        )
        return float(found[0])

    values = [measure(clip, wanted) for clip, wanted in zip(x, targets, strict=True)]
    own = explain(attribute, model, x, targets)
    flattened = own.reshape(len(own), -1).astype(np.float64)
    size = np.linalg.norm(flattened, axis=1)
    other = np.linalg.norm(flattened - np.roll(flattened, -1, axis=0), axis=1)
    baseline = other / np.where(size > 0, size, 1.0) if len(own) > 1 else None
    return Measured("sensitivity_max", np.array(values), baseline, "lower", flat(own))
