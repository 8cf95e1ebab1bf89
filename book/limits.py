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
from IPython.display import Markdown
from vxhelpers import stats
from vxhelpers.attribution import gradcam
from vxhelpers.data import provenance
from vxhelpers.data.datasets import dependence, open_data
from vxhelpers.evaluation import (
    localisation,
    manipulation,
    map_agreement,
    map_similarity,
    robustness,
    sanity_checks,
)
from vxhelpers.figures import charts, filmstrips, player, score_charts
from vxhelpers.figures.report import escape_markdown as said
from vxhelpers.models import samples, zoo

rng = np.random.default_rng(seed)
quick = profile == "quick"
many, some, few = (8, 6, 2) if quick else (30, 12, 6)
method = partial(gradcam.gradcam, batch_size=8)
provenance.describe("limits", globals())


# %% tags=["hide-input"]
def mean(values):
    """Mean and interval; fewer than two clips say nothing, and the interval says that."""
    values = np.asarray(values, float)
    if len(values) > 1:
        return stats.mean_interval(values, rng=rng)
    value = float(values[0]) if len(values) else float("nan")
    return stats.Mean(value, -np.inf, np.inf, len(values))


def short(m):
    if not m.n:
        return "unknown"
    ends = f" [{m.low:.2f}, {m.high:.2f}]" if m.n > 1 else f" (n = {m.n})"
    return f"{m.value:.2f}{ends}".replace("-", "−")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def scored(m):
    return f"{short(m)}, n = {m.n}" if m.n > 1 else short(m)


board = []

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
other = mean([] if anyway is None else anyway["rank"])
seen = " and ".join(found.decides)
Markdown(
    f"{recognised.sum()} of {len(rows)} test clips of *{said(action)}* are recognised by {said(model)}. "
    f"The maps of two different clips are alike by {short(other)}"
    + (": **whatever the clip, much of the map is the same.** Every similarity below has to be read "
       "against that." if other.low > 0.5 else ".")
    + (" **So few clips** say little about the class." if len(rows) < 10 else "")
    + f" {dependence(rows, [])}"
)  # fmt: skip

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
lines = []
for name, response in turned.items():
    lines.append([name, f"{response.flipped.mean():.0%}", short(mean(response.similarity["rank"])),
                  short(mean(response.baseline["rank"]))])  # fmt: skip
flipped = turned["trained"].flipped
similarity = np.where(flipped, turned["trained"].similarity["rank"], np.nan)
same, across, more = (
    mean(values[flipped])
    for values in (similarity, turned["trained"].baseline["rank"],
                   similarity - turned["trained"].baseline["rank"])
)  # fmt: skip
stays = same.low > 0.5
board.append(["order in time", "map of the other class in the reversed clip, alike", scored(same),
              f"another clip's map {short(across)}",
              "the map hardly changes" if stays else "the map changes" if same.high < 0.5
              else "undecided"])  # fmt: skip
Markdown(
    table(["network", "class changes", "map alike", "another clip's map"], lines)
    + f"\n\nn = {len(swings)} forehands; what follows is of the {same.n} whose class changed. "
    + (f"**The class turns round and the map stays**, by {short(same)}." if stays else
       f"The map is alike by {short(same)}, so it does move with the class.")
    + (" And it is no more alike than the map of another clip of the same class: what stays is not this "
       "clip's evidence but what the network's maps have in common." if more.low <= 0 else
       f" It is more alike than the map of another clip (by {short(more)}), so something of the clip is "
       "in it.")
)  # fmt: skip

# %% [markdown]
# The clip in the middle of that ranking, forwards and backwards; the second map explains another class.


# %% tags=["hide-input"]
def show(pixels, values, title, alt, fps, limits=None, outlines=None):
    overlay = gradcam.upsample_map(
        torch.from_numpy(values[None].copy()), pixels.shape[:3]
    )
    return player.player(
        pixels, fps=fps, overlay=overlay[0].numpy(), title=title, alt=alt, signed=True,
        units="Grad-CAM", limits=limits, outlines=outlines,
    )  # fmt: skip


def largest(*several):
    top = max(float(np.abs(one).max()) for one in several) or 1.0
    return (-top, top)


# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-order", "caption": "A forehand as it is and played backwards, each under the map of the class that is predicted for it; both on one scale."}}
k = int(
    np.argsort(similarity)[flipped.sum() // 2]
)  # those that did not change come last
classes = [known.labels[int(c[k])] for c in turned["trained"].targets]
ways = [forth[k : k + 1], forth[k : k + 1].flip(2)]
pair = [
    method(known, clip, target=c)[0].cpu().numpy()
    for clip, c in zip(ways, classes, strict=True)
]
films = [swings.pixels[k], swings.pixels[k][::-1].copy()]
player.gallery([
    show(film, m, f"{way}: {c}", f"{swings.rows[k].clip_id}, {way}, with the map of {c}; turned round, "
         f"the two maps are alike by {similarity[k]:.2f}.", swings.fps[k], largest(*pair))
    for film, m, way, c in zip(films, pair, ("forwards", "backwards"), classes, strict=True)
])  # fmt: skip

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
steps = {f"map, {name}": cells[name].shape[1] for name in layers}
flick = {name: mean(one.values) for name, one in flicker.items()}
own, ideal = (flick[f"map, {layers[-1]}"], flick["evidence in its cells"])
smooth = own.high < ideal.low
board.append(["flicker", f"change a frame, {layers[-1]}", scored(own),
              f"evidence in its cells {short(ideal)}",
              "smoother than the evidence" if smooth else "flickers more than the evidence"
              if own.low > ideal.high else "undecided"])  # fmt: skip
coarse = steps[f"map, {layers[-1]}"]
steps |= dict.fromkeys(("map, random weights", "evidence in its cells"), coarse)
Markdown(
    table(["what", "steps in time", "flicker", "in random order"],
          [[name, steps.get(name, maps.shape[1]), short(m), short(mean(flicker[name].baseline))]
           for name, m in flick.items()])
    + f"\n\nThe last layer has {coarse} steps in time for {maps.shape[1]} frames, and what is between is "
    + ("interpolated. " if coarse < maps.shape[1] else "its own. ")
    + ("**Its map does not flicker; it changes less than the evidence does in the same cells**, so it does "
       "not follow what moves. Smoothness alone is no merit: a map that stands still scores 0." if smooth else
       "It changes more than the evidence does in the same cells." if own.low > ideal.high else
       "Whether it changes more or less than the evidence in the same cells is not clear.")
)  # fmt: skip

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
early = changes[f"map, {layers[0]}"]
ends, between = max(early[0], early[-1]), float(np.median(early))
Markdown(
    f"The first layer's map changes by {ends:.2f} at an end of the clip and by {between:.2f} in between"
    + (", most likely a border effect: the network sees no frames beyond the clip. What looks like "
       "the beginning or end of something in a map may be the clip's own."
       if ends > 2 * between else ", so that the ends are nothing special.")
)  # fmt: skip

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
lines = []
for name in networks:
    answer = says[name, "counterfactual"]
    lines.append(
        [
            name,
            *(short(mean(on_ground[name, part])) for part in split),
            f"{(answer == by_place).mean():.0%}",
            f"{(answer == by_action).mean():.0%}",
        ]
    )
answer = says["shortcut", "counterfactual"]
gain = on_ground["shortcut", "counterfactual"]
went, stayed = mean(gain[answer == by_place]), mean(gain[answer != by_place])
ground, chance, mixed = (mean(on_ground[name, "counterfactual"])
                         for name in ("shortcut", "random weights", "tennis"))  # fmt: skip
beyond = mean(gain - on_ground["random weights", "counterfactual"])
versus = mean(gain - on_ground["tennis", "counterfactual"])
told = min(beyond.low, versus.low) > 0
board.append(["background", "energy on the ground minus area, shortcut network", scored(ground),
              f"other network {short(mixed)}, random weights {short(chance)}",
              "tells what decided" if told else "tells the networks apart, but not beyond random weights"
              if versus.low > 0 else "does not tell what decided"])  # fmt: skip
Markdown(
    table(["network", "test", "counterfactual", "goes with the place", "goes with the action"], lines)
    + f"\n\nEnergy on the ground minus its area, maps of the predicted class, n = {len(away)} clips a "
    "split, and what the predictions of the counterfactual clips go with.\n\n"
    + f"Clip by clip the shortcut network's maps have {short(versus)} more of their energy on the ground "
    f"than the tennis network's, and {short(beyond)} more than those of random weights. "
    + ("So here maps do tell what decided. " if told else
       "**They tell the two trained networks apart, but random weights watch the ground as much:** without "
       "the second network nobody could say what the map means. " if versus.low > 0 else
       "**They do not tell the ground that decided from one that did not.** ")
    + (f"Where the prediction went with the place, the gain is {short(went)}; where not, {short(stayed)}: "
       + ("also a single network's maps tell the two apart on average."
          if went.low > stayed.high else "**within one network the map does not tell who took the shortcut.**")
       if min(went.n, stayed.n) > 4 else
       f"{'All but ' + str(rare) if (rare := min(went.n, stayed.n)) else 'All'} predictions of the shortcut "
       "network went the same way, so that the "
       "two cases cannot be compared within it.")
)  # fmt: skip

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-ground", "caption": "The counterfactual clip whose map has most energy on the ground above its area, and the one that has least, under the maps of the shortcut network's prediction; outlined is the ground."}}
order = np.argsort(gain)
player.gallery([
    show(away.pixels[k], method(taught, taught.prepare([away.clips[k]]), target=str(answer[k]))[0].cpu().numpy(),
         f"{by_action[k]} taken for {answer[k]}" if by_action[k] != answer[k] else f"{answer[k]}, right",
         f"{away.rows[k].clip_id}: {by_action[k]} where {by_place[k]} usually is, predicted {answer[k]}; "
         f"{gain[k]:+.2f} of the energy on the ground above its area.",
         away.fps[k], outlines=away.outlines(k, "ground"))
    for k in (int(order[-1]), int(order[0]))
])  # fmt: skip

# %% [markdown]
# ## Random weights
#
# {cite:t}`adebayo2018sanity` replace a network's weights by random ones, from the top down, and watch the
# map. If it stays as it was, what was learned does not matter to it. Whether a random network speaks for or
# against a class is a coin's toss, and a map turned into its negative still has the same places: so
# similarities count without their sign, and absolute values of the maps are compared as well.

# %%
draws = [
    sanity_checks.cascade(net, method, x[:some], target=action,
                   similarities=["rank", "absolute_rank", "ssim"],
                   rng=rng, batch_size=8)
    for _ in range(1 if quick else 2)
]  # fmt: skip
stages = [
    "trained",
    *(f"+ {s}" if k else s for k, s in enumerate(draws[0].stages[1:])),
]
left = {
    name: np.abs([d.similarity[name] for d in draws]).mean(0)
    for name in draws[0].similarity
}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-cascade", "caption": "How alike maps stay to those of the trained network while its stages become random, from the top down, without sign; dashed, how alike the maps of different clips are by rank."}}
scores = {
    {
        "rank": "rank correlation",
        "absolute_rank": "of absolute values",
        "ssim": "structural similarity",
    }[name]: {
        stage: (m.value, max(m.low, -1), min(m.high, 1))
        for stage, m in zip(stages, map(mean, values), strict=True)
    }
    for name, values in left.items()
}
base = mean([] if draws[0].baseline is None else np.abs(draws[0].baseline["rank"]))
score_charts.curves(
    scores,
    units="alike",
    line=("another clip's map", base.value) if base.n else None,
)

# %% tags=["hide-input"]
last, strong, looks = (
    mean(left[name][-1]) for name in ("rank", "absolute_rank", "ssim")
)
floor = mean(
    [] if draws[0].baseline is None else draws[0].baseline["absolute_rank"]
)
stays = max(last.low, strong.low) > 0.5
singly = " and ".join(
    f"{np.abs(d.similarity['rank'][-1]).mean():.2f}" for d in draws
)
depends = max(last.high, strong.high) < 0.5
board.append(["random weights", "map with all weights random, alike, either sign", scored(last),
              f"another clip's map {short(base)}",
              "the map depends on what was learned" if depends else "much of the map stays" if stays
              else "undecided"])  # fmt: skip
Markdown(
    f"With all weights random, maps are alike the trained network's, or its negative, by {short(last)} in rank and by "
    f"{short(strong)} in the rank of absolute values (n = {min(some, len(rows))} clips, "
    f"{len(draws)} draw{'s' if len(draws) > 1 else ''} of weights); those of different clips by "
    f"{short(base)} and {short(floor)}. "
    + (f"The single draws come to {singly} in rank. "
       if len(draws) > 1 else "")
    + ("That passes the check. " if depends else "**That does not pass the check.** " if stays else
       "That is no clear answer. ")
    + (f"By structural similarity they are alike by {short(looks)}: another measure, another degree; which "
       "one is chosen decides how hard the check is." if not last.low <= looks.value <= last.high else "")
)  # fmt: skip

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
lines = []
for name, values in stay.items():
    m = mean(values)
    verdict = ("the map holds" if m.low > max(0.5, other.value) else "the map moves"
               if m.high < max(0.5, other.value) else "undecided")  # fmt: skip
    lines.append([name, f"{float(kept[name]):.0%}", short(m), verdict])
    board.append([f"preprocessing: {name}" if name in shifted else name, "map alike", scored(m),
                  f"another clip's map {short(other)}",
                  f"{verdict}; prediction kept in {float(kept[name]):.0%}"])  # fmt: skip
Markdown(
    table(["change", "prediction kept", "map alike", "verdict"], lines)
    + f"\n\nn = {min(some, len(rows))} clips; the maps of two different clips are alike by {short(other)}. "
    "A map *holds* if it is more alike than 0.5 and than the map of another clip."
)  # fmt: skip

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
in_corner = [mean(localisation.energy_share(m, inside)) for m in fooled.maps]
near = [mean(one) for one in fooled.nearness]
lines = [[name, short(near[k]), short(in_corner[k]), short(mean(fooled.probability[k])),
          f"{fooled.kept[k].mean():.0%}"]
         for k, name in enumerate(("as it is", "changed", "noise of the same size"))]  # fmt: skip
fell = near[1].low > max(0.5, near[2].high)
board.append(["a chosen map", "correlation with a corner, same prediction", scored(near[1]),
              f"noise of the same size {short(near[2])}",
              "the map can be chosen" if fell else "moved, not chosen"
              if near[1].low > near[2].high else "undecided"])  # fmt: skip
Markdown(
    table(["clip", "correlation with the corner", "energy in it", "probability", "class kept"], lines)
    + f"\n\nn = {len(fooled.largest)} clips; no value was changed by more than "
    f"{fooled.largest.max():.0f} grey levels. The corner is {corner.mean():.2f} of the area. "
    + ("**With the same prediction the map points where we chose**, and noise of that size does nothing "
       "of the kind: who supplies the clip can supply the explanation." if fell else
       "The map did not become the chosen one within so few steps and grey levels.")
)  # fmt: skip

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-chosen", "caption": "The clip whose map came nearest to the corner: as it is, and changed by at most four grey levels; each under the map of the same class, each with its own limits."}}
k = int(np.argmax(fooled.nearness[1]))
level, shade = (
    torch.tensor(v).view(3, 1, 1, 1) for v in (net.entry.std, net.entry.mean)
)
films = [((clip.cpu() * level + shade) * 255).round().clamp(0, 255).byte().permute(1, 2, 3, 0).numpy()
         for clip in (x[k], fooled.changed[k])]  # fmt: skip
player.gallery([
    show(film, fooled.maps[j, k],
         f"{title}: {net.labels[fooled.predicted[j, k]]} {fooled.probability[j, k]:.2f}",
         f"{rows[k].clip_id}, {title}: predicted {net.labels[fooled.predicted[j, k]]}; its map correlates "
         f"with the corner by {fooled.nearness[j, k]:.2f}.", found.fps[k])
    for j, (film, title) in enumerate(zip(films, ("as it is", "changed"), strict=True))
])  # fmt: skip

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
agreed = {name: mean(values) for name, values in agree.items()}
within = agreed.get("maps of the class", mean([]))
blind = agreed.get("random weights", mean([]))
typical = map_similarity.rank_correlation(
    np.broadcast_to(maps.mean(0), maps.shape), maps
)
between = agreed.get("with maps of other classes", mean([]))
apart = within.low > between.high
board.append(["local, not global", f"agreement of {len(rows)} maps of the class", scored(within),
              f"with other classes' {short(between)}, random weights {short(blind)}",
              "maps agree more with random weights" if blind.low > within.high else
              "maps of the class agree more than with those of others" if apart else
              "maps of the class agree no more than maps of different classes"
              if between.n > 1 and within.n > 1 else "too few clips"])  # fmt: skip
low, high = np.quantile(share - area, [0.05, 0.95])
favour = (share > area).mean()
Markdown(
    table(["pairs", "mean rank correlation"], [[name, short(m)] for name, m in agreed.items()])
    + "\n\n"
    + ("Maps of the class agree more with each other than with those of other classes. " if apart else
       "Maps of the class agree no more with each other than with those of other classes. "
       if between.n > 1 and within.n > 1 else "")
    + ("**Agreement is no proof of knowledge:** with random weights maps agree even more. "
       if blind.low > within.high else "")
    + ("" if len(rows) < 2 else f"The mean of all maps is like single ones by {short(mean(typical))}, and like the least similar by "
       f"{typical.min():.2f}, which it hides. ".replace("-", "−"))
    + f"The share of the energy on {seen}, minus its area, is {short(mean(share - area))} "
    f"on average and {low:+.2f} to {high:+.2f} over the middle nine tenths of {len(rows)} clips. "
    + (f"{favour:.0%} of single maps favour the evidence, so that one map may say either."
       if 0.05 < favour < 0.95 else "Single maps mostly say the same of the evidence.")
)  # fmt: skip

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-local", "caption": "The clip whose map is most like the mean of all maps, and the clip whose map is least like it; each with its own limits."}}
player.gallery([
    show(found.pixels[k], maps[k], f"{title} like the mean map",
         f"{rows[k].clip_id}: its map is alike the mean map by {typical[k]:.2f}.", found.fps[k])
    for k, title in ((int(np.argmax(typical)), "Most"), (int(np.argmin(typical)), "Least"))
])  # fmt: skip

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
head = ["network, layer", "reversed", "another clip", "flicker", "noise", "random weights",
        "evidence", "chosen map"]  # fmt: skip
lines = [[f"{arch}, `{name}`", *(f"{np.mean(v):.2f}".replace("-", "−") for v in values)]
         for (arch, name), values in tried.items()]  # fmt: skip
means = {key: [mean(v) for v in values] for key, values in tried.items()}
keeps = [f"{a} `{n}`" for (a, n), m in means.items() if m[0].low > 0.5]
finds = [f"{a} `{n}`" for (a, n), m in means.items() if m[5].low > 0]
unmoved = [
    f"{a} `{n}`" for (a, n), v in tried.items() if mean(np.abs(v[4])).low > 0.5
]  # fmt: skip
Markdown(
    table(head, lines)
    + f"\n\nMeans over n = {len(trial)} forehands (chosen map: the first {1 if quick else 2} of them, fewer "
    "steps than above). *reversed*, *noise*, *random weights*: how alike the map stays in rank; *evidence*: "
    "energy on " + " and ".join(trial.decides) + " minus area; *chosen map*: correlation with the corner.\n\n"
    + f"The map hardly changes (above 0.5, with its whole interval) when the class turns round: {', '.join(keeps) or 'nowhere'}. "
    + f"It favours the evidence: {', '.join(finds) or 'nowhere'}. "
    + f"It stays, or becomes its negative, when all weights are random: {', '.join(unmoved) or 'nowhere'}."
)  # fmt: skip

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limits-networks", "caption": "How alike the map of the other class is in the reversed clip, beside how alike maps of different clips are, by network and layer; means with 95 % intervals."}}
score_charts.bars(
    {
        name: {
            f"{arch}\n{'last' if layer == gradcam.volume_layers(one)[-1] else 'middle'}": (
                m[k].value, m[k].low, m[k].high
            )
            for ((arch, layer), m), (one, _, _) in zip(means.items(), subjects, strict=True)
        }
        for k, name in enumerate(("reversed clip, other class", "another clip, same class"))
    },
    units="maps alike, by rank",
)  # fmt: skip

# %% [markdown]
# ## The limits, measured
#
# Every verdict is computed from the numbers beside it.

# %% tags=["hide-input"]
Markdown(
    table(["limit", "measure", "value", "baseline", "verdict"], board)
    + f"\n\nIntervals are 95 % bootstrap intervals over clips; background and order in time are of the "
    f"stage's networks, the rest of {said(model)} on *{said(action)}*. "
    + (
        "So few clips cannot carry a verdict on the class. "
        if len(rows) < 10
        else ""
    )
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
