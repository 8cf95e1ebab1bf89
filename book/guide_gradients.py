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
# (guide_gradients)=
# # Field guide: gradients by the pixel
#
# *Which pixels, changed a little, would change the score, and is that the same as mattering?*
#
# :::{admonition} Card
# :class: tip
# **You will** see saliency, input times gradient, integrated gradients, gradient SHAP, guided
# backpropagation and deconvolution on one clip, and measure what they find, whether they add up to the
# score, and whether they need a trained network at all.
#
# **Before:** {doc}`guide_cams`. **Reading:** 5 minutes. **Running:** under a minute on one CPU core.
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
from IPython.display import Markdown
from vxhelpers.attribution import gradients, guided_backpropagation, registry
from vxhelpers.data import provenance
from vxhelpers.data.datasets import open_data
from vxhelpers.evaluation import compare, map_similarity
from vxhelpers.evaluation.compare_report import (
    CostReport,
    NetworksFitReport,
    RecoveryReport,
)
from vxhelpers.figures import filmstrips, player
from vxhelpers.models import zoo

rng = np.random.default_rng(seed)
limit = {"quick": 2, "standard": 6}[profile]
provenance.describe("guide_gradients", globals())

# %% [markdown]
# ## What it answers
#
# The gradient $\partial y^c / \partial x$ has the clip's own resolution, and costs one pass back. Alone it
# is *saliency*: what a small change would do. Times the pixel it says what the pixel brings, were the
# network linear. It is not, and *integrated gradients* adds the gradient up on the way from nothing,
# the mean colour 0, to the clip:
#
# $$
# L^c = x \odot \int_0^1 \frac{\partial y^c}{\partial x}(a x) \, da, \qquad \sum_{tij} L^c_{tij} = y^c(x) - y^c(0).
# $$ (eq-guide_gradients-path)
#
# The second half of {eq}`eq-guide_gradients-path` is *completeness*: the map adds up to the score.
#
# | method | what it is | call |
# |---|---|---|
# | saliency {cite:p}`simonyan2014saliency` | the gradient | `gradient_maps.saliency` |
# | input x gradient {cite:p}`shrikumar2016` | times the pixel | `gradient_maps.input_x_gradient` |
# | integrated gradients {cite:p}`sundararajan2017` | {eq}`eq-guide_gradients-path` | `gradient_maps.integrated_gradients` |
# | gradient SHAP {cite:p}`lundberg2017shap` | its mean over paths from several clips, points drawn | `gradient_maps.gradient_shap` |
# | guided backpropagation {cite:p}`springenberg2015` | ReLUs pass positive gradients alone, where they are on | `rectifiers.guided_backprop` |
# | deconvolution {cite:p}`zeiler2014` | ReLUs pass positive gradients alone | `rectifiers.deconvolution` |
#
# Channels are summed, and signs kept.
#
# ## A toy with a known answer
#
# A network says $y = 1 - \max(0, 1 - r)$ with $r$ the redness: from $r = 1$ on it is sure, and more red
# changes nothing. The clip has $r = 2$ everywhere. The red *is* why $y$ is 1 and not 0, but the gradient
# there is 0.

# %%
flip, line = torch.nn.Conv3d(3, 1, 1), torch.nn.Linear(1, 1)
flip.weight.data = torch.tensor([-1.0, 0, 0]).view(1, 3, 1, 1, 1)
flip.bias.data, line.weight.data = torch.ones(1), -torch.ones(1, 1)
line.bias.data = torch.ones(1)
toy_net = torch.nn.Sequential(
    flip, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), line
)
entry = replace(
    zoo.ENTRIES["stage_r3d"], name="toy", layers=(zoo.Layer("0", "NCTHW"),)
)
toy = zoo.Model(entry, toy_net.eval(), ("red",), "by hand", "")
red = torch.zeros(1, 3, 2, 4, 4)
red[:, 0] = 2

# %%
shap = gradients.gradient_shap(
    toy, red, baselines=red * 0, rng=np.random.default_rng(seed), target="red"
)
toys = {
    "saliency": (gradients.saliency(toy, red, target="red"), 0),
    "input x gradient": (gradients.input_x_gradient(toy, red, target="red"), 0),
    "integrated gradients": (gradients.integrated_gradients(toy, red), 1),
    "gradient SHAP": (shap, 1),
    "guided backpropagation": (
        guided_backpropagation.guided_backprop(toy, red, target="red"),
        0,
    ),
}

# %% tags=["hide-input"]
lines = ["| map | its sum | by hand |", "|---|---|---|"]
lines += [f"| {n} | {m.sum():.3f} | {known} |" for n, (m, known) in toys.items()]
Markdown(
    "\n".join(lines)
    + "\n\nOnly the methods that walk the path see what the red did. Gradient SHAP does so "
    "in the mean over its draws, of which there are 16."
)

# %% [markdown]
# ## One clip, all maps

# %%
data, net = open_data(dataset, root=root), zoo.load(model, weights=weights)
found, trial = compare.gather(data, net, label=action, count=limit, rng=rng)
family = [m for m in registry.METHODS if m.family == "gradients"]
answers = compare.compare(family, net, trial.x, target=trial.target, seed=seed)
blank = compare.compare(
    family,
    compare.untrained(net, seed=seed),
    trial.x,
    target=trial.target,
    seed=seed,
)
wrong = compare.compare(
    registry.named("random map", "centre blob", "movement filter"),
    net, trial.x, target=trial.target, seed=seed,
)  # fmt: skip

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_gradients-strip", "caption": "The first of the clips drawn, unexplained, and under each method's map; the line is around what the maps are held against. Red speaks for the class, blue against it. Methods differ in units, so each map has its own limits, which cover 99 % of its values: a few pixels are far larger than all others."}}
ran = {name: a.maps for name, a in answers.items() if a.maps is not None}
enlarged = {
    name: maps[0].repeat(found.scale, 1).repeat(found.scale, 2)
    for name, maps in ran.items()
}
outline = trial.evidence[0].repeat(found.scale, 1).repeat(found.scale, 2)
filmstrips.overlay_filmstrip(
    found.pixels[0],
    enlarged,
    frames=6,
    fps=found.fps[0],
    shared=False,
    signed=True,
    covered=0.99,
    units="",
    outline=outline,
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_gradients-players", "caption": "The same clip to play: under the map that finds best what is outlined, in the mean over all clips, and under the one that does so least."}}
order = compare.ranked(answers, trial.evidence)
limits = {name: np.quantile(abs(ran[name][0]), 0.99) or 1 for name in order}
player.gallery(
    [
        player.player(
            found.pixels[0],
            fps=found.fps[0],
            overlay=enlarged[name],
            limits=(-limits[name], limits[name]),
            outlines=found.outlines(0),
            title=name,
            signed=True,
            units=name,
            alt=f"Clip {found.rows[0].clip_id} of {action} under its map by {name}.",
        )
        for name in dict.fromkeys((order[0], order[-1]))
    ]
)

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

# %% [markdown]
# A gradient changes sign from pixel to pixel, so its values may score at chance while their size does
# not. But size may come from the clip alone: {cite:t}`adebayo2018sanity` found that guided
# backpropagation of images hardly changes when what was learned is taken away, and draws edges instead.
# So here is how alike each map's sizes are, first to those of the same map with random weights, then to an
# edge filter of the clip.

# %% tags=["hide-input"]
edges = compare.compare(
    registry.named("edge filter"), net, trial.x, target=trial.target, seed=seed
)["edge filter"].maps
fitting = [name for name in ran if blank[name].maps is not None]
alike = {
    name: [
        map_similarity.rank_correlation(abs(ran[name]), abs(other))
        for other in (blank[name].maps, edges)
    ]
    for name in fitting
}
lines = ["| map | with random weights | with an edge filter |", "|---|---|---|"]
for name, (learned, drawn) in alike.items():
    lines.append(f"| {name} | {learned.mean():.2f} | {drawn.mean():.2f} |")
least, edgy = (max(alike, key=lambda name: alike[name][k].mean()) for k in (0, 1))
Markdown(
    "\n".join(lines)
    + f"\n\nRank correlations, means over {len(found)} clips. Most alike with random weights is "
    f"{least} ({alike[least][0].mean():.2f}), most like an edge filter {edgy} "
    f"({alike[edgy][1].mean():.2f})."
)

# %% [markdown]
# ## Does it add up?
#
# The completeness gap is what a map's sum misses of $y^c(x) - y^c(0)$, as a share of it. With
# ever more points on the path it goes to zero, though not at every step.

# %%
few, target = trial.x[:2], trial.target[:2]
sums = {"input x gradient": gradients.input_x_gradient(net, few, target=target)}
for steps in (5, 20) if profile == "quick" else (5, 20, 80):
    sums[f"integrated gradients, {steps} steps"] = gradients.integrated_gradients(
        net, few, steps=steps, target=target
    )
gaps = {
    name: gradients.completeness_gap(net, few, maps, target=target)
    for name, maps in sums.items()
}

# %% tags=["hide-input"]
lines = ["| map | largest gap |", "|---|---|"]
lines += [f"| {n} | {100 * float(gap.max()):.2g} % |" for n, gap in gaps.items()]
Markdown(
    "\n".join(lines)
    + f"\n\nOf {len(few)} clips. A gap says nothing of *where* the map is right: "
    "completeness is one number a clip."
)

# %% [markdown]
# ## What it costs
#
# Counted and timed in this run.

# %% tags=["hide-input"]
CostReport(answers)

# %% [markdown]
# ## Which networks it fits
#
# Each method on a clip of the motion task, in four networks that learned it: two plain convolutional
# ones, an Inception and a transformer.

# %%
nets = compare.NETS if profile == "standard" else compare.NETS[3:]
tried = compare.fits(family, nets=nets, seed=seed)

# %% tags=["hide-input"]
NetworksFitReport(tried)

# %% [markdown]
# ## When not to use it, and what we may not conclude
#
# - Not to be looked at raw: a few pixels are so large that the rest vanishes, and neighbours have opposite
#   signs. Sum over an object, or over a supervoxel, before a word is said of it.
# - Not for networks without ReLUs where the rule is about ReLUs; the error says so.
# - Guided backpropagation and deconvolution are not gradients of anything, and their signs do not say for
#   and against. Hold what they show against random weights and edges, as above, in your own network.
# - The baseline is a choice. Against the mean colour, a pixel of the mean colour never matters.
#
# ## Exercises
#
# 1. In the toy, what does integrated gradients give with `baseline` at $r = 1$, and why?
# 2. Pass `reduce="l2"` to `saliency`. Which of the columns of the table can it no longer fill?
#
# :::{dropdown} Solutions
# 1. Zero: the score is 1 at both ends of the path.
# 2. The first: a norm has no sign, so that values and their size are the same.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again. Times do not.
#
# **Takeaways.** Pixels come at the price of noise; only paths add up to the score; for a gradient, size
# may tell where signs do not. **Next:** {doc}`guide_hiding`, where clips are changed and not differentiated.
# **References:** {doc}`bibliography`.
