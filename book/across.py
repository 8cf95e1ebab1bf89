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
# (across)=
# # Across classes
#
# *Which classes rely on motion, which on place, which on objects, and is that so in every network?*
#
# :::{admonition} Card
# :class: tip
# **You will** put the experiments of all classes of this book side by side, sort them, hold them against
# what we planted and against Grad-CAM, and see where two networks that are both right differ.
#
# **Before:** {doc}`networks`. **Reading:** 10 minutes. **Running:** under half a minute, after
# all other chapters.
# :::
#
# A chapter on one class cannot say whether what it finds is special. This page computes nothing of the
# networks anew: it reads what {doc}`networks` and {doc}`gradcam` noted of every class that this book
# explains. Other books, with other classes, have other numbers and other sentences here.

# %% tags=["parameters"]
results = None
seed = 0
profile = "standard"

# %% tags=["hide-input"]
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
from IPython.display import Markdown
from vxhelpers.book import results as found
from vxhelpers.data import provenance
from vxhelpers.evaluation.ablation_summary import (
    CUES,
    LEAST,
    MEASURES,
    class_reliances,
    paired,
    truth,
)
from vxhelpers.figures import class_charts, table, tabs
from vxhelpers.figures.report import escape_markdown as said
from vxhelpers.io import files
from vxhelpers.stce.coverage import agreement

metrics = found.metrics(results)
classes = class_reliances(metrics)
networks = list(dict.fromkeys(one.network for one in classes))
nothing = Markdown("*None of this book's classes has been asked this.*")


def share(means):
    """Means as chart and table take them."""
    return {what: (m.value, m.low, m.high) for what, m in means.items()}


def count(n, what):
    """A number of things: 1 class, 2 classes."""
    return f"{n} {what}" + ("" if n == 1 else "es" if what.endswith("s") else "s")


versions = provenance.versions()
provenance.Provenance(
    {
        "command": f"vx book --profile {profile} --seed {seed}",
        "metrics (sha256)": files.sha256(Path(results))[:16]
        if results
        else "build/metrics.parquet",
        "commit": provenance.commit()[:12] or "not in a checkout",
        "versions": ", ".join(f"{n} {versions[n]}" for n in ("python", "numpy")),
    }
)

# %% tags=["hide-input"]
of_sets = sorted({c.dataset for c in classes})
Markdown(
    f"{count(len({(c.action, c.dataset) for c in classes}), 'class')} of "
    f"{count(len(of_sets), 'data set')} ({said(', '.join(of_sets))}), "
    f"{count(len(networks), 'network')} ({said(', '.join(networks))}); the *{profile}* profile, "
    f"seed {seed}."
)

# %% [markdown]
# ## What "relies on" means
#
# Every network was shown clips of a class, and as many of other classes, from which one thing had been
# taken, and beside them a control from which nothing of that kind had been. With $p$ the probability of
# the class, $k$ the control and $e$ the edit, a class relies on what the edit takes by
#
# $$
# R_e = \left(\bar p(k(x)) - \bar p(e(x))\right)_{\text{of the class}} - \left(\bar p(k(x)) - \bar p(e(x))\right)_{\text{of others}},
# $$ (eq-across-reliance)
#
# the part of what sets the class apart that goes with it; {doc}`networks` says how and why.
# It is 0 where the network does not rely on it, and about 1 where a class that was sure is told from the others
# no more.
#
# | | taken away | control |
# |---|---|---|
# | *motion* | all of it: the middle frame, repeated | the clip |
# | *order*, *direction* | frames shuffled; reversed | the clip |
# | *place* | what the place says: a still of a place of any class | of another clip of its class |
# | *objects*, *person* | all that they sweep over, hidden | as large a hole elsewhere |
#
# Videos without ground truth have *what moves* and *the rest* in place of the last two rows; a class
# without objects has no value for them. By {eq}`eq-across-reliance` a class relies **most** on motion, place or
# objects if its 95 % interval is clear of 0.1 and of the interval of the second largest, and the two differ
# by more than 0.1. Otherwise we say *undecided*, or *none of them* where all their intervals are below 0.1.
# The person is no candidate: it does the action, and to hide it takes its movement, too.

# %% [markdown]
# ## The table
#
# Press a column's name to sort by it. Small print is the 95 % interval. A name leads to the class's page;
# order and direction are in the chart below.

# %% tags=["hide-input"]
shown = [what for what in MEASURES if any(what in c.reliances for c in classes)]
columns = {"class": [c.name for c in classes]}
if len(networks) > 1:
    columns["network"] = [c.network for c in classes]
columns["most on"] = [c.most for c in classes]
columns |= {
    what: [share(c.reliances).get(what) for c in classes]
    for what in shown
    if what not in ("order", "direction")
}
columns["accuracy"] = [c.accuracy and c.accuracy.value for c in classes]
table.table(
    columns,
    caption="What each class relies on: how much of what sets it apart from other classes is lost "
    "without it. Missing: not measured, or the class has none.",
    links=[f"{c.slug}/networks.html" for c in classes],
)

# %% tags=["hide-input"]
asked = [c for c in classes if c.reliances]
lines = []
for name in networks:
    counts = Counter(c.most for c in asked if c.network == name)
    decided = [f"{cue} in {n}" for cue, n in counts.most_common() if cue in CUES]
    others = [f"{cue} in {n}" for cue, n in counts.most_common() if cue not in CUES]
    lines.append(
        f"- **{said(name)}**, {count(counts.total(), 'class')}: most on "
        f"{', '.join(decided) or 'nothing that is clear'}"
        + (f"; {', '.join(others)}." if others else ".")
    )
placed = [c for c in asked if "place" in c.reliances]
on_place = [c for c in placed if "place" in c.clear]
off_place = [c for c in placed if c.reliances["place"].high < LEAST]
several = [c for c in asked if len(set(CUES) & set(c.clear)) > 1]
few = [c for c in asked if min(m.n for m in c.reliances.values()) < 10]
Markdown(
    "\n".join(lines)
    + (f"\n\nOf {len(placed)} (a class in a network each), {len(on_place)} clearly rely on the place"
       + (f" ({said(', '.join(dict.fromkeys(c.name for c in on_place[:8])))}"
          f"{' and others' if len(on_place) > 8 else ''})" if on_place else "")
       + f", and {len(off_place)} clearly rely on it by less than {LEAST}. " if placed else "\n\n")
    + f"{len(several)} clearly rely on more than one of {', '.join(c for c in CUES if c in shown)}. "
    + (f"**{len(few)} had fewer than ten clips of some kind**: their intervals are too narrow."
       if few else "")
    if asked else "None of these classes has the experiments: their chapters were run before there "
    "were any."
)  # fmt: skip

# %% [markdown]
# ## One thing at a time
#
# Choose a network and a measure. The hollow mark is the same network with random weights, which tells
# hardly one class from another and so has nothing to lose: it should be near 0, and is no bar to pass.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-across-ranked", "caption": "What the classes rely on, ranked, with 95 % bootstrap intervals over clips, beside the same network with random weights. Of many classes, the highest and the lowest."}}
pictures = {}
drawn = MEASURES if len(networks) <= 4 else CUES  # a page has a weight, too
for name in networks:
    for what in drawn:
        rows = {
            c.name: {"trained": share(c.reliances)[what]}
            | ({"random weights": share(c.blind)[what]} if what in c.blind else {})
            for c in classes
            if c.network == name and what in c.reliances
        }
        if rows:
            pictures[name, what] = class_charts.ranked(
                rows, units=f"reliance on {what}", line=("no reliance", 0.0)
            )
tabs.choice(pictures, legend=("Network", "Measure")) if pictures else nothing

# %% tags=["hide-input"]
blind = {
    what: np.array([c.blind[what].value for c in classes if what in c.blind])
    for what in MEASURES
}
blind = {what: values for what, values in blind.items() if len(values)}
worst = max(blind, key=lambda what: np.abs(blind[what]).max()) if blind else None
Markdown(
    "No class was noted with random weights."
    if worst is None else
    "With random weights the largest value of all is "
    f"{blind[worst][np.abs(blind[worst]).argmax()]:+.3f} ({worst}), the mean size is "
    f"{np.mean([np.abs(v).mean() for v in blind.values()]):.3f}. "
    + ("That is no strong test: what hardly tells classes apart has nothing to lose. Classes in which "
       "something was planted are a stronger one, since some of their values must be 0"
       + ("; see below." if any(map(truth, classes)) else "; this book has none.")
       if np.abs(blind[worst]).max() < LEAST else
       f"**Some of it is above {LEAST}, so that clips and edits alone can give such a value.**")
)  # fmt: skip

# %% [markdown]
# ## Do networks agree?
#
# Two networks may both be right about a class and need different things for it. Where a book explains
# the same classes with several networks, their values can be set against each other, class by class. The
# intervals of rank correlations are those of {cite:t}`bonett2000`; they take classes as independent draws,
# which classes that were trained together are not, so that the true ones are wider.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-across-networks", "caption": "What classes rely on in one network against another, by measure, with 95 % intervals of both; on the dashed line, the same."}}
pairs = {
    f"{a} and {b}": {
        what: [
            ((p.value, p.low, p.high), (q.value, q.low, q.high))
            for p, q in paired(classes, a, b, what)
        ]
        for what in MEASURES
    }
    for a, b in combinations(networks, 2)
}
pairs = {name: groups for name, groups in pairs.items() if any(groups.values())}
tabs.choice(
    {
        name: class_charts.against(
            {what: points for what, points in groups.items() if points},
            across=f"in {name.split(' and ')[0]}",
            up=f"in {name.split(' and ')[1]}",
            diagonal=True,
        )
        for name, groups in pairs.items()
    },
    legend="Networks",
) if pairs else Markdown(
    "*This book explains no class with two networks. `vx book` with `--model` twice makes one that "
    "does.*"
)

# %% tags=["hide-input"]
enough = 5
lines = ["| networks | measure | rank correlation | 95 % interval | classes |", "|---|---|---|---|---|"]  # fmt: skip
alike = []
for name, groups in pairs.items():
    for what, points in groups.items():
        if len(points) < enough:
            continue
        one = agreement([p[0] for p, _ in points], [q[0] for _, q in points])
        lines.append(
            f"| {said(name)} | {what} | "
            + (f"{one.rho:.2f} | {one.low:.2f} to {one.high:.2f} | {one.n} |"
               if one else f"undefined: all the same | | {len(points)} |")
        )  # fmt: skip
        alike += [(name, what, one)] if one else []
Markdown(
    "\n".join(lines)
    + "\n\nRank correlations over classes, with approximate intervals. "
    + ("The classes come from several data sets, each with weights of its own, so that part of an "
       "agreement is that the data sets differ. " if len(of_sets) > 1 else "")
    + "Both networks are asked with the same clips, so that they share what is chance in them. "
    + ("The interval is above 0 for: "
       + (", ".join(dict.fromkeys(what for _, what, one in alike if one.low > 0)) or "no measure") + ". "
       if alike else "")
    if len(lines) > 2 else
    f"Fewer than {enough} classes are shared by two networks, too few for a rank correlation."
    if pairs else "So there is nothing to correlate."
)  # fmt: skip

# %% tags=["hide-input"]
apart = [
    (abs(a.reliances[what].value - b.reliances[what].value), a, b, what)
    for a, b in ((a, b) for a in classes for b in classes)
    if (a.action, a.dataset) == (b.action, b.dataset)
    and networks.index(a.network) < networks.index(b.network)
    for what in a.reliances.keys() & b.reliances.keys()
    if a.reliances[what].low > b.reliances[what].high
    or b.reliances[what].low > a.reliances[what].high
]
apart.sort(key=lambda one: (-one[0], one[1].name, one[3]))
large = [one for one in apart if one[0] > 0.5]
right = [
    one
    for one in large
    if all(c.accuracy and c.accuracy.value > 0.9 for c in one[1:3])
]
lines = ["| class | measure | in one network | in the other |", "|---|---|---|---|"]
for _, a, b, what in apart[:10]:
    lines.append(f"| {said(a.name)} | {what} | {said(a.network)}: {a.reliances[what]} | "
                 f"{said(b.network)}: {b.reliances[what]} |")  # fmt: skip
Markdown(
    "The largest differences between two networks of one class, of those whose intervals do not "
    f"overlap ({len(apart)} in all, {len(large)} of them above 0.5):\n\n" + "\n".join(lines)
    + ("\n\n**So networks that are right in nine of ten clips may have different reasons**, which no "
       "accuracy shows." if right else "")
    if apart else
    "No class has intervals of two networks that do not overlap." if pairs else
    "Nor is there anything to compare class by class."
)  # fmt: skip

# %% [markdown]
# ## Do maps say the same?
#
# {doc}`gradcam` noted how much of a map's positive energy lies on the person, on objects and on the
# ground, above their area. If a map's energy told what a network relies on, classes that rely on objects
# would have maps that favour objects. Two things are compared that are not the same by definition: the
# energy of one layer's map, and an experiment on the input.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-across-maps", "caption": "What classes rely on by experiment against how much of Grad-CAM's energy lies on it, above its area; a mark a class and network, with 95 % intervals."}}
twins = {"objects": "objects", "person": "person", "place": "ground"}
maps = {
    what: [
        (share(c.energy)[area], share(c.reliances)[what])
        for c in classes
        if what in c.reliances and area in c.energy
    ]
    for what, area in twins.items()
}
maps = {what: points for what, points in maps.items() if points}
class_charts.against(
    maps, across="Grad-CAM's energy above the area", up="relies on it"
) if maps else nothing

# %% tags=["hide-input"]
lines = ["| | map | rank correlation | 95 % interval | classes and networks |", "|---|---|---|---|---|"]  # fmt: skip
agreed = {}
for what, points in maps.items():
    if len(points) >= enough and (one := agreement(*np.array(points)[:, :, 0].T)):
        agreed[what] = one
        lines.append(f"| {what} | energy on {twins[what]} | {one.rho:.2f} | {one.low:.2f} to {one.high:.2f} "
                     f"| {one.n} |")  # fmt: skip
reliance = [c for c in classes if "objects" in c.clear and "objects" in c.energy]
favoured = [c for c in reliance if c.energy["objects"].low > 0]
Markdown(
    "\n".join(lines)
    + "\n\nThe interval is above 0 for: "
    + (", ".join(what for what, one in agreed.items() if one.low > 0) or "none of them")
    + ". "
    + (f"Of {len(reliance)} that clearly rely on objects, {len(favoured)} have maps that clearly favour "
       "them. " if reliance else "")
    + "The ground is only part of the place, which has walls, trees and sky, too."
    if agreed else
    f"Fewer than {enough} classes have both, too few for a rank correlation."
)  # fmt: skip

# %% [markdown]
# ## Does the method find what was planted?
#
# In three tasks of the stage we know what decides. In *motion* single frames follow one law in all
# classes, and so do places: only movement is left. In *static* movement follows one law, and the object
# in hand or the place must do. In *shortcut* the place alone predicts the class in training.

# %% tags=["hide-input"]
told = [(c, truth(c)) for c in classes]
told = [(c, one) for c, one in told if one]
table.table(
    {
        "class": [c.name for c, _ in told],
        "network": [c.network for c, _ in told],
        "planted": [one.expected for _, one in told],
        "clearly relies on": [", ".join(c.clear) or "nothing" for c, _ in told],
        "as planted": ["yes" if not one.missed else f"no: {', '.join(one.missed)}" for _, one in told],
    },
    caption="What was planted, and what the experiments found (intervals above 0.1, the largest first).",
    links=[f"{c.slug}/networks.html" for c, _ in told],
) if told else Markdown("*This book has no class in which something was planted.*")  # fmt: skip

# %% tags=["hide-input"]
missed = [(c, one) for c, one in told if one.missed]
static = [c for c, _ in told if c.dataset == "stage:static"]
of_object = [c for c in static if "objects" in c.clear]
Markdown(
    f"{len(told) - len(missed)} of {len(told)} are as planted. "
    + (f"**The others are not:** {'; '.join(f'{said(c.name)} in {said(c.network)}' for c, _ in missed)}: "
       "where intervals are wide, the profile may be too short to tell. " if missed else "")
    + (f"Of the {len(static)} of the *static* task, where object and place both tell the class, "
       f"{len(of_object)} clearly rely on the object: which of two sufficient cues a network takes is its "
       "own choice." if static else "")
    if told else
    "`vx book --actions all --dataset stage:motion` makes a book that has."
)  # fmt: skip

# %% [markdown]
# ## Where this fails, and what we may not conclude
#
# - What a class relies on is a property of a class *in a network*, trained on these clips. It says nothing
#   of the action in the world.
# - The edits are not equal doses. All motion is taken, but only the objects' paths; that 0.9 is more
#   than 0.6 does not make motion the more important cue.
# - A network that can do with either of two cues relies on none of them: each alone is enough. So *none of
#   them* is not *nothing*, and cues that are redundant are missed here altogether.
# - Many classes are compared, and each interval misses its truth once in twenty times. Among 400
#   classes some will be clear by chance; the extremes of a ranking are the likeliest.
# - Clips are few and intervals are over clips alone; a network trained anew may rely otherwise.
# - A hole has a shape. What a person swept over is hidden, but how far it reached can still be seen.
#
# ## Exercises
#
# 1. A class has 0.9 on motion, 0.9 on objects and 0.0 on person. What might the network see?
# 2. Why is the class's own fall in probability not enough to compare classes?
# 3. Sort the table by *place*. For a class at the top, open its page: in what sense is that wrong?
#
# :::{dropdown} Solutions
# 1. Moving objects: taken with the object, the movement goes; frozen, the object stays and does not
#    help. The person may be hidden, as long as the balls fly.
# 2. An edit that leaves a network nothing makes it name its favourite class. For that class the
#    probability stays or rises, though nothing is recognised any more.
# 3. It may not be wrong at all, if the action happens nowhere else; the counterfactual split of
#    {doc}`networks` shows the harm, when it happens elsewhere.
# :::
#
# ## Reproduce this
#
# `vx book` runs all chapters and this one last, on their numbers, which the hash in the first table of this
# page is of; with options for more classes and networks it is another book. `vx results` lists the numbers,
# and {doc}`reproduce` says how exactly they come again. Without a book, the chapter reads
# `build/metrics.parquet`.
#
# **Takeaways.** Ask of every class the same, against a control and the other classes; say *undecided*
# where it is; and do not read two networks' agreement on the label as agreement on the reason.
# **Next:** {doc}`guide` for the methods, {doc}`evidence` for what can be believed. **References:**
# {doc}`bibliography`.
