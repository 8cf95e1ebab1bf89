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
# (limits)=
# # Grad-CAM's limits
#
# *Each limit that is told of Grad-CAM in words: how large is it, and against what?*
#
# :::{admonition} Card
# :class: tip
# **You will** measure eight limits of Grad-CAM over many clips, each beside a baseline and a picture;
# change a clip so little that nobody sees it, until the map is one of your choice; and read in one table
# which limits hold for which network and layer.
#
# **Before:** {doc}`gradcam`. **Reading:** 25 minutes. **Running:** under two minutes on one CPU core.
# :::
#
# {cite:t}`saha2024exploring` list in their section 2.2 what speaks against maps such as Grad-CAM's in
# video: they do not keep the order in time, they flicker, they dwell on the background, they explain one
# clip and no class; networks with random weights have similar maps, and noise, preprocessing or an
# attacker can change them. The paper gives two pictures and references. Here every item becomes a number
# with an interval, and next to each stands what the number would be for a map that knows nothing. Whether
# a limit turns out as it is told is computed, not written: the verdicts stand in the table at the end.

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
from functools import partial

import numpy as np
import torch
from vxhelpers.attribution import gradcam
from vxhelpers.attribution.registry import pixels
from vxhelpers.data import provenance
from vxhelpers.data.datasets import dependence, open_data
from vxhelpers.evaluation import (
    limits,
    limits_across_maps,
    limits_in_clips,
    limits_of_maps,
    localisation,
    manipulation,
    map_agreement,
    map_similarity,
    robustness,
    sanity_checks,
)
from vxhelpers.figures import charts, filmstrips, player, score_charts
from vxhelpers.models import samples, zoo

rng = np.random.default_rng(seed)
average = limits.average_of(rng)
quick = profile == "quick"
many, some, few = (8, 6, 2) if quick else (30, 12, 6)
method = partial(gradcam.gradcam, batch_size=8)
provenance.describe("limits", globals())

# %% [markdown]
# ## The network and the clips at hand
#
# Maps are Grad-CAM's at the last layer that still has space and time, raw and signed
# ({doc}`gradcam`). *Alike* means Spearman's rank correlation of two maps over all places and
# times of a clip, 1 for equal maps and 0 for unrelated ones {cite:p}`adebayo2018sanity`. What is alike
# anyway is the baseline throughout: **how alike the maps of two different clips are**. If all maps of a
# network have their bright places at the same places, then a high similarity is no news.

# %%
data = open_data(dataset, root=root)
net = zoo.load(model, weights=weights)
rows = samples.draw(data, split="test", label=action, limit=many, rng=rng)
found = samples.collect(data, net, rows)
x = net.prepare(found.clips)
maps = method(net, x, target=action).cpu().numpy()
recognised = (
    map_similarity.logits(net, x, batch_size=8).argmax(1).numpy() == found.labels
)
anyway = map_similarity.unlike(maps, similarities=["rank"])
untrained = zoo.load(model, weights="random", labels=net.labels, seed=seed)
blank = method(untrained, x, target=action).cpu().numpy()
evidence = np.zeros(maps.shape, bool)
for name in found.decides:
    evidence |= found.masks[name]

# %% tags=["hide-input"]
other = average([] if anyway is None else anyway["rank"])
limits.ClipsReport(
    action, model, int(recognised.sum()), len(rows), other, dependence(rows, [])
)

# %% [markdown]
# ## Order in time
#
# Picking something up and putting it down show the same frames in opposite order, the paper says, so
# the explanation should be another. On the stage the pair is a *forehand* and its exact reversal: single
# frames follow one law in both classes, so only the order can tell them apart. We play forehands
# backwards. The class has to change; the map of the *new* class, turned round in time again, should
# change with it, as what spoke for one class now speaks for the other.

# %%
stage = open_data("stage:motion")
known = zoo.load("stage_r3d", weights="motion")
swings = samples.collect(
    stage,
    known,
    samples.draw(stage, split="test", label="forehand", limit=many, rng=rng),
)
forth = known.prepare(swings.clips)
never = zoo.load("stage_r3d", weights="random", labels=known.labels, seed=seed)
turned = {
    name: sanity_checks.reversal_response(
        network, method, forth, follow=True, similarities=["rank"], batch_size=8
    )
    for name, network in (("trained", known), ("never learned", never))
}

# %% tags=["hide-input"]
in_time = limits_in_clips.OrderReport.of(turned, average)
in_time

# %% [markdown]
# The clip in the middle of that ranking, forwards and backwards; the second map explains another class.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-order", "caption": "A forehand as it is and played backwards, each under the map of the class that is predicted for it; both on one scale."}}
reversal = turned["trained"]
similarity = np.where(reversal.flipped, reversal.similarity["rank"], np.nan)
k = int(np.argsort(similarity)[reversal.flipped.sum() // 2])  # NaN come last
classes = [known.labels[int(c[k])] for c in reversal.targets]
ways = [forth[k : k + 1], forth[k : k + 1].flip(2)]
pair = [
    method(known, clip, target=c)[0].cpu().numpy()
    for clip, c in zip(ways, classes, strict=True)
]
top = max(float(np.abs(m).max()) for m in pair) or 1.0
films = [swings.pixels[k], swings.pixels[k][::-1].copy()]
player.gallery(
    [
        gradcam.overlaid(
            film,
            m,
            title=f"{way}: {c}",
            limits=(-top, top),
            fps=swings.fps[k],
            alt=f"{swings.rows[k].clip_id}, {way}, with the map of {c}; turned round, the two maps are alike by "
            f"{similarity[k]:.2f}.",
        )
        for film, m, way, c in zip(
            films, pair, ("forwards", "backwards"), classes, strict=True
        )
    ]
)

# %% [markdown]
# ## Flicker
#
# Do maps jump from frame to frame? *Flicker* is the mean change from one frame to the next over the
# mean absolute value; the same frames in random order are the worst that could be. But a map that
# followed what moves would have to change as well: so beside it stand the flicker of the evidence's own
# mask, which a perfect map would have, the same *in its cells*, as coarse as the last layer's, which is the most
# that a perfect Grad-CAM could do, and that of the clip's brightness.

# %%
layers = gradcam.volume_layers(net)
every = gradcam.gradcam_layers(
    net, x[:some], layers=layers, target=action, batch_size=8
)
cells = gradcam.gradcam_layers(
    net, x[:1], layers=layers, target=action, upsample=False
)
flicker = {
    f"map, {name}": robustness.temporal_smoothness(every[name]) for name in layers
}
flicker["map, random weights"] = robustness.temporal_smoothness(blank)
flicker["mask of the evidence"] = robustness.temporal_smoothness(evidence)
grid = torch.nn.functional.adaptive_avg_pool3d(
    torch.from_numpy(evidence).float(), cells[layers[-1]].shape[1:]
)
perfect = gradcam.upsample_map(grid, maps.shape[1:]).numpy()
flicker["evidence in its cells"] = robustness.temporal_smoothness(perfect)
flicker["brightness of the clip"] = robustness.temporal_smoothness(
    np.stack([net_view.mean(-1) for net_view in found.pixels.astype(np.float32)])
)

# %% tags=["hide-input"]
own = f"map, {layers[-1]}"
steps = {f"map, {name}": cells[name].shape[1] for name in layers}
steps |= dict.fromkeys(("map, random weights", "evidence in its cells"), steps[own])
flickers = limits_in_clips.FlickerReport.of(
    flicker,
    average,
    steps=steps,
    own=own,
    ideal="evidence in its cells",
    frames=maps.shape[1],
)
flickers

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-flicker", "caption": "Change from each frame to the next, over the mean absolute value, mean over clips: maps of the first and last layer, and the evidence in cells as coarse as the last layer's."}}
changes = {}
for name, volume in (
    (f"map, {layers[0]}", every[layers[0]].cpu().numpy()),
    (f"map, {layers[-1]}", maps),
    ("evidence in its cells", perfect),
):
    size = np.abs(volume).mean((1, 2, 3))
    step = np.abs(np.diff(volume, axis=1)).mean((2, 3))
    changes[name] = (step[size > 0] / size[size > 0, None]).mean(0)
charts.over_time(changes, fps=found.fps[0], units="change a frame")

# %% tags=["hide-input"]
limits_in_clips.BorderReport(changes[f"map, {layers[0]}"])

# %% [markdown]
# ## Background
#
# The paper's second picture is a map on the court. Is that the map's fault, or did the network look at
# the court? Here we know. The network of the *shortcut* task learned where the place alone predicts the
# class, and in the *counterfactual* split every action is at the place of another. Where the prediction
# goes with the place, the ground decided; where it goes with the action, it did not. If maps tell which,
# they must lie on the ground in the first case and less so in the second. Beside it: a network that saw
# the same actions with places mixed more (*tennis* task), and one with random weights.

# %%
places = open_data("stage:shortcut")
taught = zoo.load("stage_r3d", weights="shortcut")
usual = {places.scene(row).scenario: row.label for row in places.rows("test")[:4]}
split = {
    part: samples.collect(
        places, taught, samples.draw(places, split=part, limit=many, rng=rng)
    )
    for part in ("test", "counterfactual")
}
networks = {
    "shortcut": taught,
    "tennis": zoo.load("stage_r3d", weights="tennis"),
    "random weights": zoo.load(
        "stage_r3d", weights="random", labels=taught.labels, seed=seed
    ),
}

# %%
on_ground, says = {}, {}
for part, some_cases in split.items():
    y = taught.prepare(some_cases.clips)
    area = localisation.area_share(some_cases.masks["ground"])
    for name, network in networks.items():
        answer = map_similarity.logits(network, y, batch_size=8).argmax(1)
        shown = method(network, y, target=answer).cpu()
        energy = localisation.energy_share(
            shown.numpy(), some_cases.masks["ground"]
        )
        on_ground[name, part] = energy - area
        says[name, part] = np.array([network.labels[c] for c in answer])

# %% tags=["hide-input"]
away = split["counterfactual"]
by_place = np.array([usual[places.scene(row).scenario] for row in away.rows])
by_action = np.array([row.label for row in away.rows])
answer = says["shortcut", "counterfactual"]
gain = on_ground["shortcut", "counterfactual"]
background = limits_in_clips.BackgroundReport.of(
    on_ground,
    says,
    by_place,
    by_action,
    average=average,
    networks=("shortcut", "tennis", "random weights"),
)
background

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-ground", "caption": "The counterfactual clip whose map has most energy on the ground above its area, and the one that has least, under the maps of the shortcut network's prediction; outlined is the ground."}}
order = np.argsort(gain)
player.gallery(
    [
        gradcam.overlaid(
            away.pixels[k],
            method(taught, taught.prepare([away.clips[k]]), target=str(answer[k]))[
                0
            ]
            .cpu()
            .numpy(),
            title=f"{by_action[k]} taken for {answer[k]}"
            if by_action[k] != answer[k]
            else f"{answer[k]}, right",
            alt=f"{away.rows[k].clip_id}: {by_action[k]} where {by_place[k]} usually is, predicted {answer[k]}; "
            f"{gain[k]:+.2f} of the energy on the ground above its area.",
            fps=away.fps[k],
            outlines=away.outlines(k, "ground"),
        )
        for k in (int(order[-1]), int(order[0]))
    ]
)

# %% [markdown]
# ## Random weights
#
# {cite:t}`adebayo2018sanity` replace a network's weights by random ones, from the top down, and watch the
# map. If it stays as it was, what was learned does not matter to it. Whether a random network speaks for or
# against a class is a coin's toss, and a map turned into its negative still has the same places: so
# similarities count without their sign, and absolute values of the maps are compared as well.

# %%
draws = [
    sanity_checks.cascade(
        net,
        method,
        x[:some],
        target=action,
        rng=rng,
        batch_size=8,
        similarities=["rank", "absolute_rank", "ssim"],
    )
    for _ in range(1 if quick else 2)
]
cascade = limits_of_maps.CascadeReport.of(
    draws, average, clips=min(some, len(rows))
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-cascade", "caption": "How alike maps stay to those of the trained network while its stages become random, from the top down, without sign; dashed, how alike the maps of different clips are by rank."}}
score_charts.curves(
    cascade.chart(),
    units="alike",
    line=("another clip's map", cascade.other.value) if cascade.other.n else None,
)

# %% tags=["hide-input"]
cascade

# %% [markdown]
# ## Noise, encoding, preprocessing
#
# Changes that leave the content alone should leave prediction and map alone. We add noise of 4 of 255
# grey levels; encode the clip again as H.264 (CRF 28, what video sites do); move the picture by 3
# pixels, and the map back again; forget to normalise; and take every second frame, which we compare by
# where the map is, without time.

# %%
z = x[:some]
wide = replace(net, entry=replace(net.entry, stride=2 * net.entry.stride))
bare = replace(
    net, entry=replace(net.entry, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
)
moved = torch.nn.functional.pad(z[..., :-3], (3, 0, 0, 0, 0, 0), mode="replicate")
shifted = {
    "moved by 3 pixels": (moved, lambda m: m[..., 3:], lambda m: m[..., :-3]),
    "not normalised": (bare.prepare(found.clips[:some]), *(2 * [lambda m: m])),
    "every second frame": (wide.prepare(found.clips[:some]),
                           *(2 * [lambda m: m.mean(1, keepdims=True)])),
}  # fmt: skip
first = map_similarity.logits(net, z, batch_size=8).argmax(1)

# %%
ranked = {"similarities": ["rank"], "batch_size": 8}
versions = {
    "noise of 4 grey levels": robustness.under_noise(
        net, method, z, target=action, repeats=2, rng=rng, **ranked
    ),
    "encoded again": robustness.under_reencoding(
        net, method, found.clips[:some], target=action, **ranked
    ),
}
kept = {name: version.kept.mean() for name, version in versions.items()}
stay = {name: v.similarity["rank"].mean(0) for name, v in versions.items()}
for name, (clips, back, cut) in shifted.items():
    now = map_similarity.logits(net, clips, batch_size=8).argmax(1)
    kept[name] = (now == first).float().mean()
    after = back(method(net, clips, target=action).cpu().numpy())
    stay[name] = map_similarity.rank_correlation(cut(maps[:some]), after)

# %% tags=["hide-input"]
stable = limits_of_maps.StabilityReport(
    {name: average(values) for name, values in stay.items()},
    {name: float(share) for name, share in kept.items()},
    other,
    [*shifted],
    min(some, len(rows)),
)
stable

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-shift", "caption": "One clip, unexplained above, with its map, and the map when the network gets it without normalisation; each with its own limits."}}
k = 0
again = method(net, shifted["not normalised"][0][k : k + 1], target=action)
filmstrips.overlay_filmstrip(
    found.pixels[k],
    {
        name: gradcam.upsample_map(values.cpu(), found.pixels.shape[1:4])[0].numpy()
        for name, values in (
            ("as it should be", torch.from_numpy(maps[k : k + 1])),
            ("not normalised", again),
        )
    },
    frames=5, fps=found.fps[k], shared=False, signed=True, units="Grad-CAM",
)  # fmt: skip

# %% [markdown]
# ## A map of our choice
#
# {cite:t}`ghorbani2019fragile` and {cite:t}`dombrowski2019manipulated` change an image by less than the eye sees
# until its explanation is another one. In video: we look for a change of at most $\epsilon = 4$ of 255
# grey levels, so that the map $L^c$ correlates with a chosen one, $L^*$, and the probability $p^c$ stays,
#
# $$
# x' = \operatorname{argmin}_{|x' - x| \le \epsilon} \; - r(L^c(x'), L^*) + \lambda (\log p^c(x') - \log p^c(x))^2 .
# $$ (eq-limits-manipulation)
#
# $L^*$ is 1 in the upper left corner, where nothing happens, and 0 elsewhere. The same change with every
# sign drawn at random is the control.

# %%
corner = np.zeros(x.shape[2:], np.float32)
corner[:, : x.shape[3] // 3, : x.shape[4] // 3] = 1
fooled = manipulation.manipulate(
    net, x[:few], corner, epsilon=4, steps=8 if quick else 20, rng=rng, batch_size=8
)

# %% tags=["hide-input"]
inside = np.broadcast_to(corner.astype(bool), fooled.maps.shape[1:])
energy = [localisation.energy_share(m, inside) for m in fooled.maps]
chosen = limits_of_maps.ChosenMapReport.of(
    fooled, energy, float(corner.mean()), average
)
chosen

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-chosen", "caption": "The clip whose map came nearest to the corner: as it is, and changed by at most four grey levels; each under the map of the same class, each with its own limits."}}
k = int(np.argmax(fooled.nearness[1]))
films = pixels(net, torch.stack([x[k].cpu(), fooled.changed[k]]))
player.gallery(
    [
        gradcam.overlaid(
            film,
            fooled.maps[j, k],
            title=f"{title}: {net.labels[fooled.predicted[j, k]]} {fooled.probability[j, k]:.2f}",
            alt=f"{rows[k].clip_id}, {title}: predicted {net.labels[fooled.predicted[j, k]]}; its map correlates "
            f"with the corner by {fooled.nearness[j, k]:.2f}.",
            fps=found.fps[k],
        )
        for j, (film, title) in enumerate(
            zip(films, ("as it is", "changed"), strict=True)
        )
    ]
)

# %% [markdown]
# ## One clip is not the class
#
# A map explains one clip; what does it say of the class? If maps agreed, one would do. So we compare
# every pair: as they are, and *aligned*, moved so that the evidence's middle lies in the middle of the
# frame, since players stand in different places. For comparison, clips of the other classes with maps of
# *their* class.

# %%
others = [row for row in data.rows("test") if row.label != action]
picked = [others[i] for i in sorted(rng.permutation(len(others))[:many])]
agree = {}
if len(rows) > 1:
    agree["maps of the class"] = map_agreement.agreement(maps)
    agree["aligned"] = map_agreement.agreement(
        map_agreement.aligned(maps, evidence)
    )
    agree["random weights"] = map_agreement.agreement(blank)
if picked:
    rest = samples.collect(data, net, picked)
    z = net.prepare(rest.clips)
    theirs = method(net, z, target=rest.labels.tolist()).cpu().numpy()
    agree["with maps of other classes"] = map_agreement.agreement(maps, theirs)
share = localisation.energy_share(maps, evidence)
area = localisation.area_share(evidence)

# %% tags=["hide-input"]
typical = map_similarity.rank_correlation(
    np.broadcast_to(maps.mean(0), maps.shape), maps
)
agreement = limits_across_maps.AgreementReport.of(
    agree,
    typical,
    share - area,
    evidence=" and ".join(found.decides),
    average=average,
)
agreement

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-local", "caption": "The clip whose map is most like the mean of all maps, and the clip whose map is least like it; each with its own limits."}}
player.gallery(
    [
        gradcam.overlaid(
            found.pixels[k],
            maps[k],
            title=f"{title} like the mean map",
            alt=f"{rows[k].clip_id}: its map is alike the mean map by {typical[k]:.2f}.",
            fps=found.fps[k],
        )
        for k, title in (
            (int(np.argmax(typical)), "Most"),
            (int(np.argmin(typical)), "Least"),
        )
    ]
)

# %% [markdown]
# ## Other networks, other layers
#
# All of this was one network and one layer. The same measures for the four shipped networks on the motion
# task, a Video Swin among them, at a middle and at the last layer:

# %%
trial = samples.draw(
    stage, split="test", label="forehand", limit=3 if quick else 8, rng=rng
)
trial = samples.collect(stage, known, trial)
truth = np.logical_or.reduce([trial.masks[name] for name in trial.decides])
spot = np.zeros(truth.shape[1:])
spot[:, : truth.shape[2] // 3, : truth.shape[3] // 3] = 1
subjects = []
for arch in ("stage_c3d", "stage_r3d", "stage_i3d", "stage_swin3d"):
    one = zoo.load(arch, weights="motion")
    raw = zoo.load(arch, weights="random", labels=one.labels, seed=seed)
    names = gradcam.volume_layers(one)
    subjects += [
        (one, raw, n) for n in dict.fromkeys((names[len(names) // 2], names[-1]))
    ]

# %%
tried = {}
v = known.prepare(trial.clips)  # the four networks take the same input
for one, raw, name in subjects:
    at = partial(method, layer=name)
    turn = sanity_checks.reversal_response(one, at, v, follow=True, **ranked)
    shaken = robustness.under_noise(one, at, v, repeats=1, rng=rng, **ranked)
    here, there = (at(n, v, target="forehand").cpu().numpy() for n in (one, raw))
    led = manipulation.manipulate(
        one,
        v[: 1 if quick else 2],
        spot,
        layer=name,
        steps=4 if quick else 10,
        rng=rng,
    )
    tried[one.entry.name.removeprefix("stage_"), name] = (
        turn.similarity["rank"],
        turn.baseline["rank"],
        robustness.temporal_smoothness(here).values,
        shaken.similarity["rank"][0],
        map_similarity.rank_correlation(here, there),
        localisation.energy_share(here, truth) - localisation.area_share(truth),
        led.nearness[1],
    )

# %% tags=["hide-input"]
networks_too = limits_across_maps.NetworksReport.of(
    tried,
    average,
    clips=len(trial),
    chosen=1 if quick else 2,
    decides=trial.decides,
)
networks_too

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-networks", "caption": "How alike the map of the other class is in the reversed clip, beside how alike maps of different clips are, by network and layer; means with 95 % intervals."}}
score_charts.bars(
    {
        name: {
            f"{arch}\n{'last' if layer == gradcam.volume_layers(one)[-1] else 'middle'}": (
                m[k].value,
                m[k].low,
                m[k].high,
            )
            for ((arch, layer), m), (one, _, _) in zip(
                networks_too.means.items(), subjects, strict=True
            )
        }
        for k, name in enumerate(
            ("reversed clip, other class", "another clip, same class")
        )
    },
    units="maps alike, by rank",
)

# %% [markdown]
# ## The limits, measured
#
# Every verdict is computed from the numbers beside it.

# %% tags=["hide-input"]
one_by_one = (in_time, flickers, background, cascade, chosen, agreement)
lines = [report.limit for report in one_by_one]
limits.LimitsReport(
    [*lines[:4], *stable.limits, *lines[4:]], model, action, len(rows)
)

# %% [markdown]
# ## Where this fails, and what we may not conclude
#
# - The networks are small and see 64 by 64 pixels; a last layer with few cells is smooth, coarse and
#   much the same in every clip for that reason alone. Larger networks have to be measured themselves:
#   `vx run --chapter limits --model ... --action ...`.
# - A map that stays when the class turns round is no error if both classes use the same places. It is a
#   limit: the map cannot say *how* what is there counts.
# - Rank correlation weighs every place alike, the large quiet background as well as the racket. A map may
#   move where it matters and stay alike.
# - Whether an attack fails says nothing: more steps or softer networks may succeed. That it succeeds is
#   enough.
# - "Random weights" is one or two draws of one initialisation.
#
# ## Exercises
#
# 1. Which of the limits would a map have that shows the same blob in the middle of every clip? Which not?
# 2. Why can the map of the reversed clip be *less* alike than the map of another clip?
# 3. Let `epsilon` in the manipulation be 1. What stays?
#
# :::{dropdown} Solutions
# 1. It passes flicker, noise, encoding and normalisation perfectly, cannot be manipulated, and fails order
#    in time, random weights and agreement: it has what is wanted of a stable map and knows nothing.
# 2. The maps of two forehands explain the same class with the same channel weights; the reversed clip's
#    explains another class, with other weights.
# 3. Less may be changed, so the corner is reached less well; prediction and control stay as they are.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again.
#
# **Takeaways.** Hold every similarity against that of two different clips; hold smoothness against the
# evidence's own; do not take a stable map for a true one. **Next:** {doc}`evidence` asks of
# every method whether it finds what decides. **References:** {doc}`bibliography`.
