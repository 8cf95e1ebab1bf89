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
# (networks)=
# # What the networks see
#
# *How good is the network that we are about to explain, and does it need the motion at all?*
#
# :::{admonition} Card
# :class: tip
# **You will** look at the clips before any score; read an accuracy with its interval and its
# baselines; take time away from a network and see what is left.
#
# **Before:** {doc}`intro`. **Reading:** 10 minutes. **Running:** about three
# minutes on two CPU cores.
# :::
#
# An explanation explains a *network*, not the world. If the network is wrong, guesses, or decides by
# the place, the best explanation of it says just that. So we begin with what it was shown, how often
# it is right, and three small experiments on time, before a single heat map is drawn.

# %% tags=["parameters"]
action = "playing tennis"
dataset = "stage:tennis"
root = None
model = "stage_r3d"
weights = "tennis"
seed = 0
profile = "standard"

# %% tags=["hide-input"]
from pathlib import Path

import numpy as np
from vxhelpers.book import results
from vxhelpers.data import provenance
from vxhelpers.data.datasets import dependence, open_data
from vxhelpers.evaluation import ablation
from vxhelpers.evaluation.ablation_report import RelianceReport
from vxhelpers.figures import charts, filmstrips, player, score_charts
from vxhelpers.figures.report import Text
from vxhelpers.models import evaluate, report, samples, zoo
from vxhelpers.models.training import modelcard

rng = np.random.default_rng(seed)
limit = {"quick": 60, "standard": 360}[profile]
provenance.describe("networks", globals())

# %% [markdown]
# ## Look at the clips
#
# A data set is a manifest: one row a clip, with its label and its split. These are the clips that
# the network has never seen, drawn with the seed above. Where the data are videos cut into windows,
# only these windows are new: the text below counts the videos.

# %%
data = open_data(dataset, root=root)
net = zoo.load(model, weights=weights)
rows = samples.draw(data, split="test", limit=limit, rng=rng)
mine = samples.draw(data, split="test", label=action, limit=8, rng=rng)
shown = samples.collect(data, net, mine)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-networks-clips", "caption": "Clips of the class as the network is shown them, first to last frame. Where we rendered the scene, the outlines hold the evidence; on other videos they show what moves most."}}
player.gallery(
    [
        player.player(
            shown.pixels[k],
            fps=shown.fps[k],
            title=f"{row.label}: {row.clip_id}",
            alt=f"Unseen clip {row.clip_id} of the class {row.label}.",
            outlines=shown.outlines(k),
        )
        for k, row in enumerate(mine[:4])
    ]
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-networks-classes", "caption": "One unseen clip of each class (of the first eight, where there are more), six frames each, with the time in seconds."}}
first = {
    row.label: row for row in sorted(rows, key=lambda row: row.label, reverse=True)
}
one_each = {label: data.clip(first[label]) for label in sorted(first)[:8]}
filmstrips.filmstrip(
    {label: clip.frames for label, clip in one_each.items()},
    fps={label: clip.fps for label, clip in one_each.items()},
    alt=f"Six frames of one unseen clip of each class: {', '.join(sorted(one_each))}.",
)

# %% tags=["hide-input"]
size = tuple(n // shown.scale for n in shown.pixels.shape[2:4])
report.ClipsReport(data, net, len(rows), size)

# %% [markdown]
# ## How often it is right
#
# The accuracy is the share of test clips whose largest logit is the label's. A share of $k$ among $n$
# clips is itself uncertain; we give Wilson's interval {cite:p}`wilson1927`,
#
# $$
# \frac{1}{1 + z^2/n}\left(\hat p + \frac{z^2}{2n} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4n^2}}\right), \qquad \hat p = \frac{k}{n},\; z = 1.96,
# $$ (eq-networks-wilson)
#
# which stays between 0 and 1 and keeps its width when every clip is right. {eq}`eq-networks-wilson` takes
# clips as independent; several windows of one video are not, so on real footage the true interval is
# wider. Beside it stand two scores without skill: guessing, and always naming the commonest class.

# %%
clips = [data.clip(row) for row in rows]
labels = samples.class_of(net, rows)
check = evaluate.causal_check(net, clips, labels, rng=rng)
score = check.accuracy["normal"]

# %% tags=["hide-input"]
known = data.rows("train") if "train" in data.manifest.splits else []
report.AccuracyReport(score, dependence(rows, known))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-networks-confusion", "caption": "Label (rows, with the number of clips) by prediction (columns); shares of each row."}}
named = sorted(set(labels) | set(check.tables["normal"].sum(0).nonzero()[0]))
charts.confusion(
    check.tables["normal"][np.ix_(named, named)], [net.labels[k] for k in named]
)

# %% [markdown]
# ## Does it need the motion?
#
# Three edits of the same clips, each a small experiment on the network:
#
# | edit | what it removes | what a fall in accuracy means |
# |---|---|---|
# | *frozen* | all motion: the middle frame, repeated | the network needs motion |
# | *reversed* | nothing but the direction of time | the network reads the direction |
# | *shuffled* | the order of the frames | the network reads the order |
#
# The edits are made to the very frames that the network is shown. Unlike a heat map this is a causal
# check: we change the input and watch the output.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-networks-causal", "caption": "The causal check: accuracy on unseen clips as they are, frozen, reversed and shuffled, with 95 % Wilson intervals, beside the same network with random weights."}}
untrained = zoo.load(model, weights="random", labels=net.labels, seed=seed)
baseline = evaluate.causal_check(untrained, clips, labels, rng=rng)
checks = {
    f"{model} ({Path(weights or 'published').name})": check,
    "random weights": baseline,
}
charts.accuracies(
    {
        name: {edit: (a.value, a.low, a.high) for edit, a in found.accuracy.items()}
        for name, found in checks.items()
    },
    chance=score.chance,
)

# %% tags=["hide-input"]
causal = report.CausalReport(check, labels)
results.note_all(causal.metrics(net.labels.index(action)))
causal

# %% [markdown]
# ## Does it need the place, or the objects?
#
# Now things go. What the person sweeps over in a clip is hidden under the mean colour, or what the
# objects sweep over; the place behind them is swapped. Each edit has a control, because an edited clip
# harms a network as such: the same hole elsewhere, and the place of another clip of the same class.
#
# A fall of the class's probability is not enough either. A network to which an edit leaves nothing
# answers with its favourite class, and for that class nothing falls. So we ask whether the class is
# still told from the others. With $p$ the probability of the class, $k(x)$ the control's version of a
# clip and $e(x)$ the edited one, what the class *relies on* is
#
# $$
# R_e = \left(\bar p(k(x)) - \bar p(e(x))\right)_{\text{of the class}} - \left(\bar p(k(x)) - \bar p(e(x))\right)_{\text{of others}},
# $$ (eq-networks-reliance)
#
# means over clips. {eq}`eq-networks-reliance` is 0 where the network does not rely on it, and about 1 where all that
# sets a sure class apart is gone. For motion (frozen), order (shuffled) and direction (reversed) the
# control is the clip as it is. Hiding is {cite:t}`zeiler2014`'s experiment, the gap between places is
# {cite:t}`xiao2021noise`'s, on video; {cite:t}`choi2019why` found that action networks rely on places, and
# {cite:t}`li2018resound` that data sets let them. {doc}`across` sets all classes side by side.

# %%
few = {"quick": 12, "standard": 40}[profile]
mine = samples.draw(data, split="test", label=action, limit=few, rng=rng)
others = [row for row in data.rows("test") if row.label != action]
others = [others[i] for i in sorted(rng.permutation(len(others))[: len(mine)])]
both = samples.collect(data, net, mine + others)
x = net.prepare(both.clips)
asked = {
    kind: ablation.reliance(
        network, x, both.masks, both.labels, target=action, rng=rng
    )
    for kind, network in (("trained", net), ("random weights", untrained))
    if min(len(mine), len(others)) > 1
}
reliances = {
    kind: {what: found.reliance_on(what, rng=rng) for what in found.contrasts}
    for kind, found in asked.items()
}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-networks-reliance", "caption": "What the class relies on: how much of what sets it apart goes with motion, order, direction, each part and the place, beyond the control, with 95 % bootstrap intervals over clips, beside the same network with random weights."}}
score_charts.bars(
    {
        kind: {w: (m.value, m.low, m.high) for w, m in found.items() if m}
        for kind, found in reliances.items()
    },
    units="reliance of the class",
    line=("no reliance", 0.0),
) if reliances else Text(
    "*There are not two clips or more of the class and of other classes.*"
)

# %% tags=["hide-input"]
ablated = asked.get("trained")
relies = RelianceReport(
    action,
    ablated,
    ablated and ablated.separation("normal", rng=rng),
    reliances,
    len(others),
    filmed="moving" in both.masks,
)
results.note_all(relies.metrics())
relies

# %% [markdown]
# ## How it was trained, and its siblings
#
# Weights come with a model card: a recorded file with the command, the commit, the seed, the hardware,
# the curves and the causal check on the whole test split. These are read from the cards, not computed
# here; the section before computed its numbers from the weights. All cards are in {doc}`models`.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-networks-curves", "caption": "Loss and accuracy by epoch, from the model card; the dotted line marks the epoch whose weights were kept, the best on validation."}}
family = modelcard.family(net)
series = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
charts.training_curves(
    {name: [epoch[name] for epoch in family[0]["curves"]] for name in series},
    best=family[0]["best_epoch"],
) if family else Text(
    f"`{net.weights}` has no model card: nothing is known of its training."
)

# %% tags=["hide-input"]
report.SiblingsReport(family)

# %% [markdown]
# ## Does the check tell the truth? Two nets with a known answer
#
# On the stage we can plant what decides. In the task *motion* single frames follow one law in all
# three classes, and only the racket's movement tells them apart: round one way, round the other way
# (its exact time reversal), or carried along. In the task *static* the movements follow one law, and
# only the object and the place tell the classes apart. So we know what the check has to say: on
# *motion*, freezing must bring the accuracy down to chance and reversing must swap two classes; on
# *static*, nothing may happen.

# %%
planted = {}
for task in ("motion", "static"):
    stage = open_data(f"stage:{task}")
    known = zoo.load("stage_r3d", weights=task)
    drawn = samples.draw(stage, split="test", limit=limit // 2, rng=rng)
    planted[task] = evaluate.causal_check(
        known,
        [stage.clip(row) for row in drawn],
        samples.class_of(known, drawn),
        rng=rng,
    )

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-networks-planted", "caption": "The check on two networks whose evidence we planted. The network trained on motion must fall to chance when frozen; the one trained on static scenes must not care."}}
charts.accuracies(
    {
        f"trained on {task}": {
            e: (a.value, a.low, a.high) for e, a in found.accuracy.items()
        }
        for task, found in planted.items()
    },
    chance=1 / 3,
)

# %% tags=["hide-input"]
names = open_data("stage:motion").labels
twins = names.index("forehand"), names.index("reversed forehand")
report.PlantedCheckReport(planted["motion"], planted["static"], twins)

# %% [markdown]
# ## What a shortcut looks like
#
# A network may be right for the wrong reason. In the task *shortcut* every action has a place of its
# own in training, so that the place alone predicts the class. The ordinary test split keeps that
# coupling and cannot see the flaw; the counterfactual split moves every action to another place.

# %%
stage = open_data("stage:shortcut")
known = zoo.load("stage_r3d", weights="shortcut")
shortcut = {}
for split in ("test", "counterfactual"):
    drawn = samples.draw(stage, split=split, limit=limit // 2, rng=rng)
    logits = evaluate.predict(known, [stage.clip(row) for row in drawn])
    truth = samples.class_of(known, drawn)
    shortcut[split] = evaluate.accuracy(truth, logits.argmax(1), len(known.labels))

# %% tags=["hide-input"]
report.SplitsReport(shortcut)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-networks-places", "caption": "Counterfactual scenes: the action of one class in the place of another. Outlined in heavy line is what decided in training, the ground."}}
scenes = [
    stage.scene(row)
    for row in samples.draw(stage, split="counterfactual", limit=8, rng=rng)
]
filmstrips.scene_gallery(
    [scene.clip.frames[8] for scene in scenes],
    [scene.label for scene in scenes],
    masks=[{n: scene.mask(n)[8] for n in ("ground", "person")} for scene in scenes],
    decides=[scene.planted.decides for scene in scenes],
)

# %% [markdown]
# ## Where this fails
#
# - An accuracy on clips from the same source says little about other cameras, people and places; on
#   our stage "unseen" means other subjects and other scenes of the same renderer.
# - *Frozen* keeps the middle frame. A network may fail on it because that frame is odd, not because
#   it misses the motion; compare with *shuffled*, where all frames are there.
# - The edits leave the distribution that the network was trained on. A fall shows that the network
#   uses what was taken away *or* that it is thrown by the edit; with planted evidence we can tell,
#   on real footage we cannot.
# - What is hidden with a part is all that it sweeps over: a racket's arc holds an arm too. What is
#   swapped with a place is a still of it; shadows go, and the sway of the camera.
# - Motion, a part and a place are not taken away in equal doses. That one value is larger than another
#   says which loss the class survives worse, not which cue is the larger one.
# - A hole has a shape: how far arms and legs went can be seen from where they are hidden.
# - The intervals are over clips; that some clips got the same place makes them a little too narrow.
#
# ## Exercises
#
# 1. A network scores 0.90 on normal, 0.90 on reversed and 0.55 on frozen clips. What does it read?
# 2. Why must the frozen accuracy of a perfect *motion* network be 1/3 and not lower?
# 3. Run this chapter for another class: `vx run --action juggling --chapter networks`.
#
# :::{dropdown} Solutions
# 1. Motion, but not its direction: speed or extent of movement, for instance.
# 2. Single frames follow the same law in all classes, so no function of one frame beats guessing; it
#    could only score lower by chance, and the interval says how far.
# 3. The place and the object in hand differ; see which of the three edits hurts now.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again.
#
# **Takeaways.** Look first; give the interval and the baseline; and ask by experiment what the
# network needs. **Next:** {doc}`gradcam` asks where it looks.
