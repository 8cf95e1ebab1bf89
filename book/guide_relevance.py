# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (guide_relevance)=
# # Field guide: relevance, in space and in time
#
# *How is the logit shared out among the pixels, and how much of it needs movement?*
#
# :::{admonition} Card
# :class: tip
# **You will** hand a logit down to the pixels by three sets of rules, separate what stills answer for from
# what movement adds, and measure how much arrives and whether the map knows the class.
#
# **Before:** {doc}`guide_gradients`. **Reading:** 5 minutes. **Running:** under a minute on one CPU core.
# :::

# %% tags=["parameters"]
action = "forehand"
dataset = "stage:motion"
root = None
model = "stage_r3d"
weights = "motion"
seed = 0
profile = "standard"

# %% tags=["hide-input"]
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from vxhelpers.attribution import lrp, lrp_split, registry
from vxhelpers.data import provenance
from vxhelpers.data.datasets import open_data
from vxhelpers.evaluation import compare
from vxhelpers.evaluation.compare_report import (
    CostReport,
    NetworksFitReport,
    RecoveryReport,
)
from vxhelpers.figures import charts, filmstrips
from vxhelpers.models import zoo

rng = np.random.default_rng(seed)
limit, few = {"quick": (2, 1), "standard": (6, 3)}[profile]
provenance.describe("guide_relevance", globals())

# %% [markdown]
# ## What it answers
#
# Layer-wise relevance propagation {cite:p}`bach2015lrp` starts with the logit and lets every layer divide
# the relevance $R_j$ of a unit among its inputs, by what each brings to it, $z_{ij} = a_i w_{ij}$:
#
# $$
# R_i = \sum_j \frac{z_{ij}}{\sum_{i'} z_{i'j} + b_j} R_j
# $$ (eq-guide_relevance-lrp)
#
# | method | rule | call |
# |---|---|---|
# | LRP, epsilon | {eq}`eq-guide_relevance-lrp` in every layer | `composite="epsilon"` |
# | LRP, epsilon-plus | positive $z_{ij}$ alone in convolutions | `composite="epsilon_plus"` |
# | deep Taylor {cite:p}`montavon2017deeptaylor` | positive $z_{ij}$ alone everywhere, and pixels have limits | `composite="deep_taylor"` |
#
# All three are `relevance.lrp`. {cite:t}`hiley2019discriminating`, which the survey of
# {cite:t}`hiley2019explainable` recommends for video, **separate** such a map $R$: each frame $t$ is held
# still for a clip of its own, $x^{(t)}$, and what it has there is what its appearance answers for:
#
# $$
# R^{spatial}_t = R_t(x^{(t)}), \qquad R^{temporal}_t = R_t(x) - R_t(x^{(t)})
# $$ (eq-guide_relevance-split)
#
# Against their published code, nothing is scaled before the difference is taken; `relevance_split.split`
# says why.
#
# ## A toy with a known answer
#
# Two networks of one convolution: the first looks at each frame alone, so that nothing of it is temporal;
# the second sees only the change from frame to frame, so that nothing of it is spatial.


# %%
def toy(kernel):
    copy = torch.nn.Conv3d(3, 1, (len(kernel), 1, 1), bias=False)
    copy.weight.data = (
        torch.tensor(kernel).view(1, 1, -1, 1, 1).repeat(1, 3, 1, 1, 1)
    )
    line = torch.nn.Linear(1, 1, bias=False)
    line.weight.data = torch.ones(1, 1)
    steps = [
        copy,
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool3d(1),
        torch.nn.Flatten(),
    ]
    layer = (zoo.Layer("0", "NCTHW"),)
    entry = replace(zoo.ENTRIES["stage_r3d"], name="toy", layers=layer, head="4")
    net = torch.nn.Sequential(*steps, line).eval()
    return zoo.Model(entry, net, ("brightness",), "by hand", "")


moves = torch.rand(1, 3, 4, 6, 6, generator=torch.Generator().manual_seed(seed))
toys = {
    "each frame alone": lrp_split.split(toy([1.0]), moves, target=0),
    "changes alone": lrp_split.split(toy([-1.0, 1.0]), moves, target=0),
}

# %% tags=["hide-input"]
lines = [
    "| network | logit | spatial, largest | temporal, largest | by hand |",
    "|---" * 5 + "|",
]
known = {"each frame alone": "temporal 0", "changes alone": "spatial 0"}
for name, parts in toys.items():
    lines.append(
        f"| {name} | {parts.scores[0]:.3f} | {parts.spatial.abs().max():.1e} | "
        f"{parts.temporal.abs().max():.1e} | {known[name]} |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## One clip, all maps

# %%
data, net = open_data(dataset, root=root), zoo.load(model, weights=weights)
found, trial = compare.gather(data, net, label=action, count=limit, rng=rng)
family = [m for m in registry.METHODS if m.family == "relevance"]
rules = [m for m in family if "temporal" not in m.name]
answers = compare.compare(rules, net, trial.x, target=trial.target, seed=seed)
ran = {name: a.maps for name, a in answers.items() if a.maps is not None}
blank_net = compare.untrained(net, seed=seed)
blank = compare.compare(rules, blank_net, trial.x, target=trial.target, seed=seed)
wrong = compare.compare(
    registry.named("random map", "centre blob", "movement filter"),
    net, trial.x, target=trial.target, seed=seed,
)  # fmt: skip
x, target = trial.x[:few], trial.target[:few]
temporal = compare.compare(family[-1:], net, x[:1], target=target[:1], seed=seed)
parts = lrp_split.split(net, x, target=target) if "deep Taylor" in ran else None
held = x[:1, :, x.shape[2] // 2, None].expand_as(x[:1])

# %% tags=["hide-input"]
fits = f"*{model}* has the rules it needs." if ran else (
    f"**No rule of this family fits *{model}*:** {next(iter(answers.values())).failed}. "
    "The sections below then have nothing to show."
)  # fmt: skip
Markdown(fits)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_relevance-strip", "caption": "The first of the clips drawn, unexplained, and under each map; the line is around what the maps are held against. Red speaks for the class, blue against it. Each map has its own limits, which cover 99 % of its values; the two parts add up to deep Taylor."}}
rows = {name: maps[0] for name, maps in ran.items()}
if parts is not None:
    rows |= {
        "spatial part": parts.spatial[0].cpu().numpy(),
        "temporal part": parts.temporal[0].cpu().numpy(),
    }
k = found.scale
enlarged = {name: m.repeat(k, 1).repeat(k, 2) for name, m in rows.items()}
filmstrips.overlay_filmstrip(
    found.pixels[0],
    enlarged,
    frames=6,
    fps=found.fps[0],
    shared=False,
    signed=True,
    covered=0.99,
    units="",
    outline=trial.evidence[0].repeat(k, 1).repeat(k, 2),
) if rows else filmstrips.filmstrip({"clip": found.pixels[0]}, fps=found.fps[0])

# %% [markdown]
# Added up over each frame, relevance is a curve over time: when does what the network saw matter, as a still
# and as movement? Beside it the curve of a clip that stands still at its middle frame: there all frames are
# the same, so whatever its curve does is the network's way of weighing places in time.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_relevance-time", "caption": "Relevance of each frame of the same clip, in units of the logit, its two parts, and that of the clip held still at its middle frame. Only where they differ in shape from that of the clip held still do the curves speak of the clip."}}
curves = {}
if parts is not None:
    curves = {
        "whole": parts.whole,
        "spatial part": parts.spatial,
        "temporal part": parts.temporal,
        "clip held still": lrp.lrp(
            net, held, target=target[:1], composite="deep_taylor"
        ),
    }
charts.over_time(
    {
        name: lrp_split.over_time(m[:1])[0].cpu().numpy()
        for name, m in curves.items()
    },
    fps=found.fps[0],
    units="relevance of the frame",
) if parts is not None else filmstrips.filmstrip(
    {"clip": found.pixels[0]}, frames=2
)

# %% tags=["hide-input"]
text = ""
if parts is not None:
    lines = ["| clip | logit | spatial, sum | temporal, sum | mean logit of stills |",
             "|---" * 5 + "|"]  # fmt: skip
    for n in range(len(parts.scores)):
        still = parts.still_scores[n].mean()
        lines.append(f"| {n + 1} | {parts.scores[n]:.1f} | {parts.spatial[n].sum():.1f} | "
                     f"{parts.temporal[n].sum():.1f} | {still:.1f} |")  # fmt: skip
    turned = int((parts.still_scores.mean(1) < 0).sum())
    text = "\n".join(lines) + (
        f"\n\nFor {turned} of {len(parts.scores)} clips the stills speak *against* the class in the mean: "
        "then the spatial part is negative, and the temporal part larger than the whole."
        if turned else "\n\nIn none of these clips do the stills speak against the class in the mean."
    )  # fmt: skip
Markdown(text or fits)

# %% [markdown]
# ## How much arrives, and does it know the class?
#
# By {eq}`eq-guide_relevance-lrp` a map should add up to the logit, but biases keep a share. And a map that
# explains one class should differ from that of another. {cite:t}`sixt2020` proved that rules of positive
# parts alone converge to one map whatever the class. Here is the cosine of each clip's map for its own class
# with that for another, the less alike of the next two in the network's order.

# %%
steps = [k for k in (1, 2) if k < len(net.labels)]
told = {}
for composite in (
    ("epsilon", "epsilon_plus", "deep_taylor") if ran and steps else ()
):
    own, *others = (
        lrp.relevance(
            net,
            x,
            target=((target + k) % len(net.labels)).tolist(),
            composite=composite,
        )
        for k in (0, *steps)
    )
    cosines = [
        F.cosine_similarity(own.maps.flatten(1), one.maps.flatten(1))
        for one in others
    ]
    told[composite] = own.absorbed / own.scores, torch.stack(cosines).abs().amin(0)

# %% tags=["hide-input"]
lines = ["| rules | share of the logit that biases kept | cosine of two classes' maps |",
         "|---|---|---|"]  # fmt: skip
for name, (kept, cosine) in told.items():
    lines.append(
        f"| {name} | {kept.min():.2f} to {kept.max():.2f} | {cosine.min():.2f} to {cosine.max():.2f} |"
    )
blind = [name for name, (_, cosine) in told.items() if cosine.min() > 0.9]
Markdown(
    "\n".join(lines) + f"\n\nn = {len(x)}; the cosine's sign is dropped: a negative logit turns the whole map. "
     + (f"**{' and '.join(blind)} hardly know the class**: whatever they are asked, they "
    "show what the network has seen." if blind else "No rule is blind to the class on these clips.")
    if told else fits
)  # fmt: skip

# %% [markdown]
# ## Does it find the planted evidence?
#
# The score of a map is the area under its ROC curve: how often a voxel of the evidence has a larger
# value than another voxel. A map without preference scores 0.50, and how it is scaled does not count.
# In brackets are 95 % intervals over clips. Beside it: the same with each value's sign dropped, the
# same for a network with random weights, and network-independent baselines, which never ask the
# network.

# %% tags=["hide-input"]
RecoveryReport(trial, found.decides, answers, blank, wrong)

# %% tags=["hide-input"]
text = fits
if parts is not None:
    splits = {"trained": parts}
    splits["random weights"] = lrp_split.split(blank_net, x, target=target)
    known = trial.evidence[:few]
    lines = ["| map | values, trained | values, random weights |", "|---|---|---|"]
    for name in ("whole", "spatial", "temporal"):
        cells = [
            compare.recovered(getattr(s, name).double().cpu().numpy(), known)
            for s in splits.values()
        ]
        shown = [f"{v.mean():.2f}" if len(v) else "" for v in cells]
        lines.append(f"| deep Taylor, {name} | {shown[0]} | {shown[1]} |")
    text = "\n".join(lines) + f"\n\nMeans over the first n = {len(x)}."
Markdown(text)

# %% [markdown]
# ## What it costs
#
# Counted and timed in this run. The split runs every frame held still as a clip of its own.

# %% tags=["hide-input"]
CostReport({**answers, **temporal})

# %% [markdown]
# ## Which networks it fits
#
# Each method on a clip of the motion task, in four networks that learned it: two plain convolutional
# ones, an Inception and a transformer.

# %%
nets = compare.NETS if profile == "standard" else compare.NETS[3:]
tried = compare.fits(rules, nets=nets, seed=seed)

# %% tags=["hide-input"]
NetworksFitReport(tried)

# %% [markdown]
# ## When not to use it, and what we may not conclude
#
# - Not to tell one class from another by a rule whose cosine between classes is near 1.
# - Not for transformers: attention and layer norm have no rule here, and the error says so.
# - A still clip is unlike those the network was trained on, and its logit may be anything. The split says
#   what *this* network makes of stills, not what stills hold.
# - Relevance that adds up is not relevance that is right: a map of the clip's movement, scaled to the
#   logit, adds up too.
#
# ## Exercises
#
# 1. What becomes of {eq}`eq-guide_relevance-split` for a clip in which nothing moves?
# 2. Set `dataset = "stage:static"`, `weights = "static"` and one of its classes. Does the temporal part shrink?
#
# :::{dropdown} Solutions
# 1. Each of its stills is the clip itself, so that the temporal part is 0.
# 2. Compare the sums of the parts with the mean logit of the stills, clip by clip.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again. Times do not.
#
# **Takeaways.** Relevance adds up where biases let it; whether positive rules know the class, the cosines say;
# the split tells appearance from movement as far as stills can be trusted. **Next:** {doc}`guide`.
# **References:** {doc}`bibliography`.
