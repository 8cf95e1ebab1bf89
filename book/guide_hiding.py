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
# (guide_hiding)=
# # Field guide: hiding parts of a clip
#
# *What does the network answer when a part of the clip cannot be seen?*
#
# :::{admonition} Card
# :class: tip
# **You will** see occlusion, RISE, LIME and kernel SHAP on one clip, learn which of them sees what is there
# twice, and measure what they find and how much two runs agree.
#
# **Before:** {doc}`guide_gradients`. **Reading:** 5 minutes. **Running:** about a minute on one CPU core.
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
from vxhelpers.attribution import perturbation, registry, surrogate
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
limit, views = {"quick": (2, 20), "standard": (4, 60)}[profile]
provenance.describe("guide_hiding", globals())

# %% [markdown]
# ## What it answers
#
# These methods change the clip and watch the score, so they speak of what the network *does*. *Occlusion*
# hides one box $u$ of space and time after another, with the mean colour (0), and calls the fall of the score
# its importance:
#
# $$
# L^c_u = y^c(x) - y^c(x \odot (1 - U_u))
# $$ (eq-guide_hiding-occlusion)
#
# The others show random views, in which each part $u$ is visible ($z_u = 1$) or not, and look for the
# numbers that explain the scores of all views together:
#
# $$
# y^c(x_z) \approx b + \sum_u z_u L^c_u
# $$ (eq-guide_hiding-views)
#
# | method | parts | how the views are weighed | call |
# |---|---|---|---|
# | occlusion {cite:p}`zeiler2014` | boxes | one box hidden at a time | `occlusion` |
# | RISE {cite:p}`petsiuk2018rise` | soft cells | mean score of the views that show a voxel | `rise` |
# | LIME {cite:p}`ribeiro2016lime` | supervoxels | those that show most count most | `lime` |
# | kernel SHAP {cite:p}`lundberg2017shap` | supervoxels | so that Shapley values come out | `kernel_shap` |
#
# All calls are in `perturbation_maps`.
#
# ## A toy with a known answer
#
# A network says 1 if *either* half of the clip is red: $y = 1 - \max(0, 1 - l - r)$, with $l$ and $r$ the
# redness of its halves. Both halves are red. Hide one, and the other is enough.

# %%
copy, either = torch.nn.Conv3d(3, 1, 1, bias=False), torch.nn.Linear(2, 1)
copy.weight.data = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1, 1)
either.weight.data, either.bias.data = -torch.ones(1, 2), torch.ones(1)
line = torch.nn.Linear(1, 1)
line.weight.data, line.bias.data = -torch.ones(1, 1), torch.ones(1)
halves = torch.nn.AdaptiveAvgPool3d((1, 1, 2))
toy_net = torch.nn.Sequential(
    copy, halves, torch.nn.Flatten(), either, torch.nn.ReLU(), line
)
entry = replace(
    zoo.ENTRIES["stage_r3d"], name="toy", layers=(zoo.Layer("0", "NCTHW"),)
)
toy = zoo.Model(entry, toy_net.eval(), ("red",), "by hand", "")
red = torch.zeros(1, 3, 2, 4, 4)
red[:, 0] = 1
sides = [np.indices((2, 4, 4))[2] // 2]
box = {"window": (2, 4, 2), "strides": (2, 4, 2)}
draws = {"rng": np.random.default_rng(seed), "samples": 200, "target": "red"}
toys = {
    "occlusion": perturbation.occlusion(toy, red, target="red", **box),
    "kernel SHAP": surrogate.kernel_shap(toy, red, segments=sides, **draws),
    "LIME": surrogate.lime(toy, red, segments=sides, **draws),
}

# %% tags=["hide-input"]
by_hand = {"occlusion": "0", "kernel SHAP": "0.5 in the mean", "LIME": "above 0"}
lines = ["| map | left half | right half | by hand, each |", "|---|---|---|---|"]
lines += [
    f"| {n} | {m[0, 0, 0, 0]:.3f} | {m[0, 0, 0, -1]:.3f} | {by_hand[n]} |"
    for n, m in toys.items()
]
Markdown(
    "\n".join(lines)
    + "\n\n{eq}`eq-guide_hiding-occlusion` gives nothing to either half, because it asks "
    "about one part at a time. Shapley values share the score between them."
)

# %% [markdown]
# ## One clip, all maps
#
# To keep this page quick, RISE, LIME and kernel SHAP draw few views here, and LIME and kernel SHAP cut the
# clip into about 12 supervoxels. {doc}`guide` times them with the several times as many that they should
# have.

# %%
data, net = open_data(dataset, root=root), zoo.load(model, weights=weights)
found, trial = compare.gather(data, net, label=action, count=limit, rng=rng)
family = registry.hiding(views=views, segments=12)
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

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_hiding-strip", "caption": "The first of the clips drawn, unexplained, and under each method's map; the line is around what the maps are held against. Red speaks for the class, blue against it. Methods differ in units, so each map has its own limits."}}
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
    units="",
    outline=outline,
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_hiding-players", "caption": "The same clip to play: under the map that finds best what is outlined, in the mean over all clips, and under the one that does so least."}}
order = compare.ranked(answers, trial.evidence)
player.gallery(
    [
        player.player(
            found.pixels[0],
            fps=found.fps[0],
            overlay=enlarged[name],
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
# ## Do two runs agree?
#
# What draws at random must be drawn again. Same clips, same settings, another seed:

# %%
drawing, few = [m for m in family if m.name != "occlusion"], slice(0, 2)
again = compare.compare(
    drawing, net, trial.x[few], target=trial.target[few], seed=seed + 1
)
alike = {
    name: map_similarity.rank_correlation(ran[name][few], one.maps)
    for name, one in again.items()
    if name in ran
}

# %% tags=["hide-input"]
lines = ["| map | rank correlation of two seeds |", "|---|---|"]
lines += [f"| {name} | {values.mean():.2f} |" for name, values in alike.items()]
least = min(alike, key=lambda name: alike[name].mean())
Markdown(
    "\n".join(lines)
    + f"\n\nMeans over {min(2, len(found))} clips, with {views} views a map. {least} agrees least with itself."
    + (" **A map that another seed changes so much is not to be shown without its spread.**"
       if alike[least].mean() < 0.7 else "")
)  # fmt: skip

# %% [markdown]
# ## What it costs
#
# Counted and timed in this run. Nothing goes back: the network is a black box.

# %% tags=["hide-input"]
CostReport(answers)

# %% [markdown]
# ## Which networks it fits
#
# Each method on a clip of the motion task, in other networks that learned it. With so few views the
# maps are noise; the question is only whether they come.

# %%
quickly = registry.hiding(views=8, segments=4)
nets = compare.NETS[1:] if profile == "standard" else compare.NETS[3:]
tried = compare.fits(quickly, nets=nets, seed=seed)

# %% tags=["hide-input"]
NetworksFitReport(tried)

# %% [markdown]
# ## When not to use it, and what we may not conclude
#
# - Not where time counts: a map takes tens to hundreds of passes forward.
# - A hidden part is a clip that the network never saw in training. The score may fall because the box looks
#   odd, and not because something that mattered is gone.
# - Occlusion misses what is there twice: see the toy. Kernel SHAP does not, but needs many views.
# - A supervoxel that holds half a racket and half a wall gets one number. The cut decides how sharp a map
#   can be.
#
# ## Exercises
#
# 1. In the toy, which value does RISE approach for both halves, and would it be 0?
# 2. Give kernel SHAP five times the views: `methods.hiding(views=200, segments=12)`. How much more do two
#    seeds agree?
#
# :::{dropdown} Solutions
# 1. Above 0: views that show a half score more on average than all views together, since some of these
#    show neither.
# 2. Noise falls with the square root of the views; repeat the cell of the two seeds.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again. Times do not.
#
# **Takeaways.** This family asks what the network does when something is gone, and fits any
# network; slow, and noisy where views are few. **Next:** {doc}`guide_relevance`. **References:**
# {doc}`bibliography`.
