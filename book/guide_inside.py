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
# (guide_inside)=
# # Field guide: units and training clips
#
# *What does a unit inside the network answer to, and which training clips made it predict this class?*
#
# :::{admonition} Card
# :class: tip
# **You will** make clips that excite a unit, hold them against the real ones that do and against stills,
# and find the training clips that speak for and against a prediction; both with random weights beside.
#
# **Before:** {doc}`gradcam`. **Reading:** 8 minutes. **Running:** about a minute on one CPU core.
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
import time
from dataclasses import replace

import numpy as np
import torch
from IPython.display import Markdown
from vxhelpers.attribution import (
    activation_maximisation,
    gradcam,
    registry,
    tracin,
    unit_selectivity,
)
from vxhelpers.data import provenance
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import open_data
from vxhelpers.evaluation import compare, localisation
from vxhelpers.figures import filmstrips, player
from vxhelpers.figures.report import escape_markdown as said
from vxhelpers.models import samples, zoo
from vxhelpers.models.probe import probe

rng = np.random.default_rng(seed)
steps, real, trained = {"quick": (12, 8, 18), "standard": (40, 18, 60)}[profile]
provenance.describe("guide_inside", globals())

# %% [markdown]
# ## What it answers
#
# The other pages of this guide map one clip. The two methods here do not. **Activation maximisation**
# {cite:p}`erhan2009` asks what a *unit* answers to, be it a channel of a layer or the logit of a class:
# it climbs from faint noise to the clip $x$ that excites it most,
#
# $$
# \max_x \; \frac{a(x)}{\hat a} - \lambda R_s(x) - \mu R_t(x),
# $$ (eq-guide_inside-ascent)
#
# with $a$ the unit's mean activation, $\hat a$ its largest on real clips and noise, and $R_s$ and $R_t$
# the mean squared differences of neighbouring pixels in a frame and from frame to frame. Roughness in space
# ($\lambda$) and in time ($\mu$) are weighed apart {cite:p}`feichtenhofer2020deep`: a large $\mu$ asks
# for slow movement. How pixels are varied and shifted is from {cite:t}`olah2017feature`.
#
# **TracIn** {cite:p}`pruthi2020tracin` asks which *training clips* $z$ a prediction owes itself to: what
# would a step of training on $z$ do to the loss $\ell$ of the clip $x$?
#
# $$
# I(x, z) = \sum_t \nabla_w \ell(x; w_t) \cdot \nabla_w \ell(z; w_t)
# $$ (eq-guide_inside-tracin)
#
# Above 0 the training clip helps, below 0 it harms. The sum is over checkpoints $w_t$ of the training.
# **We have one, the last:** the shipped weights come without those on the way. What is found is then
# which clips the finished network holds to be alike and is still unsure of, not what happened in
# training. As in the paper and in captum, $w$ are the classifier's weights alone.
#
# ## Toys with a known answer
#
# A unit that is red less green less blue must get a red clip that stands still. One that is how much
# brighter a frame is than the one before must get a clip that flickers, and no still may excite it.

# %%
weight = {"red": torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1, 1),
          "brighter": torch.tensor([-1.0, 1]).view(1, 1, 2, 1, 1).repeat(1, 3, 1, 1, 1)}  # fmt: skip
entry = replace(zoo.ENTRIES["stage_r3d"], name="toy", head="line",
                layers=(zoo.Layer("unit", "NCTHW"),))  # fmt: skip
toys = {}
for name, kernel in weight.items():
    unit = torch.nn.Conv3d(3, 1, kernel.shape[2:], bias=False)
    unit.weight.data = kernel
    net = torch.nn.Sequential()
    for part, module in {"filter": unit, "unit": torch.nn.ReLU() if name == "brighter" else torch.nn.Identity(),
                         "pool": torch.nn.AdaptiveAvgPool3d(1), "flat": torch.nn.Flatten(),
                         "line": torch.nn.Linear(1, 1)}.items():  # fmt: skip
        net.add_module(part, module)
    toy = zoo.Model(entry, net.eval(), ("unit",), "by hand", "")
    blank = torch.zeros(1, 3, 6, 8, 8)
    made = activation_maximisation.maximise(
        toy, 0, layer="unit", against=blank, rng=rng, steps=200, rate=0.3
    )
    moved = unit_selectivity.movement(toy, made.x[None], 0, layer="unit", rng=rng)
    toys[name] = made, moved

# %% tags=["hide-input"]
lines = [
    "| unit | played | best still | mean colour | pixel's spread over time |",
    "|---" * 5 + "|",
]
for name, (made, moved) in toys.items():
    colour = " ".join(f"{v:.0f}" for v in made.frames.mean((0, 1, 2)))
    lines.append(f"| {name} | {moved.played[0]:.2f} | {moved.still[0]:.2f} | {colour} | "
                 f"{made.frames.std(0).mean():.1f} |")  # fmt: skip
Markdown(
    "\n".join(lines)
    + "\n\nBy hand: the red unit's optimum is 6.44, at red 255 0 0 (green and blue none), and a still "
    "does as well; the other's stills are worth exactly 0. Colours and spread are in levels of 255."
)

# %% [markdown]
# For TracIn, take a classifier of two classes that reads the mean colour $f$ and has not learned
# anything: both probabilities are one half, so {eq}`eq-guide_inside-tracin` is half of $f \cdot f'$ where
# two clips have the same label, and minus that where they do not.

# %%
net = torch.nn.Sequential()
for part, module in {"pool": torch.nn.AdaptiveAvgPool3d(1), "flat": torch.nn.Flatten(),
                     "line": torch.nn.Linear(3, 2)}.items():  # fmt: skip
    net.add_module(part, module)
for parameter in net.parameters():
    parameter.data.zero_()
toy = zoo.Model(entry, net.eval(), ("red", "blue"), "by hand", "")
red, blue = (
    Clip(np.full((4, 16, 16, 3), colour, np.uint8), 8.0, "toy")
    for colour in ((255, 0, 0), (0, 0, 255))
)
found = tracin.tracin(
    toy, [red, red, blue], ["red", "blue", "blue"], toy.prepare(red), target="red"
)
high, low = 0.55 / 0.225, -0.45 / 0.225
same, cross = high**2 + 2 * low**2, 2 * high * low + low**2
by_hand = np.array([same, -same, -cross]) / 2

# %% tags=["hide-input"]
Markdown(
    "| training clip | found | by hand |\n|---|---|---|\n"
    + "\n".join(
        f"| {name} | {a:+.3f} | {b:+.3f} |"
        for name, a, b in zip(
            ("red, called red", "red, called blue", "blue, called blue"),
            found.scores[0], by_hand, strict=True,
        )
    )
)  # fmt: skip

# %% [markdown]
# ## What units answer to
#
# From the middle one of the layers with space and time, the two units whose activation differs most
# between real clips, in relation to its mean; and the logit of the class.

# %%
data, net = open_data(dataset, root=root), zoo.load(model, weights=weights)
rows = samples.draw(data, split="test", label=action, limit=real // 2, rng=rng)
others = samples.draw(data, split="test", limit=real - real // 2, rng=rng)
rows = [*{row.clip_id: row for row in [*rows, *others]}.values()]
clips = [data.clip(row) for row in rows]
x = net.prepare(clips)
layers = gradcam.volume_layers(net)
layer = layers[len(layers) // 2]
means = (
    probe(net, x, layers=[layer], gradients=False)
    .activations[layer]
    .mean((2, 3, 4))
)
spread = means.std(0) / means.abs().mean(0).clamp(min=1e-6)
units = [int(k) for k in spread.topk(2).indices]
asked = {f"unit {k}": (layer, k) for k in units} | {
    f"logit of {action}": (None, action)
}

# %%
begun = time.perf_counter()
made = {
    name: activation_maximisation.maximise(
        net, k, layer=at, against=x, rng=rng, steps=steps
    )
    for name, (at, k) in asked.items()
}
seconds = (time.perf_counter() - begun) / len(made)
slow = activation_maximisation.maximise(
    net, units[0], layer=layer, against=x, rng=rng, steps=steps, time=1000
)

# %% tags=["hide-input"]
lines = [
    "| | noise, mean | real clips, mean | real clips, largest | made | made, over largest real |",
    "|---" * 6 + "|",
]
for name, one in {**made, f"unit {units[0]}, slow": slow}.items():
    largest = one.real.max()
    times = f"{one.activation / largest:.1f}" if largest > 0 else "-"
    lines.append(f"| {said(name)} | {one.noise.mean():.2f} | {one.real.mean():.2f} | "
                 f"{largest:.2f} | {one.activation:.2f} | {times} |")  # fmt: skip
short = [
    said(name) for name, one in made.items() if one.activation <= one.real.max()
]
Markdown(
    f"Activations at layer *{layer}* and of the logit; {len(x)} real clips, {steps} steps up.\n\n"
    + "\n".join(lines)
    + "\n\nNumbers of different rows have different units. "
    + (f"**The ascent does not reach the best real clip for: {', '.join(short)}**; that takes more "
       "steps." if short else "Every clip that was made excites its unit more than any of the real "
       "ones: it is nothing that a camera has seen.")
)  # fmt: skip


# %% tags=["hide-input"]
def shown(frames, fps, title, alt, overlay=None):
    return player.player(
        frames, fps=fps, title=title, alt=alt, overlay=overlay, signed=True, units="activation"
    )  # fmt: skip


def best_real(name):
    at, k = asked[name]
    answer = unit_selectivity.responses(net, x, k, layer=at)
    top = answer.top(1)[0]
    heat, where = None, ""
    if answer.cells is not None:
        cells = answer.cells[top : top + 1].cpu()
        heat = gradcam.upsample_map(cells, x.shape[2:])[0].numpy()
        (t0, t1), (i0, i1), (j0, j1) = answer.peak(top)
        where = f", most in frames {t0} to {t1 - 1}, rows {i0} to {i1 - 1}, columns {j0} to {j1 - 1}"
    title = f"{name}: best real clip, {rows[top].label}"
    alt = f"Clip {rows[top].clip_id} gives {name} {answer.activations[top]:.2f}{where}."
    fps = clips[top].fps / net.entry.stride
    return shown(registry.pixels(net, x[top : top + 1])[0], fps, title, alt, heat)


# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_inside-units", "caption": "Left: the clip that was made to excite the unit. Right: of the real clips, the one that excites it most, beside itself under the unit's activations where the unit has a place; each with limits of its own."}}
fps = clips[0].fps / net.entry.stride
gallery = []
for name, one in made.items():
    alt = f"A clip made for {name}, which it gives {one.activation:.2f}."
    gallery += [shown(one.frames, fps, f"{name}: made", alt), best_real(name)]
player.gallery(gallery)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_inside-strip", "caption": "The clips that were made, in eight frames; the first unit's also with roughness in time weighed a hundred times as much."}}
strips = {name: one.frames for name, one in made.items()}
filmstrips.filmstrip(
    {f"{next(iter(strips))}, slow": slow.frames} | strips,
    frames=8,
    fps=fps,
    alt="Frames of clips that were made to excite two units and a logit.",
)

# %% [markdown]
# ## Does a unit want movement?
#
# A picture can be read as anything. This can be measured: the clip is played as it is; each of several
# frames is held still for the whole clip; it is reversed; it is shuffled. What is gone with the movement
# is what *played* has above the *best still*, as a share of what it has above a clip of the mean colour,
# where nothing is. The same for the
# real clips that excite the unit most, and for the same unit of a network with **random weights**, in
# which nothing is learned.

# %%
blank = compare.untrained(net, seed=seed)
unlearned = activation_maximisation.maximise(
    blank, units[0], layer=layer, against=x, rng=rng, steps=steps
)
first = next(iter(made))
chance = f"{first}, random weights, made"
subjects = {f"{name}, made": (net, name, one.x[None]) for name, one in made.items()}
subjects |= {
    f"{first}, made slow": (net, first, slow.x[None]),
    chance: (blank, first, unlearned.x[None]),
}
for name, one in made.items():
    best = np.argsort(-one.real)[:3]
    subjects[f"{name}, real"] = net, name, x[best]

# %%
moved, nothing = {}, {}
for name, (who, subject, z) in subjects.items():
    at, k = asked[subject]
    moved[name] = unit_selectivity.movement(
        who, z, k, layer=at, rng=rng, stills=4, shuffles=3
    )
    grey = unit_selectivity.responses(who, 0 * z[:1], k, layer=at)
    nothing[name] = grey.activations[0]

# %% tags=["hide-input"]
lines = [
    "| clips | played | best still | reversed | shuffled | gone |",
    "|---" * 6 + "|",
]
gone = {}
for name, m in moved.items():
    above = m.played.mean() - nothing[name]
    gone[name] = (m.played - m.still).mean() / above if above > 0 else np.nan
    share = "-" if np.isnan(gone[name]) else f"{gone[name]:.0%}"
    lines.append(f"| {said(name)} | {m.played.mean():.2f} | {m.still.mean():.2f} | "
                 f"{m.reversed.mean():.2f} | {m.shuffled.mean():.2f} | {share} |")  # fmt: skip
mine, chance = gone[f"{first}, made"], gone[chance]
told = "The ascents were too short to say more."
if np.isfinite(mine) and np.isfinite(chance):
    told = (
        f"**Without movement the learned {first} loses {mine:.0%} and the random one {chance:.0%}**: "
        + ("this unit hardly asks for movement." if mine < 0.2 else
           "that a made clip moves is no news, a filter over time asks for it before it has learned "
           "anything." if chance > 0.8 * mine else
           "a part of that wish is there without any training." if chance > 0.2 * mine else
           "in this comparison the wish for movement came with the training.")
        + " That is one unit and one set of random weights."
    )  # fmt: skip
less = [said(name) for name in made
        if gone[f"{name}, made"] - gone[f"{name}, real"] > 0.2]  # fmt: skip
if less:
    told += (
        f" Real clips need movement less than made ones do for {', '.join(less)}: an optimum tells "
        "what *can* excite a unit most, not what does in videos."
    )  # fmt: skip
Markdown(
    "\n".join(lines)
    + "\n\nOne clip each where made, the mean of the three best where real; 4 stills, 3 shuffles. "
    + told
)

# %% [markdown]
# ## Which training clips speak for a prediction?
#
# Clips are drawn from the training split, a third of the class at hand, the rest from all. Explained is
# what the network *predicts* for the test clips above. The simple baseline are the nearest neighbours:
# the training clips whose features, the classifier's input, have the largest cosine with those of the
# clip. They ask neither labels nor losses.

# %%
split = "train" if "train" in data.manifest.splits else rows[0].split
own = samples.draw(data, split=split, label=action, limit=trained // 3, rng=rng)
drawn = samples.draw(data, split=split, limit=trained - len(own), rng=rng)
lessons = [*{row.clip_id: row for row in [*own, *drawn]}.values()]
lesson_clips = [data.clip(row) for row in lessons]
labels = [row.label for row in lessons]
y = net.prepare(lesson_clips)
begun = time.perf_counter()
found = tracin.tracin(net, lesson_clips, labels, x)
spent = time.perf_counter() - begun
unlearned = tracin.tracin(blank, lesson_clips, labels, x)
top = net.entry.top_layer
seen = {
    name: probe(net, z, layers=[top], gradients=False)
    for name, z in (("x", x), ("y", y))
}
cosine = torch.nn.functional.normalize(seen["x"].activations[top].flatten(1))
cosine = (
    cosine @ torch.nn.functional.normalize(seen["y"].activations[top].flatten(1)).T
)
near = tracin.Influence(cosine.double().cpu().numpy(), 0)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-guide_inside-training", "caption": "The first of the test clips drawn, then the two training clips that help its prediction most and the two that harm it most, with their influence."}}
prediction = net.labels[int(seen["x"].logits[0].argmax())]
gallery = [
    shown(registry.pixels(net, x[:1])[0], fps, f"explained: {rows[0].label}, predicted {prediction}",
          f"Clip {rows[0].clip_id}, predicted {prediction}.")
]  # fmt: skip
for helps in (True, False):
    for k in found.most(0, count=2, helpful=helps):
        kind = "helps" if found.scores[0, k] > 0 else "harms"
        gallery.append(
            shown(registry.pixels(net, y[k : k + 1])[0], fps,
                  f"{kind}: {labels[k]}, {found.scores[0, k]:+.2g}",
                  f"Training clip {lessons[k].clip_id} of {labels[k]}, which {kind}.")
        )  # fmt: skip
player.gallery(gallery)

# %% [markdown]
# **Is it better than chance?** For each explained clip: how many of the five most helpful training clips
# are of the predicted class, beside the share of that class among all that were drawn.

# %%
count = min(5, len(lessons))
predicted = {who: [who.labels[int(k)] for k in who.logits(x).detach().argmax(1)]
             for who in (net, blank)}  # fmt: skip
shares = {
    name: np.array([
        np.mean([labels[k] == label for k in scores.most(i, count=count)])
        - np.mean([one == label for one in labels])
        for i, label in enumerate(predicted[who])
    ])
    for name, scores, who in (
        ("TracIn", found, net),
        ("nearest neighbours", near, net),
        ("TracIn, random weights", unlearned, blank),
    )
}  # fmt: skip

# %% tags=["hide-input"]
means = {name: compare.mean_over_clips(values) for name, values in shares.items()}
lines = [
    "| ranking | share of the class in the best five, less chance |",
    "|---|---|",
]
lines += [f"| {name} | {mean or '-'} |" for name, mean in means.items()]
by_chance = np.mean(
    [np.mean([one == label for one in labels]) for label in predicted[net]]
)
random = means["TracIn, random weights"]
told = ""
if random is not None:
    neighbours, mine = means["nearest neighbours"].value, means["TracIn"]
    told = (
        "**A network that has learned nothing does better than chance too.** That is no accident: clips "
        "of one label pull the classifier the same way, so that in TracIn's sum they help each other "
        "wherever their features are alike at all, learned or not. The test says next to nothing for "
        "TracIn; the next one asks more."
        if random.low > 0 else
        "A network with random weights does no better than chance here."
    )  # fmt: skip
    if neighbours >= mine.low:
        told += " The nearest neighbours, which know no labels, do about as well."
same = (
    ""
    if split == "train"
    else f" **The data set has no training split: these clips are of the split *{said(split)}*, and the "
    "explained clips may be among them.**"
)
Markdown(
    "\n".join(lines)
    + f"\n\n{len(x)} explained clips, {len(lessons)} training clips; chance is {by_chance:.2f} in the mean."
    + same + "\n\n" + told
)  # fmt: skip

# %% [markdown]
# ## A check with planted errors
#
# Some training clips are given a wrong label on purpose. A clip with a wrong label should do much to its
# own loss, its **self-influence** $I(z, z)$, so that wrong labels rank high. The simple rival is the loss
# itself.

# %%
wrong = np.zeros(len(lessons), bool)
wrong[rng.choice(len(lessons), max(2, len(lessons) // 8), replace=False)] = True
false = [
    str(rng.choice([other for other in net.labels if other != label]))
    if bad
    else label
    for label, bad in zip(labels, wrong, strict=True)
]
given = torch.tensor([net.labels.index(label) for label in false])
own = tracin.self_influence(net, lesson_clips, false)
by_chance = tracin.self_influence(blank, lesson_clips, false)
loss = torch.nn.functional.cross_entropy(
    seen["y"].logits.cpu(), given, reduction="none"
)
found_out = {
    name: localisation.auroc(values[wrong], values[~wrong])
    for name, values in (
        ("self-influence", own),
        ("loss", loss.double().numpy()),
        ("self-influence, random weights", by_chance),
    )
}

# %% tags=["hide-input"]
lines = ["| ranking | area under the ROC curve |", "|---|---|"]
lines += [
    f"| {name} | {one.value:.2f} [{one.low:.2f}, {one.high:.2f}] |"
    for name, one in found_out.items()
]
mine, rival = found_out["self-influence"], found_out["loss"]
Markdown(
    "\n".join(lines)
    + f"\n\n{wrong.sum()} of {len(wrong)} labels are wrong; 0.50 is chance; intervals over clips. "
    + ("Self-influence finds them" if mine.low > 0.5 else "**Self-influence does not find them**")
    + (", **and the loss, which needs no gradient, does so as well.** " if mine.low > 0.5
       and rival.value >= mine.low else ". ")
    + ("(An interval without width is what resampling makes of a perfect order.) "
       if mine.low == mine.high else "")
    + "This is the easy case: the network was trained with the *right* labels. One that was trained "
    "with wrong ones may have learned them by heart, and then neither need show them."
)  # fmt: skip

# %% [markdown]
# ## What it costs
#
# Passes follow from the method; seconds were taken in this run.

# %% tags=["hide-input"]
passes = len(lessons) + 2 * len(x)
Markdown(
    "| what | clips forward | clips back | speed |\n|---|---|---|---|\n"
    f"| a clip made for one unit | {steps} + {len(x) + 9} to compare | {steps} | "
    f"{seconds:.1f} s a unit |\n"
    f"| what movement is worth | 2 + stills + shuffles | none | as forward passes |\n"
    f"| TracIn, all pairs | one a clip and checkpoint, and one for each prediction: {passes} | none | "
    f"{passes / spent:.2g} clips a second |\n\n"
    f"On {provenance.hardware()}, {torch.get_num_threads()} of them at work; whatever else runs there "
    "slows it down. TracIn needs no backward pass, as the classifier's gradient is known from features "
    "and probabilities; that is also why it sees nothing but these."
)  # fmt: skip

# %% [markdown]
# ## Which networks it fits
#
# Both fit any network of the zoo: an ascent needs gradients at the pixels, TracIn a linear layer that
# classifies. A few steps up, and one pair of clips, in four networks that learned the motion task:

# %%
stage = open_data("stage:motion")
lesson, test = stage.rows("train", "forehand")[0], stage.rows("test", "forehand")[0]
few, tried = 8, {}
for name in compare.NETS if profile == "standard" else compare.NETS[::3]:
    other = zoo.load(name, weights="motion")
    z = other.prepare(stage.clip(test))
    middle = gradcam.volume_layers(other)[len(gradcam.volume_layers(other)) // 2]
    one = activation_maximisation.maximise(
        other, 0, layer=middle, against=z, rng=rng, steps=few, jitter=0, noise=1
    )
    pair = tracin.tracin(
        other, [stage.clip(lesson)], ["forehand"], z, target="forehand"
    )
    tried[name] = one, pair

# %% tags=["hide-input"]
lines = [f"| network | first unit of the middle layer, start | after {few} steps | influence of a training clip of the class |",
         "|---|---|---|---|"]  # fmt: skip
lines += [
    f"| {name} | {one.curve[0]:.2f} | {one.activation:.2f} | {pair.scores[0, 0]:.2g} |"
    for name, (one, pair) in tried.items()
]
Markdown("\n".join(lines))

# %% [markdown]
# ## When not to use it, and what we may not conclude
#
# - A made clip shows *one* way to excite a unit, far from any real clip, and another seed or weight gives
#   another. It does not show what the unit does on real ones: look at those beside it.
# - The large numbers of made clips say that a network can be driven where no video goes, not that the unit
#   is *for* what the picture resembles.
# - Not for a question about one clip's pixels: for these there are {doc}`gradcam` and the maps.
# - With one checkpoint TracIn does not trace training. With the classifier's weights alone it cannot see
#   what the layers below have learned from a clip.
# - Influence sums over nothing that is removed: to know what a clip was worth, train without it.
#
# ## Exercises
#
# 1. Set `time=0` in the ascent of the first unit. What becomes of the clip, and of what is gone with
#    movement?
# 2. Give the toy of TracIn a fourth training clip that is grey at the mean colour. What is its influence,
#    and why?
#
# :::{dropdown} Solutions
# 1. Nothing holds it back from flickering: neighbouring frames differ more, and stills are worth less in
#    comparison. Compare the rows.
# 2. Nearly none: at the mean colour the features are 0, and with them the classifier's gradient; 8-bit
#    frames miss the mean by a little.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again. Times do not.
#
# **Takeaways.** Make clips, but believe the measured loss of movement, and hold that against random weights;
# ask TracIn for clips to look at, not for proof. **Next:** {doc}`gradcam` and the maps of this guide, which
# ask about one clip. **References:** {doc}`bibliography`.
