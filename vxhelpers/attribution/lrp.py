"""Layer-wise relevance propagation on video: a logit handed down, layer by layer, to the pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn

from vxhelpers.attribution.lrp_rules import Composite, Steps, layer_rules, merged
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.probe import Target, class_indices, in_batches
from vxhelpers.models.zoo import Model


@dataclass(frozen=True, eq=False)
class Relevance:
    """Maps of relevance and what they explain.

    Parameters
    ----------
    maps
        ``(N, T, H, W)`` float32, raw and signed.
    scores
        ``(N,)`` logits of the explained classes: what was handed down.
    targets
        ``(N,)`` int64 explained classes.
    """

    maps: Tensor
    scores: Tensor
    targets: Tensor

    @property
    def absorbed(self) -> Tensor:
        """``(N,)`` score less the map's sum: what biases, and stabilised divisions, have kept."""
        return self.scores - self.maps.sum((1, 2, 3))


def lrp(
    model: Model,
    x: Tensor,
    *,
    target: Target = None,
    composite: Composite = "epsilon_plus",
    batch_size: int | None = None,
) -> Tensor:
    r"""Map how much of a class's logit each pixel of a clip answers for.

    The logit is the relevance :math:`R` of the output. Each layer divides the relevance of a unit
    :math:`j` among its inputs :math:`i` by what they bring to it. With :math:`z_{ij} = a_i w_{ij}`,

    .. math:: R_i = \sum_j \frac{z_{ij}}{\epsilon + \sum_{i'} z_{i'j} + b_j} R_j \quad (\epsilon),
              \qquad R_i = \sum_j \frac{z_{ij}^+}{\sum_{i'} z_{i'j}^+ + b_j^+} R_j \quad (z^+)

    (Bach et al., "On Pixel-Wise Explanations", PLoS ONE 2015, equations 58 and 60; Montavon et al.,
    "Explaining nonlinear classification decisions with deep Taylor decomposition", Pattern
    Recognition 2017). The composites say which rule a layer has:

    ``"epsilon"``
        :math:`\epsilon` everywhere. Without biases the map adds up to the logit; in a network of
        ReLUs it is the gradient times the input.
    ``"epsilon_plus"``
        :math:`z^+` for convolutions, :math:`\epsilon` for the linear layers that classify (also
        for a classifier written as a 1x1x1 convolution): evidence for and against the class is
        told apart at the top. Biases keep what is theirs, often most of it (`Relevance.absorbed`).
    ``"deep_taylor"``
        :math:`z^+` everywhere, and at the pixels the :math:`z^\mathcal{B}` rule, whose root points
        lie in the box of black and white pixels :math:`l \le x \le h`:
        :math:`z_{ij} = x_i w_{ij} - l_i w_{ij}^+ - h_i w_{ij}^-`. As in the paper biases have no
        share; what is lost, 5 % at most in the shipped networks, are units that a bias alone
        switched on. All of a map has the sign of its logit.

    Max-pooling hands relevance to the winner, average pooling to its inputs in proportion, a
    residual sum to its terms in proportion. Batch norms become part of the convolution before them.

    **Maps under** :math:`z^+` **hardly know the class** (Sixt, Granz and Landgraf, "When
    Explanations Lie", ICML 2020): in the shipped motion networks those of two classes have a
    cosine of 0.96 to 1.00, under ``"epsilon"`` of 0.2 to 0.9. They show what the network has seen,
    not what tells this class from that one.

    **Deviations.** A residual sum under :math:`z^+` is divided by positive parts (zennit's Norm
    rule would divide by signed terms, which lets relevance grow without bound where they nearly
    cancel). Deep Taylor decomposition is about a score above zero; a negative logit is handed
    down as it is. The rules are zennit's (Anders et al. 2021), on a copy of the network whose batch
    norms torch merges: zennit's own merging leaves each batch norm's ``eps`` behind, an error of
    0.006 in the logits of ``stage_i3d``, and it knows the residual blocks of torchvision's image
    networks alone. captum's LRP has no rule for Conv3d, BatchNorm3d or residual sums.

    Parameters
    ----------
    model
        A convolutional network of the zoo, in evaluation mode; it is not changed.
    x
        ``(N, C, T, H, W)`` prepared clips.
    target
        The class to explain: an index, a label, one of either for each clip, or None for each
        clip's predicted class.
    composite
        The rules, as above.
    batch_size
        Clips in one pass; all of them unless told.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` float32 on the network's device, summed over channels, positive where a
        pixel speaks for the class, in units of the logit. Under ``"epsilon"`` and
        ``"epsilon_plus"`` pixels of the mean colour, 0 in prepared input, have no relevance. The
        cost is two forward passes and a backward pass of two to five times the usual.

    Raises
    ------
    InputError
        If shapes, targets or options do not fit, the network is in training mode, clips leave the
        box of black and white, memory runs out, or the network has a step without a rule, such as
        attention.
    UnknownNameError
        If a label is not the model's.
    NotFiniteError
        If NaN or infinity appears, with the clip's index.
    """
    return relevance(model, x, target=target, composite=composite, batch_size=batch_size).maps


def relevance(
    model: Model,
    x: Tensor,
    *,
    target: Target = None,
    composite: Composite = "epsilon_plus",
    batch_size: int | None = None,
) -> Relevance:
    """Map relevance as `lrp` does, and tell the logits, the classes and what biases absorbed."""
    if composite not in get_args(Composite):
        raise InputError(f"composite={composite!r}: choose one of {', '.join(get_args(Composite))}")
    if any(module.training for module in model.net.modules()):
        raise InputError(f"model {model.entry.name!r} is in training mode: call model.net.eval()")
    targets = class_indices(model, target, clips=len(x))
    with torch.inference_mode(False):
        net = merged(model.net)

        def step(rows: slice) -> Relevance:
            # Tensors made in inference mode cannot enter a graph; copies can.
            clips = x[rows].clone().to(model.device)
            with torch.no_grad():
                logits = model.logits(clips)
            _check_finite(clips, "the input", rows.start)
            classes = logits.argmax(1) if targets is None else targets[rows].to(logits.device)
            rules = layer_rules(model, net, clips, composite)
            found = _propagate(model, net, clips, logits, classes, rules, composite)
            _check_finite(found.maps, "the relevance", rows.start)
            return found

        parts = list(in_batches(step, clips=len(x), batch_size=batch_size, shape=x.shape[1:]))
    return Relevance(
        maps=torch.cat([part.maps for part in parts]),
        scores=torch.cat([part.scores for part in parts]),
        targets=torch.cat([part.targets for part in parts]),
    )


def _propagate(
    model: Model,
    net: nn.Module,
    x: Tensor,
    logits: Tensor,
    classes: Tensor,
    rules: Mapping[str, Any],
    composite: Composite,
) -> Relevance:
    """Run the merged network under its rules and hand the logits of the classes down to ``x``."""
    from zennit.composites import NameMapComposite

    scores = logits.gather(1, classes[:, None])
    hooks = NameMapComposite([((name,), rule) for name, rule in rules.items()])
    weights = {id(net.get_submodule(name).weight): name for name in rules}
    x = x.requires_grad_()
    with hooks.context(net), torch.enable_grad():
        with Steps(model.entry.name, weights, rectified=composite != "epsilon"):
            out = net(x)
        tolerance = 1e-3 * float(logits.abs().max().clamp(min=1))
        if float((out.detach() - logits).abs().max()) > tolerance:
            raise InputError(
                f"model {model.entry.name!r} gives other logits once its batch norms are merged "
                "into the convolutions registered before them: register modules in the order they "
                "run in, and use what an in-place sum returns"
            )
        start = torch.zeros_like(out).scatter(1, classes[:, None], scores)
        (found,) = torch.autograd.grad(out, x, start)
    return Relevance(found.detach().sum(1).float(), scores[:, 0].float(), classes.clone())


def _check_finite(values: Tensor, what: str, first: int) -> None:
    bad = ~values.isfinite().flatten(1).all(1)
    if bool(bad.any()):
        raise NotFiniteError(
            f"NaN or infinity in {what} of clip {first + int(bad.nonzero()[0])}: "
            "check that clip's pixels and the weights"
        )
