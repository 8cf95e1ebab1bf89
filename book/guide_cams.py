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
# (guide_cams)=
# # Field guide: class activation maps
#
# *In which cells of a layer does the network find what speaks for the class?*
#
# :::{admonition} Card
# :class: tip
# **You will** see Grad-CAM, Grad-CAM++, Score-CAM and saliency tubes on one clip, learn what parts them,
# and measure whether they find planted evidence, what they cost and which networks they fit.
#
# **Before:** {doc}`gradcam`. **Reading:** 5 minutes. **Running:** under a minute on one CPU core.
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
from vxhelpers.attribution import cam, gradcam, registry
from vxhelpers.data import provenance
from vxhelpers.data.datasets import open_data
from vxhelpers.evaluation import compare
from vxhelpers.evaluation.compare_report import (
    CostReport,
    NetworksFitReport,
    RecoveryReport,
)
from vxhelpers.figures import filmstrips, player
from vxhelpers.models import zoo

rng = np.random.default_rng(seed)
limit = {"quick": 2, "standard": 8}[profile]
provenance.describe("guide_cams", globals())

# %% [markdown]
# ## What it answers
#
# A convolutional layer keeps a coarse picture of the clip in each of its channels. A class activation
# map adds these pictures up, each weighted by how much its channel counts for the class:
#
# $$
# L^c_{tij} = \sum_k w^c_k A_{ktij}
# $$ (eq-guide_cams-map)
#
# The members of the family differ in the weight $w^c_k$ alone.
#
# | method | weight of channel $k$ | call |
# |---|---|---|
# | Grad-CAM {cite:p}`selvaraju2017gradcam` | the score's mean gradient | `gradcam.gradcam` |
# | Grad-CAM++ {cite:p}`chattopadhay2018gradcampp` | a weighted mean of the positive gradients | `cam_maps.gradcam_plus_plus` |
# | Score-CAM {cite:p}`wang2020scorecam` | what the score becomes if the clip is seen through the channel | `cam_maps.score_cam` |
# | saliency tubes {cite:p}`stergiou2019saliency` | the classifier's own weight | `cam_maps.saliency_tubes` |
#
# Against the papers, nothing negative is cut off and nothing is scaled.
#
# ## A toy with a known answer
#
# A network copies two colours, averages each, and takes *blue* off *red*. The clip is red on the left
# and blue on the right, so what is on the right speaks **against** the class. By
# {eq}`eq-guide_cams-map` and each paper's weight the maps can be done by hand.

# %%
copy, line = torch.nn.Conv3d(3, 2, 1, bias=False), torch.nn.Linear(2, 1, bias=False)
copy.weight.data = torch.tensor([[1.0, 0, 0], [0, 0, 1]]).view(2, 3, 1, 1, 1)
line.weight.data = torch.tensor([[1.0, -1]])
toy_net = torch.nn.Sequential()
steps = {"pool": torch.nn.AdaptiveAvgPool3d(1), "flat": torch.nn.Flatten()}
for name, step in {"copy": copy, **steps, "line": line}.items():
    toy_net.add_module(name, step)
layers = (zoo.Layer("copy", "NCTHW"),)
entry = replace(zoo.ENTRIES["stage_r3d"], name="toy", layers=layers, head="line")
toy = zoo.Model(entry, toy_net.eval(), ("red",), "by hand", "")
half = torch.zeros(1, 3, 2, 4, 4)
half[:, 0, ..., :2], half[:, 2, ..., 2:] = 1, 1
cells = 2 * 4 * 4
chances = torch.tensor([0.5, -0.5]).softmax(0).tolist()
toys = {
    "Grad-CAM": (gradcam.gradcam, (1 / cells, -1 / cells)),
    "Grad-CAM++": (cam.gradcam_plus_plus, (0.4, 0.0)),
    "Score-CAM": (cam.score_cam, tuple(chances)),
    "saliency tubes": (cam.saliency_tubes, (1.0, -1.0)),
}

# %% tags=["hide-input"]
lines = [
    "| map | red half, found | by hand | blue half, found | by hand |",
    "|---" * 5 + "|",
]
worst = 0.0
for name, (method, by_hand) in toys.items():
    found = method(toy, half, target="red")[0, 0, 0, [0, -1]].tolist()
    worst = max(worst, *(abs(a - b) for a, b in zip(found, by_hand, strict=True)))
    lines.append(
        f"| {name} | {found[0]:.3f} | {by_hand[0]:.3f} | {found[1]:.3f} | {by_hand[1]:.3f} |"
    )
Markdown(
    "\n".join(lines)
    + f"\n\nLargest difference: {worst:.1e}. Two of the four show no evidence against "
    "the class by design: Grad-CAM++ gives it nothing, and Score-CAM's softmax makes every weight "
    "positive, so that its map is positive where the clip speaks *against*."
)

# %% [markdown]
# ## One clip, all maps

# %%
data, net = open_data(dataset, root=root), zoo.load(model, weights=weights)
found, trial = compare.gather(data, net, label=action, count=limit, rng=rng)
family = [m for m in registry.METHODS if m.family == "class activation maps"]
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

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_cams-strip", "caption": "The first of the clips drawn, unexplained, and under each method's map; the line is around what the maps are held against. Red speaks for the class, blue against it. Methods differ in units, so each map has its own limits."}}
ran = {name: a.maps for name, a in answers.items() if a.maps is not None}
size = found.pixels.shape[1:4]
enlarged = {
    name: gradcam.upsample_map(torch.from_numpy(maps[:1]), size)[0].numpy()
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

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_cams-players", "caption": "The same clip to play: under the map that finds best what is outlined, in the mean over all clips, and under the one that does so least."}}
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
# ## What it costs
#
# Counted and timed in this run. A clip that goes *back* does so from the logits only as far as the layer.

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
# - Not for small or fast things: a cell of the last layer covers many pixels and frames. The middle
#   layer is finer, but its channels are further from the class.
# - Not for evidence *against* a class, unless it is Grad-CAM or saliency tubes: see the toy.
# - Saliency tubes are Grad-CAM, times the number of cells, wherever both fit at the same layer; where
#   more than pooling lies between, only Grad-CAM is defined.
# - A high score in the table does not show that the network *used* what the map shows: compare the
#   columns of random weights and the rows in italics before believing a map.
#
# ## Exercises
#
# 1. In the toy, which option of `score_cam` makes the blue half negative?
# 2. Run this page with `action = "reversed forehand"`. Does the ranking hold?
#
# :::{dropdown} Solutions
# 1. `weights="increase"`: the increases themselves, 0.5 and -0.5, without the softmax.
# 2. Compare the intervals, not the means: few clips tell few methods apart.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again. Times do not.
#
# **Takeaways.** One sum of channels, four weights; cheap but for Score-CAM; coarse; two members never
# show evidence against. **Next:** {doc}`guide_gradients`, maps by the pixel. **References:**
# {doc}`bibliography`.
