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
# (gradcam)=
# # Grad-CAM on video
#
# *Where, in space and in time, does a layer of the network speak for the class, and is that where the
# evidence is?*
#
# :::{admonition} Card
# :class: tip
# **You will** carry Grad-CAM from images to video; read a raw, signed map; see a clip where it follows
# the action and one where it watches the place, both chosen by a rule; and measure which is typical.
#
# **Before:** {doc}`networks`. **Reading:** 15 minutes. **Running:** about a minute on two CPU cores.
# :::
#
# Grad-CAM {cite:p}`selvaraju2017gradcam` is the most used map of what a network looks at. {cite:t}`saha2024exploring`
# carried it to a video network, showed a clip of tennis where it follows the
# racket and one where it watches the court, and argued its limits from there. Two pictures are not a
# measurement. Here both kinds of clip are found by a rule, and then we count.

# %% tags=["parameters"]
action = "playing tennis"
dataset = "stage:tennis"
root = None
model = "stage_r3d"
weights = "tennis"
seed = 0
profile = "standard"

# %% tags=["hide-input"]
from dataclasses import replace

import numpy as np
import torch
from vxhelpers import stats
from vxhelpers.attribution import gradcam
from vxhelpers.book import results
from vxhelpers.data import provenance
from vxhelpers.data.datasets import dependence, open_data
from vxhelpers.evaluation import gradcam_report as report
from vxhelpers.evaluation import localisation
from vxhelpers.figures import charts, filmstrips, player
from vxhelpers.models import samples, zoo

rng = np.random.default_rng(seed)
limit = {"quick": 12, "standard": 60}[profile]
provenance.describe("gradcam", globals())

# %% [markdown]
# ## The method
#
# A layer of a video network answers a clip with activations $A_{ktij}$: channel $k$, time $t$, place
# $(i, j)$. Grad-CAM weights each channel by how much the score $y^c$ of class $c$ rises with it on
# average, and adds the channels up:
#
# $$
# L^c_{tij} = \sum_k \alpha^c_k A_{ktij}, \qquad \alpha^c_k = \frac{1}{THW} \sum_{t,i,j} \frac{\partial y^c}{\partial A_{ktij}}.
# $$ (eq-gradcam-map)
#
# {eq}`eq-gradcam-map` is the paper's equations 1 and 2 with time as a third axis. **We deviate in one
# point:** the paper cuts off what is negative; we keep it, since evidence *against* the class is
# evidence too. The map has the layer's resolution, a few cells in time and space, and is enlarged to
# the clip trilinearly. No map on this page is scaled before it is drawn; the colour bars have limits.
#
# ## A toy with a known answer
#
# Take a network of one layer that copies the red channel of the clip, averages it over time and
# space, and calls the average the score. Then {eq}`eq-gradcam-map` can be done by hand:
# $\alpha = 1/THW$, and the map is the red channel over $THW$.

# %%
copy = torch.nn.Conv3d(3, 1, 1, bias=False)
copy.weight.data = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1, 1)
line = torch.nn.Linear(1, 1, bias=False)
line.weight.data.fill_(1.0)
steps = {
    "copy": copy,
    "pool": torch.nn.AdaptiveAvgPool3d(1),
    "flat": torch.nn.Flatten(),
}
toy_net = torch.nn.Sequential()
for name, step in {**steps, "line": line}.items():
    toy_net.add_module(name, step)
entry = replace(
    zoo.ENTRIES["stage_r3d"], name="toy", layers=(zoo.Layer("copy", "NCTHW"),)
)
toy = zoo.Model(entry, toy_net.eval(), ("red",), "by hand", "")
clip = torch.rand(1, 3, 4, 6, 6, generator=torch.Generator().manual_seed(seed))
by_hand = clip[:, 0] / (4 * 6 * 6)
torch.testing.assert_close(gradcam.gradcam(toy, clip, target="red"), by_hand)

# %% [markdown]
# ## The clips, and what is known of them
#
# On the stage every clip comes with masks of its objects, so that "follows the racket" is a number.
# For other videos nobody has drawn masks; there we fall back on where the clip *moves* most, at most
# a tenth of it: a stand-in that misses whatever decides without moving, and that a moving camera
# spreads over every edge.

# %%
data = open_data(dataset, root=root)
net = zoo.load(model, weights=weights)
rows = samples.draw(data, split="test", label=action, limit=limit, rng=rng)
found = samples.collect(data, net, rows)
x = net.prepare(found.clips)
layers = gradcam.volume_layers(net)
maps = gradcam.gradcam_layers(net, x, layers=layers, target=action, batch_size=16)
last = maps[layers[-1]].cpu().numpy()

# %% [markdown]
# One forward and one backward pass gave the maps of all layers. To compare maps with masks we use
# the *energy share*: how much of a map's positive relevance lies on an object. A map that is spread
# evenly scores the object's share of the area; that is the baseline, and every share below stands
# beside it.

# %%
with torch.inference_mode():
    right = net.logits(x).argmax(1).cpu().numpy() == found.labels
evidence = np.zeros(last.shape, bool)
for name in found.decides:
    evidence |= found.masks[name]
on_evidence = localisation.energy_share(last, evidence) - localisation.area_share(
    evidence
)
pool = np.flatnonzero(right if right.any() else np.ones_like(right))
order = pool[np.argsort(on_evidence[pool], kind="stable")]
follows, least = order[-1], order[0]

# %% tags=["hide-input"]
seen = " and ".join(found.decides)
scores = on_evidence[[follows, least]]
report.CasesReport(action, seen, int(right.sum()), len(rows), len(pool), *scores)

# %% [markdown]
# ## Two cases
#
# First the clip whose map follows the evidence best, then the one whose map does so least. Both are
# extremes by construction; what is typical comes after them. Press play, or move the slider.


# %% tags=["hide-input"]
alt = (
    "Clip {} of {}; its map has {:+.2f} of the energy on {}, above an even spread."
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gradcam-cases", "caption": "The clip whose map follows the evidence best (first) and the one whose map does so least (second). Red speaks for the class, blue against it; each clip has its own limits."}}
player.gallery(
    [
        gradcam.overlaid(
            found.pixels[k],
            last[k],
            fps=found.fps[k],
            outlines=found.outlines(k),
            title=f"{title}: {rows[k].clip_id}",
            alt=alt.format(rows[k].clip_id, action, on_evidence[k], seen),
        )
        for k, title in (
            (follows, "Most on the evidence"),
            (least, "Least on the evidence"),
        )
    ]
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gradcam-strip", "caption": "The clip that follows least, in six frames, unexplained above, with the maps of the last and of a middle layer below. Layers differ in units, so each has its own limits."}}
size = found.pixels.shape[1:4]
strip = {
    name: gradcam.upsample_map(maps[name][least : least + 1].cpu(), size)[0].numpy()
    for name in dict.fromkeys((layers[-1], layers[len(layers) // 2]))
}
filmstrips.overlay_filmstrip(
    found.pixels[least],
    strip,
    fps=found.fps[least],
    shared=False,
    signed=True,
    units="Grad-CAM",
)

# %% [markdown]
# ## What is typical
#
# All clips of the class, object by object. On the diagonal a map is no better than an even spread;
# above it, it favours the object; below, it avoids it.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gradcam-energy", "caption": "Share of the energy of the last layer's map on an object against the object's share of the area; small marks are clips, large ones means with 95 % intervals."}}
objects = [
    n for n in found.masks if found.masks[n].any() and n not in ("arms", "legs")
]
shares = {
    name: (localisation.energy_share(last, found.masks[name]),
           localisation.area_share(found.masks[name]))
    for name in objects
}  # fmt: skip
charts.energy_area(shares)

# %% tags=["hide-input"]
gains = {
    name: stats.mean_interval(e - a, rng=rng) for name, (e, a) in shares.items()
}
rest = ("person", "bystander", "ground", "moving")
held = [found.masks[n] for n in objects if n not in rest]
things = None
if held:  # all that is neither a person nor ground
    mask = np.any(held, axis=0)
    gain = localisation.energy_share(last, mask) - localisation.area_share(mask)
    things = stats.mean_interval(gain, rng=np.random.default_rng(seed))
energies = report.EnergyReport(gains, things, len(rows), dependence(rows, []))
results.note_all(energies.metrics())
energies

# %% [markdown]
# ## Controls
#
# A map that does not change when the network's weights are replaced by random ones explains the clip,
# not the network {cite:p}`adebayo2018sanity`. And layers may disagree, as
# they differ in resolution and in how much of the clip a cell has seen: so here are all of them, beside
# the same network with random weights.

# %%
untrained = zoo.load(model, weights="random", labels=net.labels, seed=seed)
blank = gradcam.gradcam_layers(
    untrained, x, layers=layers, target=action, batch_size=16
)
table = {}
for name in layers:
    for kind, source in (("trained", maps), ("random weights", blank)):
        share = localisation.energy_share(source[name].cpu().numpy(), evidence)
        table[name, kind] = stats.mean_interval(share, rng=rng)
spread = stats.mean_interval(localisation.area_share(evidence), rng=rng)

# %% tags=["hide-input"]
grids = gradcam.gradcam_layers(
    net, x[:1], layers=layers, target=action, upsample=False
)
report.LayersReport(
    {name: tuple(grids[name].shape[1:]) for name in layers},
    {
        name: (table[name, "trained"], table[name, "random weights"])
        for name in layers
    },
    spread,
    seen,
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gradcam-layers", "caption": "The clip that follows best, at every layer from one forward and one backward pass; each layer with its own limits."}}
strip = {
    f"{name}": gradcam.upsample_map(maps[name][follows : follows + 1].cpu(), size)[
        0
    ].numpy()
    for name in layers
}
filmstrips.overlay_filmstrip(
    found.pixels[follows],
    strip,
    frames=5,
    fps=found.fps[follows],
    shared=False,
    signed=True,
    units="Grad-CAM",
)

# %% [markdown]
# ## The place or the action? A network that we know
#
# The network of the *shortcut* task was trained where the ground alone predicts the class, and
# {doc}`networks` shows what becomes of it when actions change places. If Grad-CAM tells what decides,
# its maps must favour the ground. And here the rule finds the clip that the paper showed for its
# limits, a map that watches the court: the one with most energy on the ground above its area.

# %%
stage = open_data("stage:shortcut")
known = zoo.load("stage_r3d", weights="shortcut")
label = action if action in stage.labels else "playing tennis"
courts = samples.collect(
    stage,
    known,
    samples.draw(stage, split="test", label=label, limit=limit, rng=rng),
)
y = known.prepare(courts.clips)
there = gradcam.gradcam(known, y, target=label, batch_size=16).cpu()
untrained = zoo.load("stage_r3d", weights="random", labels=known.labels, seed=seed)
by_chance = gradcam.gradcam(untrained, y, target=label, batch_size=16).cpu()
gains = {
    (kind, name): localisation.energy_share(m.numpy(), courts.masks[name])
    - localisation.area_share(courts.masks[name])
    for kind, m in (("trained", there), ("random weights", by_chance))
    for name in ("ground", "person")
}
watches = int(np.argmax(gains["trained", "ground"]))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gradcam-court", "caption": "The clip whose map has most energy on the ground above its area, from the network that was trained with the place as a shortcut; outlined is the ground."}}
player.player(
    courts.pixels[watches],
    fps=courts.fps[watches],
    overlay=gradcam.upsample_map(
        there[watches : watches + 1], courts.pixels.shape[1:4]
    )[0].numpy(),
    outlines=courts.outlines(watches, "ground"),
    title=f"Watches the ground: {courts.rows[watches].clip_id}",
    signed=True,
    units="Grad-CAM",
    alt=f"Clip {courts.rows[watches].clip_id} of {label}; its map has "
    f"{gains['trained', 'ground'][watches]:+.2f} of the energy on the ground, above an even spread.",
)

# %% tags=["hide-input"]
means = {key: stats.mean_interval(gains[key], rng=rng) for key in gains}
report.ShortcutReport(means, label)

# %% [markdown]
# ## And time? A reversed clip
#
# The network of the *motion* task tells a forehand from its exact time reversal. Play such a clip
# backwards and the prediction must change; what happens to the map of the predicted class, once it is
# turned round in time again?

# %%
stage = open_data("stage:motion")
known = zoo.load("stage_r3d", weights="motion")
swings = samples.draw(stage, split="test", label="forehand", limit=limit, rng=rng)
y = known.prepare([stage.clip(row) for row in swings])
forth, back = (
    gradcam.gradcam(known, clips, batch_size=16).cpu() for clips in (y, y.flip(2))
)
other = back.roll(1, dims=0)
pairs = {"same clip": back.flip(1), "another clip": other.flip(1)}
alike = {
    name: [
        np.corrcoef(a.flatten(), b.flatten())[0, 1]
        for a, b in zip(forth, m, strict=True)
    ]
    for name, m in pairs.items()
}
with torch.inference_mode():
    flipped = known.logits(y).argmax(1) != known.logits(y.flip(2)).argmax(1)

# %% tags=["hide-input"]
same, cross = (stats.mean_interval(alike[name], rng=rng) for name in alike)
report.ReversalReport(float(flipped.float().mean()), same, cross, len(swings))

# %% [markdown]
# ## Where this fails, and what we may not conclude
#
# - A high share on the racket does not show that the racket *decided*: the map is computed from
#   activations that have seen the whole clip. Only an experiment on the input can show that.
# - The last layer's cells are coarse (see the table above); an object smaller than a cell gets the
#   relevance of its surroundings.
# - The mean gradient of {eq}`eq-gradcam-map` is exact only where a linear layer follows the pooled
#   channels; elsewhere it is a linearisation, and channels whose gradients change sign over the clip
#   cancel out.
# - One map is one clip. {numref}`fig-gradcam-energy` is the least that a claim about a class needs.
#
# ## Exercises
#
# 1. Why does the toy's map have no negative values, and which weight would you change to get some?
# 2. Replace `target=action` by another class. Where do red and blue go?
# 3. Run `vx run --action "sweeping floor" --chapter gradcam`: does the map favour the broom?
#
# :::{dropdown} Solutions
# 1. Colours are not negative and the only weight is 1; make the linear layer's weight negative and
#    every cell speaks against the class.
# 2. The channels are the same, their weights are not: compare where the sign changes, and remember that
#    a logit says nothing of the other classes' logits.
# 3. Compare the row *broom* of the table with its interval.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again.
#
# **Takeaways.** Keep maps raw and signed; choose examples by a rule; count over many clips, against
# the area and against random weights. **Next:** {doc}`concepts` makes clips to ask a network about the
# thing itself. **References:** {doc}`bibliography`.
