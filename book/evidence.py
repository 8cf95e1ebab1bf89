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
# (evidence)=
# # Does it find the planted evidence?
#
# *Where we know what decides, because we planted it: which methods say where it is, when, and that it is
# movement, and which only seem to?*
#
# :::{admonition} Card
# :class: tip
# **You will** ask every method of this book three questions with a known answer, set beside them methods
# that never see the network and networks that learned nothing, and hold a method of your own against the
# same.
#
# **Before:** {doc}`gradcam`. **Reading:** 15 minutes. **Running:** about two and a half minutes on one CPU core.
# :::
#
# A map that looks right convinces, and that is the trouble: on footage nobody knows what a network used.
# {cite:t}`adebayo2018sanity` showed that some maps hardly change when a network loses all it learned. Here
# the question is put the other way round. Networks are trained where we know what decides, and then each
# method is asked for it.

# %% tags=["parameters"]
action = "forehand"
dataset = "stage:motion"
root = None
model = "stage_r3d"
weights = "motion"
seed = 0
profile = "standard"

# %% tags=["hide-input"]
import json
from functools import partial

import numpy as np
import torch
from IPython.display import Markdown
from vxhelpers import stats
from vxhelpers.attribution import gradcam, registry
from vxhelpers.data import provenance
from vxhelpers.data.datasets import open_data
from vxhelpers.evaluation import (
    compare,
    deletion,
    localisation,
    planted,
    sanity_checks,
)
from vxhelpers.evaluation.planted_concepts import ANSWERS, ENTRANTS
from vxhelpers.figures import filmstrips, planted_charts, player, tabs
from vxhelpers.figures.report import escape_markdown as said
from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.models import samples, zoo
from vxhelpers.stce.coverage import agreement

quick = profile == "quick"
provenance.describe("evidence", globals())

# %% [markdown]
# ## What was planted
#
# Three tasks of the stage, each with networks that learned it. On *motion* single frames follow one law in
# all classes: only the way in which arm and racket move tells a forehand from its exact time reversal, and
# both from a racket that is carried. On *static* all classes move by one law: only the thing in hand and
# the place tell them apart. On *shortcut* every action has a place of its own in training, so that the
# ground alone predicts the class.

# %%
tasks = [t for t in ("motion", "static", "shortcut") if t in zoo.shipped(model)]
if not {"motion", "static"} <= {*tasks}:
    raise ValueError(f"{model}: is not shipped with weights of motion and static")
nets = {task: zoo.load(model, weights=task) for task in tasks}
blank = {
    task: compare.untrained(net, seed=seed) for task, net in nets.items()
}  # random weights


def mean_of(values):
    """Mean with its interval."""
    return stats.mean_interval(values, rng=np.random.default_rng(0))


def drawn(networks, count):
    """Test clips of each task, the same in all networks."""
    return [
        planted.trial(task, net, count=count, rng=np.random.default_rng(seed))
        for task, net in networks.items()
    ]


trials = drawn(nets, 2 if quick else 6)
few = drawn({"motion": nets["motion"]}, 2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evidence-planted", "caption": "One clip of each task; the lines are around what decides there, and everything else tells nothing."}}
panels = []
for task, net in nets.items():
    data = open_data(f"stage:{task}")
    shown = samples.collect(
        data, net, samples.draw(data, limit=1, rng=np.random.default_rng(seed))
    )
    panels.append(player.player(
        shown.pixels[0], fps=shown.fps[0], outlines=shown.outlines(0),
        title=f"{task}: {shown.rows[0].label}",
        alt=f"Clip {shown.rows[0].clip_id} of {shown.rows[0].label}; outlined: {' and '.join(shown.decides)}.",
    ))  # fmt: skip
player.gallery(panels)

# %% tags=["hide-input"]
rows = ["| task | clips | what decides, share of the clip | named right | held still |",
        "|---|---|---|---|---|"]  # fmt: skip
accuracy = {}
for one in trials:
    held = one.x[:, :, one.x.shape[2] // 2, None].expand_as(one.x)
    with torch.inference_mode():
        accuracy[one.task] = [
            float((one.model.logits(y).argmax(1).cpu() == one.target).float().mean()) for y in (one.x, held)
        ]  # fmt: skip
    right, still = accuracy[one.task]
    rows.append(f"| {one.task} | {len(one.x)} | {one.evidence.mean():.0%} | {right:.0%} | {still:.0%} |")  # fmt: skip
missed = [task for task, (right, _) in accuracy.items() if right < 1]
Markdown(
    "\n".join(rows)
    + "\n\nThe true class is explained; *held still* is the share named right when every frame is the middle one. "
    + (f"**On {' and '.join(missed)} some clips are named wrong, and what explains the true class of those need "
       "not be what was planted.** " if missed else
       "All clips are named right, so that there is something to explain. ")
    + ("Without movement the network of *motion* gets fewer right: it does use movement."
       if accuracy["motion"][1] < accuracy["motion"][0] else
       "**On these clips the network of *motion* gets as many right without movement**: they do not show that it "
       "uses what was planted.")
)  # fmt: skip

# %% [markdown]
# ## Three questions
#
# A map gives every voxel $v$ of a clip a relevance $m_v$, raw and signed. $E$ are the voxels of what decides.
#
# **Where?** The chance that a voxel of the evidence lies above one that tells nothing, which is the area
# under the ROC curve; ties count half:
#
# $$
# W = P(m_v > m_u) + \frac{1}{2} P(m_v = m_u), \quad v \in E, \quad u \notin E.
# $$ (eq-evidence-where)
#
# **When?** Hold one half of a clip of *motion* still, at the frame in the middle. What decides is now in the
# other half $H$ alone. The share of positive relevance there, mean of both ways:
#
# $$
# T = \frac{\sum_{v \in H} \max(m_v, 0)}{\sum_v \max(m_v, 0)}.
# $$ (eq-evidence-when)
#
# **What?** Hold all of a clip still. Where movement decides, the relevance of the evidence must go; where
# looks decide, it may stay. With the mean relevance $a$ on the evidence in the clip and $b$ in the still one,
#
# $$
# g = \frac{a - b}{|a| + |b|}
# $$ (eq-evidence-what)
#
# must be larger for clips of *motion* than for clips of *static*; the score is how often it is, over all
# pairs. A method without an idea scores one half in all three, whatever its scale and however large the
# evidence is. {term}`Skill <skill>` is the score brought to 0 at chance and 1 at best.
#
# ### On one clip
#
# Grad-CAM, as it is, and what becomes of it when the clip is held still.

# %%
motion, label = nets["motion"], action if action in nets["motion"].labels else "forehand"  # fmt: skip
found, alone = compare.gather(
    open_data("stage:motion"), motion, label=label, count=1, rng=np.random.default_rng(seed)
)  # fmt: skip
x = alone.x
versions = {
    "as it is": x,
    "held still": x[:, :, x.shape[2] // 2, None].expand_as(x).contiguous(),
    "first half still": localisation.half_still(x, first=True),
    "second half still": localisation.half_still(x, first=False),
}


# %%
(cam,) = registry.named("Grad-CAM")
seen = {
    name: registry.attribute(
        cam,
        motion,
        y,
        target=alone.target,
        rng=np.random.default_rng(seed),
        empty=True,
    )
    for name, y in versions.items()
}
of_one = {
    "where": localisation.where(seen["as it is"], alone.evidence)[0],
    "when": localisation.when(seen["first half still"], seen["second half still"])[0],
    "gone": localisation.gone(seen["as it is"], seen["held still"], alone.evidence)[0],
}  # fmt: skip

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evidence-questions", "caption": "One clip, unexplained above, and Grad-CAM of the clip as it is, held still, and with either half held still, all laid over the clip as it is, with one scale; the line is around the evidence of the clip as it is. Red speaks for the class, blue against it."}}
size = found.pixels.shape[1:4]
filmstrips.overlay_filmstrip(
    found.pixels[0],
    {name: gradcam.upsample_map(torch.from_numpy(m).float(), size)[0].numpy() for name, m in seen.items()},
    fps=found.fps[0], signed=True, units="",
    outline=np.logical_or.reduce([*found.outlines(0).values()]),
)  # fmt: skip

# %% tags=["hide-input"]
Markdown(
    f"This clip scores {of_one['where']:.2f} for *where* and {of_one['when']:.2f} for *when*, "
    f"and {{eq}}`eq-evidence-what` is {of_one['gone']:+.2f} "
    + ("(most of the relevance goes with the movement)" if of_one["gone"] > 0.5 else
       "(some of the relevance goes with the movement)" if of_one["gone"] > 0 else
       "(no relevance goes with the movement)")
    + ". One clip says little; below are all."
)  # fmt: skip

# %% [markdown]
# ## A toy with a known answer
#
# Four frames; a square decides by its movement. Three maps for which the answers can be worked out: one
# that is 1 on the square wherever something moves; one that is 1 on the square always; and one that is
# the same everywhere. The first must score 1, 1 and 1; the second 1, one half and 0, the third one half,
# one half and 0 (the last column is {eq}`eq-evidence-what` of a clip, not yet a comparison of two tasks).

# %%
square = np.zeros((1, 4, 6, 6), bool)
square[:, :, 1:3, 1:3] = True
moves = {
    "all": np.array([1.0, 1, 1, 1]),
    "none": np.zeros(4),
    "second half": np.array([0.0, 0, 1, 1]),
    "first half": np.array([1.0, 1, 0, 0]),
}
kinds = {
    "moving evidence": lambda when: square * when[:, None, None],
    "evidence": lambda when: square.astype(float),
    "everywhere": lambda when: np.ones(square.shape),
}
by_hand = {"moving evidence": (1, 1, 1), "evidence": (1, 0.5, 0), "everywhere": (0.5, 0.5, 0)}  # fmt: skip
toy = {
    name: (
        localisation.where(of(moves["all"]), square)[0],
        localisation.when(of(moves["second half"]), of(moves["first half"]))[0],
        localisation.gone(of(moves["all"]), of(moves["none"]), square)[0],
    )
    for name, of in kinds.items()
}

# %% tags=["hide-input"]
rows = ["| map | where | when | goes | by hand |", "|---|---|---|---|---|"]
for name, got in toy.items():
    rows.append(f"| {name} | " + " | ".join(f"{v:.2f}" for v in got) + " | "
                + ", ".join(f"{v:g}" for v in by_hand[name]) + " |")  # fmt: skip
off = max(abs(a - b) for n in toy for a, b in zip(toy[n], by_hand[n], strict=True))
Markdown("\n".join(rows) + f"\n\nLargest difference: {off:.1e}.")

# %% [markdown]
# ## The board
#
# All methods of `vxhelpers.attribution.registry` with the settings made there for these small clips, beside five
# that are **network-independent baselines**: three know the clip and never ask the network, two know neither. Methods of
# a few passes explain all clips of all tasks. Those of dozens or hundreds of passes explain two clips of
# *motion* here, and stand apart: the mean of two answers is not to be compared with that of five. The
# hollow marks are the same methods in networks with random weights.

# %%
patient = (
    "Score-CAM", "integrated gradients", "gradient SHAP", "occlusion", "RISE", "LIME", "kernel SHAP",
    "deep Taylor, temporal part",
)  # fmt: skip
left_out = tuple(name for name in patient if name != "occlusion") if quick else ()  # fmt: skip
swift = [one for one in registry.METHODS if one.name not in patient]
lines = []
for one in swift:
    lines += planted.judge(one, trials, rng=np.random.default_rng(seed))
for one in registry.named(*(name for name in patient if name not in left_out)):
    lines += planted.judge(one, few, rng=np.random.default_rng(seed))
control, bare = [], drawn(blank, 2 if quick else 4)
for one in swift:
    if one.family != registry.BASELINES:
        control += planted.judge(one, bare, rng=np.random.default_rng(seed))
ranked = dict(planted.ranking(lines))
unlearned = {name: mean.value for name, mean in planted.ranking(control)}
family = {one.name: one.family for one in registry.METHODS}
families = sorted({*family.values(), "concepts"} - {registry.BASELINES})
wrong = [name for name in ranked if family[name] == registry.BASELINES]
whole = max(mean.n for mean in ranked.values())
board = [name for name, mean in ranked.items() if mean.n == whole]


# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evidence-board", "caption": "Mean skill of each method over its answers, with bootstrap intervals over these answers, so that they tell how much the questions differ, and not how sure the clips make us. One network and training seed; below the line, methods that answered fewer questions, about fewer clips."}}
def skill_of(name):
    mean = ranked[name]
    return planted_charts.Skill(
        mean.value, mean.low, mean.high, family[name], name in wrong, unlearned.get(name)
    )  # fmt: skip


planted_charts.skills(
    {name: skill_of(name) for name in board},
    apart={name: skill_of(name) for name in ranked if name not in board},
    apart_title="two clips of motion: where and when",
    families=families,
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evidence-answers", "caption": "Scores by question and task, means over clips; chance is 0.50, red is above it and blue below. Empty: not asked."}}
places = [*dict.fromkeys((line.question, line.task) for line in lines)]
places = sorted(places, key=lambda p: (list(planted.QUESTIONS).index(p[0]), tasks.index(p[1])))  # fmt: skip
named = {place: place[0] if place[0] != "where" else f"where\n{place[1]}" for place in places}  # fmt: skip
scores = {name: {} for name in ranked}
for line in lines:
    scores[line.method][named[line.question, line.task]] = (
        line.score and line.score.value
    )
planted_charts.answers(scores, [*named.values()], wrong=wrong)

# %% tags=["hide-input"]
asked = [name for name in board if name not in wrong]
gain = {name: ranked[name].value - unlearned[name] for name in asked}
empty = [name for name in asked if gain[name] <= 0.1]
told = {(line.method, line.question, line.task): line for line in lines}
sizes = {one.task: len(one.x) for one in trials}
broken = [line for line in lines if line.failed]
Markdown(
    f"Clips: {', '.join(f'{n} of {task}' for task, n in sizes.items())}; {len(few[0].x)} for those that stand apart"
    + (f" (in the quick profile {', '.join(left_out)} are left out)" if left_out else "")
    + f", {len(bare[0].x)} of each task with random weights"
    + (". **So few clips say next to nothing**" if len(trials[0].x) < 4 else "")
    + f". Of the {len(asked)} methods that ask the network and answered all questions, *{asked[0]}* has the highest "
    f"skill, {ranked[asked[0]].value:+.2f}, and *{asked[-1]}* the lowest, {ranked[asked[-1]].value:+.2f}. "
    + (f"**{len(empty)} of them gain no more than 0.1 over the same method in an untrained network**: "
       f"{', '.join(empty)}. " if empty else "All of them gain more than 0.1 over an untrained network. ")
    + ("".join(f"\n\n*Failed:* {said(line.failed)}" for line in broken) if broken else "None failed.")
)  # fmt: skip

# %% [markdown]
# ## Network-independent baselines

# %% tags=["hide-input"]
order = [name for name in board]
text = []
for name in wrong:
    under = [other for other in asked if ranked[other].value < ranked[name].value]
    high = [named[q, t].replace("\n", " on ") for (m, q, t), line in told.items()
            if m == name and line.score is not None and line.score.low > 0.5]  # fmt: skip
    text.append(
        f"- *{name}*: skill {ranked[name].value:+.2f}, place {order.index(name) + 1} of {len(order)}; above "
        f"{len(under)} of {len(asked)} methods that ask the network. "
        + (
            f"Clear of chance: {', '.join(high)}."
            if high
            else "Nowhere clear of chance."
        )
    )
best = max(wrong, key=lambda name: ranked[name].value)
above = [m for m in asked if ranked[m].value < ranked[best].value]
whats = {m: told[m, "what", "motion"].score for m in board if (m, "what", "motion") in told and told[m, "what", "motion"].score}  # fmt: skip
moved = [m for m in wrong if m in whats and whats[m].low > 0.5]
known = [m for m in asked if m in whats and whats[m].low > 0.5]
Markdown(
    "\n".join(text)
    + "\n\n"
    + (f"**The best of them, *{best}*, beats {len(above)} of the {len(asked)} methods that ask the network, and has never "
       "seen it.** So a high skill is no proof that a method explains the network: where and when the evidence is can "
       "be had from the clip, as far as the evidence is what moves or what stands out. It has to be read beside these "
       "five and beside the hollow marks. " if above else
       "None of them beats a method that asks the network; on other clips that may be otherwise. ")
    + (f"*What* should be the question that needs the network, since things move in both tasks: of the wrong ones, "
       f"{', '.join(moved)} {'is' if len(moved) == 1 else 'are'} clear of chance there all the same. " if moved else
       "*What* is the question that needs the network, since things move in both tasks: there none of the wrong ones "
       "is clear of chance. ")
    + f"Of those that ask, {len(known)} of {len(asked)} are"
    + (f": {', '.join(known)}." if known else ".")
    + (" And whoever films puts what matters in the middle: a blob there knows nothing, and finds it on *motion*."
       if (told["centre blob", "where", "motion"].score or mean_of([0, 0])).low > 0.5 else "")
)  # fmt: skip

# %% [markdown]
# ### Would other measures catch them?
#
# Where nothing was planted, other measures have to do. Five methods, two of them network-independent baselines, on a few
# clips of *motion*. *Deletion* and *insertion*: how much better than random orders the class's probability
# falls, or rises, when what the map says matters most goes first, or comes first {cite:p}`petsiuk2018rise`.
# *Randomised*: rank correlation of the map with itself once all weights are random
# {cite:p}`adebayo2018sanity`, beside that with another clip's map. *Backwards*: the same when the clip is
# played backwards and the map turned round again. *Frozen*: how strong the map still is when nothing moves.

# %%
small = drawn({"motion": nets["motion"]}, 2 if quick else 3)[0]
measured = {}
for one in registry.named(
    "Grad-CAM", "LRP, epsilon-plus", "guided backpropagation", "movement filter", "centre blob"
):  # fmt: skip
    ask = partial(one.attribute, rng=np.random.default_rng(seed))
    maps = ask(small.model, small.x, target=small.target)
    options = {"target": small.target, "steps": 4 if quick else 8, "repeats": 2}
    ahead = {
        operation: deletion.curves(
            small.model, small.x, maps, operation=operation,
            rng=np.random.default_rng(seed), **options,
        ).gain
        for operation in ("deletion", "insertion")
    }  # fmt: skip
    rank = {"similarities": ["rank"], "target": small.target}
    fallen = sanity_checks.cascade(small.model, ask, small.x, rng=np.random.default_rng(seed), **rank)  # fmt: skip
    back = sanity_checks.reversal_response(small.model, ask, small.x, **rank)
    still = sanity_checks.frozen_response(small.model, ask, small.x, **rank)
    measured[one.name] = ahead, fallen, back, still


# %% tags=["hide-input"]
def short(mean):
    return f"{mean.value:+.2f} [{mean.low:+.2f}, {mean.high:+.2f}]"


rows = ["| method | deletion | insertion | randomised (another clip's) | backwards | frozen |",
        "|---|---|---|---|---|---|"]  # fmt: skip
passes, unmoved, steady = {"deletion": [], "insertion": []}, [], []
for name, (ahead, fallen, back, still) in measured.items():
    means = {key: mean_of(values) for key, values in ahead.items()}
    for key, mean in means.items():
        if mean.low > 0:
            passes[key].append(name)
    last, other = (v.mean() for v in (fallen.similarity["rank"][-1], fallen.baseline["rank"]))  # fmt: skip
    left = (still.strength[1] / np.where(still.strength[0] > 0, still.strength[0], 1)).mean()  # fmt: skip
    unmoved += [name] if last > 0.95 else []
    steady += [name] if back.similarity["rank"].mean() > 0.95 else []
    rows.append(f"| {f'*{name}*' if name in wrong else name} | {short(means['deletion'])} | {short(means['insertion'])} | "
                f"{last:+.2f} ({other:+.2f}) | {back.similarity['rank'].mean():+.2f} | {left:.2f} |")  # fmt: skip


def listed(names):
    return ", ".join(f"*{n}*" if n in wrong else n for n in names) or "none"


fooled = [n for n in measured if n in wrong and (n in passes["deletion"] or n in passes["insertion"])]  # fmt: skip
caught = [n for n in measured if n in wrong and n in unmoved]
poor = [
    n
    for n in measured
    if n not in unmoved and n in board and ranked[n].value < ranked[best].value
]
Markdown(
    "\n".join(rows)
    + f"\n\nOn {len(small.x)} clips, too few to trust an interval; {back.flipped.sum()} of them are named otherwise "
    "when played backwards. "
    f"Clear of random orders by deletion: {listed(passes['deletion'])}; by insertion: {listed(passes['insertion'])}. "
    + (f"**So {listed(fooled)} would pass for faithful, though no network was asked.** " if fooled else
       "Here that leaves out the network-independent baselines. ")
    + f"Random weights leave as they were: {listed(unmoved)}. "
    + (f"So that check catches {listed(caught)}. " if caught else "So that check catches none of the wrong ones. ")
    + (f"But it only asks whether a map depends on the weights: {listed(poor)} {'does' if len(poor) == 1 else 'do'}, "
       f"and {'has' if len(poor) == 1 else 'have'} less skill than {best}. " if poor else "")
    + f"Turned round in time, all but the same as before: {listed(steady)}."
)  # fmt: skip

# %% [markdown]
# ## Networks and seeds: the recorded study
#
# One network proves little. `studies/evidence_planted.py` asks every method of this page, and with them STCE
# and Video-TCAV, whose concepts take minutes for each network, in several networks and training seeds and
# with random weights. What follows is **recorded**, read from `evidence_planted.json`, and not computed here.
# {doc}`stce` is asked by painting each supervoxel of a clip with the mean derivative of its concept.
# {doc}`tcav` has no map: it is asked *what* by the vectors of the moving and the still thing in hand, and
# *where* only whether that thing lies before the ball, which decides nothing; it has no *when*.

# %%
record_file = PACKAGE.parent / "book" / "results" / "evidence_planted.json"
record = None
if record_file.is_file():
    record = json.loads(record_file.read_text(encoding="utf-8"))
cells = record["cells"] if record else []


def skill(cell):
    """Mean skill over a cell's answers; failures count as none."""
    place = record["columns"].index("value")
    return np.mean([0 if row[place] is None else 2 * row[place] - 1 for row in cell["rows"]])  # fmt: skip


by_method = {}
for cell in cells:
    by_method.setdefault((cell["method"], cell["weights"]), []).append(cell)

# %%
most = max((len(cell["rows"]) for cell in cells), default=0)
fewer = [  # of questions; what failed was asked, and answers nothing
    name for (name, sort), some in by_method.items()
    if sort == "trained" and max(len(c["rows"]) for c in some) < most and not any("failed" in c for c in some)
]  # fmt: skip


def recorded_in(*nets):
    """Mean skill over networks and seeds, family and skill with random weights of each method."""
    found = {}
    for (name, sort), some in by_method.items():
        values = np.array([skill(cell) for cell in some if cell["net"] in nets])
        if sort == "trained" and len(values):
            alone = stats.Mean(*values[:1].repeat(3), 1)
            mean = mean_of(values) if len(values) > 1 else alone
            bare = [skill(c) for c in by_method.get((name, "random"), []) if c["net"] in nets]  # fmt: skip
            found[name] = mean, some[0]["family"], float(np.mean(bare)) if bare else None  # fmt: skip
    return dict(sorted(found.items(), key=lambda item: -item[1][0].value))


studied = [*dict.fromkeys(c["net"] for c in cells if c["weights"] == "trained")]
recorded = recorded_in(*studied)


# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evidence-recorded", "caption": "Recorded: mean skill of each method over training seeds of all networks, or of the one that is chosen, with bootstrap intervals over these (one network alone has none); hollow marks are networks with random weights. A method that does not fit a network counts as no skill there."}}
def skills_in(*nets):
    return {
        name: planted_charts.Skill(mean.value, mean.low, mean.high, kind, kind == registry.BASELINES, bare)
        for name, (mean, kind, bare) in recorded_in(*nets).items()
    }  # fmt: skip


def board_of(rows):
    return planted_charts.skills(
        {name: one for name, one in rows.items() if name not in fewer},
        apart={name: one for name, one in rows.items() if name in fewer},
        families=families,
    )


far = skills_in(*studied)
boards = {"all": board_of(far)} if far else {}
for net in studied if len(studied) > 1 else ():
    boards[net] = board_of(skills_in(net))
(
    tabs.choice(boards, legend="Network")
    if far
    else planted_charts.skills(
        {"nothing recorded": planted_charts.Skill(0, 0, 0, "none")},
        alt="Nothing is recorded yet.",
    )
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evidence-recorded-answers", "caption": "Recorded: scores by question and task, means over networks and training seeds that learned the tasks; chance is 0.50. Failed: in all of them."}}
values = {}
for cell in cells:
    if cell["weights"] == "trained":
        for row in cell["rows"]:
            line = dict(zip(record["columns"], row, strict=True))
            column = f"where\n{line['task']}" if line["question"] == "where" else line["question"]  # fmt: skip
            values.setdefault(cell["method"], {}).setdefault(column, []).append(line["value"])  # fmt: skip
means = {
    name: {c: np.mean(v) if (v := [one for one in got if one is not None]) else None for c, got in row.items()}
    for name, row in values.items()
}  # fmt: skip
columns = [c for c in (*(f"where\n{t}" for t in ("motion", "static", "shortcut")), "when", "what")
           if any(c in row for row in means.values())]  # fmt: skip
(
    planted_charts.answers(
        {name: means[name] for name in far},
        columns,
        wrong=[name for name, one in far.items() if one.wrong],
    )
    if far
    else planted_charts.answers(
        {"nothing recorded": {}},
        ["where", "when", "what"],
        alt="Nothing is recorded yet.",
    )
)

# %% tags=["hide-input"]
if not far:
    told_text = "The study has not been recorded: nothing is said of other networks on this page."
else:
    trained = [c for c in cells if c["weights"] == "trained"]
    pairs = sorted({(c["net"], c["seed"]) for c in trained})
    of_nets = [*dict.fromkeys(net for net, _ in pairs)]
    table = [f"| method | {' | '.join(of_nets)} | random weights |", "|---" * (2 + len(of_nets)) + "|"]  # fmt: skip
    for name, one in far.items():
        row = [[skill(c) for c in by_method[name, "trained"] if c["net"] == net] for net in of_nets]  # fmt: skip
        unfit = [
            all("failed" in c for c in by_method[name, "trained"] if c["net"] == net) for net in of_nets
        ]  # fmt: skip
        cell_texts = [
            ""
            if not v
            else "does not fit"
            if bad
            else f"{np.mean(v):+.2f} ({len(v)})"
            for v, bad in zip(row, unfit, strict=True)
        ]
        table.append(f"| {f'*{name}*' if one.wrong else name}{' (fewer questions)' if name in fewer else ''} | "
                     + " | ".join(cell_texts) + " | " + ("" if one.control is None else f"{one.control:+.2f}") + " |")  # fmt: skip
    settings, runs = record["options"], [
        f"`{r['command']}` (commit {r['commit'] or 'unknown'}, {r['hardware']}, {r['day']})" for r in record["runs"]
    ]  # fmt: skip
    lacking = [c for c in record["missing"]]
    absent = [name for name in (*family, *ENTRANTS) if name not in far]
    unsure = [
        f"{c['net']} seed {c['seed']}"
        for c in trained
        if min(c["right"].values()) < 0.75
    ]
    told_text = (
        "\n".join(table)
        + "\n\nMean skill over questions, by network; in brackets the training seeds.\n\n"
        f"Recorded by {'; '.join(runs)}: {settings['count']} clips a task"
        + (f" ({settings['few']} for methods of hundreds of passes)" if "few" in settings else "")
        + f". There {'are' if len(pairs) > 1 else 'is'} {len(pairs)} network{'s' if len(pairs) > 1 else ''}: "
        f"{', '.join(f'{net} seed {s}' for net, s in pairs)}. "
        + (f"**{len(lacking)} of {len(lacking) + len(cells)} planned cells are not recorded"
           + (f"; nothing at all of {', '.join(absent)}" if absent else "") + ".** " if lacking or absent else
           "Nothing that was planned is missing. ")
        + (f"Fewer than three in four clips of a task are named right in {', '.join(dict.fromkeys(unsure))}: there is "
           "less to explain there." if unsure else "")
    )  # fmt: skip
Markdown(told_text)

# %% tags=["hide-input"]
both = [name for name in board if name in far]
same = (
    agreement([ranked[n].value for n in both], [far[n].value for n in both])
    if len(both) > 3
    else None
)
if same is None:
    text = "There is nothing recorded to hold this page's board against."
else:
    outside = [n for n in both if not far[n].low - 0.1 <= ranked[n].value <= far[n].high + 0.1]  # fmt: skip
    crooked = [n for n, one in far.items() if one.wrong]
    honest = [
        n for n, one in far.items()
        if not one.wrong and n not in fewer and recorded[n][0].n > 2
    ]  # fmt: skip
    top = max(crooked, key=lambda n: far[n].value, default=None)
    clear = [n for n in honest if top and far[n].low > far[top].high]
    learned = [n for n in honest if far[n].control is not None and far[n].low > far[n].control + 0.1]  # fmt: skip
    judged = [n for n in honest if far[n].control is not None]
    text = (
        f"This page's board and the recorded one rank the {len(both)} methods they share with a rank correlation of {same}. "
        + (f"The small one says something else, by more than 0.1 beyond the recorded interval, of {', '.join(outside)}. "
           if outside else "Of none does the small one say something else by more than 0.1 beyond the recorded interval. ")
        + (f"*{top}*, the best of the wrong ones, has a recorded skill of {far[top].value:+.2f}. Of the {len(honest)} methods "
           "that ask the network, were asked everything and have three networks or more, those with their whole interval "
           f"above it: {', '.join(clear) if clear else '**none**'}. The clips are the same in all networks, so that this "
           "speaks of other networks and seeds, not of other clips. " if top else "")
        + (f"More than 0.1 above their own skill with random weights: {len(learned)} of {len(judged)}"
           + (f" ({', '.join(learned)})." if learned else ".") if judged else
           "Networks with random weights are not recorded yet.")
    )  # fmt: skip
Markdown(text)

# %% [markdown]
# ## Your own method
#
# A method is a function that is given the network, prepared clips `x`, the classes to explain and a
# generator, and returns raw, signed maps, one value for each voxel. Here is one in six lines: the gradient
# times the movement.


# %%
def mine(model, x, *, target, rng):
    x = x.clone().requires_grad_()
    score = model.logits(x).gather(1, target[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, x)
    change = x.detach().diff(dim=2, prepend=x.detach()[:, :, :1])
    return (gradient * change).sum(1)


own = planted.judge(registry.Method("mine", registry.YOURS, mine), trials, rng=np.random.default_rng(seed))  # fmt: skip

# %% [markdown]
# In a file `my_module.py`, the same is asked by `vx benchmark --method my_module:mine`, beside any named
# method, in several networks, and kept in a file. A method that does not return a map is not left out in
# silence: it becomes a line that says why, and counts as no skill.


# %%
def holes(model, x, *, target, rng):
    return torch.full((len(x), *x.shape[2:]), torch.nan)


def nothing(model, x, *, target, rng):
    return torch.zeros(len(x), *x.shape[2:])


def coarse(model, x, *, target, rng):
    return torch.ones(len(x), 4, 8, 8)


for one in (holes, nothing, coarse):
    wanted = registry.Method(one.__name__, registry.YOURS, one)
    own += planted.judge(wanted, trials[:1], rng=np.random.default_rng(seed))

# %% tags=["hide-input"]
rows = ["| method | task | question | score | says |", "|---|---|---|---|---|"]
rows += [
    f"| {line.method} | {line.task} | {line.question} | {line.score or 'failed'} | {said(line.failed)} |"
    for line in own
]  # fmt: skip
place = dict(planted.ranking([line for line in lines if line.method in board] + [line for line in own if line.method == "mine"]))  # fmt: skip
Markdown(
    "\n".join(rows)
    + f"\n\n*mine* has a skill of {place['mine'].value:+.2f} and takes place {[*place].index('mine') + 1} of {len(place)}"
    + (f", below {best}, which it is half made of." if place["mine"].value < place[best].value and best == "movement filter"
       else ".")
)  # fmt: skip

# %% tags=["hide-input"]
extra = "; ".join(
    f"{name}: {text}" for name, text in ANSWERS.items() if name in planted.QUESTIONS
)
Markdown(
    "The same three questions in words, as `vx benchmark` asks them: "
    + "; ".join(f"*{name}*: {text}" for name, text in planted.QUESTIONS.items())
    + f". Video-TCAV answers with other quantities of the same chance level: {extra}."
)

# %% [markdown]
# ## Where this fails, and what we may not conclude
#
# - **That evidence was planted does not prove that it is used.** A network may decide by less than all of
#   what we planted: by the arm, and not the racket. A map that says so scores below one, and is right.
# - **A still clip is no clip.** The network never saw one in training. What a method makes of it is an
#   answer about a strange input.
# - **Where, when and what are not why.** A method may know all three and still be wrong about how much each
#   voxel counts, or about its sign.
# - **A skill is a mean of unlike things.** Look at the table by question before you look at the rank; a
#   method that answers one question well may be what you need.
# - **Settings matter.** Each method is set once, for small clips; other layers, more views or another
#   baseline give other numbers.
# - **Drawings, small networks.** What fails here is not to be believed on film; what passes here may fail
#   there.
#
# ## Exercises
#
# 1. The movement filter never saw the network. Which of the three questions must it get right on *motion*,
#    which cannot it, and why?
# 2. Multiply a map by -1. What becomes of the three scores?
# 3. Write a method that returns `movement_filter` times the network's probability of the class. Which
#    measures of this page does it fool?
# 4. Run `vx run --model stage_c3d --chapter evidence`. Which methods change place most?
#
# :::{dropdown} Solutions
# 1. *When*: what it shows is what moves, and only one half does. *Where*, as far as what decides is what
#    moves most. *What* it cannot: things move in both tasks, and in the still clip it is empty in both.
# 2. *Where* becomes one minus itself. *When* looks at what was negative. The denominator of
#    {eq}`eq-evidence-what` has no sign, so $g$ becomes $-g$, and *what* one minus itself.
# 3. Deletion, as before. Randomised weights change the map's size and not its ranks, so that a rank
#    correlation still catches it; and in *what* the still clip is empty in both tasks, as before.
# 4. Look for methods that the recorded table shows to differ between networks, or to fail in one.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the hardware;
# {doc}`reproduce` says how exactly the numbers come again. The recorded study names its own.
#
# **Takeaways.** Ask where the answer is known; give every score its chance level, an untrained network and a
# network-independent baseline; read the questions one by one. **References:** {doc}`bibliography`.
