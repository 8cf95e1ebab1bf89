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
# (concepts)=
# # Concepts from video
#
# *Can a machine cut clips out of videos that show one thing in motion, and the same thing at rest, so that
# we can ask a network which of the two it answers to?*
#
# :::{admonition} Card
# :class: tip
# **You will** see what a detector finds; turn it into tracks, with a reason for each that is dropped;
# hold the tracks against the truth; make {term}`concept` sets with controls; and measure what placing
# a thing in the middle of the picture takes away.
#
# **Before:** {doc}`gradcam`. **Reading:** 15 minutes. **Running:** about a minute and a half on two
# CPU cores.
# :::
#
# A heat map says *where*. Whether the racket's *movement* matters to a network, or only that a racket is
# there, is a question about a concept, and a concept is given to a network as a set of clips.
# {cite:t}`saha2024exploring` made such sets by machine, with a detector of everyday objects
# {cite:p}`wang2023yolov7`: *spatial* concepts, one crop repeated, and *spatiotemporal* ones, one thing
# tracked through a video. We make both, from the same tracks, and show what goes wrong on the way.

# %% tags=["parameters"]
action = "playing tennis"
dataset = "stage:tennis"
root = None
model = "stage_r3d"
weights = "tennis"
seed = 0
profile = "standard"
detector = "stage"
objects = None
concepts = None

# %% tags=["hide-input"]
import shlex
from collections import Counter
from pathlib import Path

import numpy as np
from IPython.display import Markdown
from vxhelpers import stats
from vxhelpers.concept_sets import crops, make
from vxhelpers.concept_sets.at_hand import SetCounts
from vxhelpers.concept_sets.crops import Piece, cut, letterbox, mean_colour
from vxhelpers.concept_sets.detector import detect, load_detector
from vxhelpers.concept_sets.settings import Output
from vxhelpers.concept_sets.track_metrics import quality
from vxhelpers.concept_sets.tracking import REASONS, Track, track, true_tracks
from vxhelpers.data import provenance
from vxhelpers.data.clip import Clip, reverse
from vxhelpers.data.datasets import open_data
from vxhelpers.data.manifest import Row
from vxhelpers.data.sampling import view
from vxhelpers.data.splits import check_disjoint, video_of
from vxhelpers.data.stage.scene import INSTANCES
from vxhelpers.errors import InputError
from vxhelpers.figures import charts, filmstrips, player
from vxhelpers.figures.detections import detections
from vxhelpers.figures.report import escape_markdown
from vxhelpers.io.cache import Store
from vxhelpers.models import evaluate, samples, zoo
from vxhelpers.stats import mean_interval

rng = np.random.default_rng(seed)
limit = {"quick": 8, "standard": 40}[profile]
provenance.describe("concepts", globals())

# %% [markdown]
# ## What a detector sees
#
# A {term}`detector` looks at single frames. It draws a box around each thing that it knows, and says
# what it is and how sure it is. It knows the labels that it was trained on: the one that ships with
# this book knows seven things of our stage, the paper's eighty everyday objects, among them person,
# tennis racket and sports ball. Below are test clips of the class; the shipped detector was trained on other subjects.

# %%
data, store = open_data(dataset, root=root), Store()
finder = load_detector(detector) if detector else None
rows = samples.draw(data, split="test", label=action, limit=limit, rng=rng)
seen = [detect(finder, data.clip(row), store=store) for row in rows if finder]

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-concepts-detections", "caption": "What the detector finds in the middle frame of the first clips: box, label, confidence. Dashed is what it is less than 0.25 sure of: that may go on with a track but not begin one."}}
nothing = Markdown(
    "*There is nothing to show: no detector was named, or it found too little.*"
)
middle = [
    (row, found.at(found.length // 2))
    for row, found in zip(rows[:4], seen, strict=False)
]
detections(
    [data.clip(row).frames[found.length // 2] for row, found in middle],
    [found.boxes for _, found in middle],
    [[found.names[k] for k in found.labels] for _, found in middle],
    [found.confidence for _, found in middle],
    titles=[row.clip_id for row, _ in middle],
    weak=0.25,
) if middle else nothing

# %% [markdown]
# ## From detections to tracks
#
# A {term}`track` is one thing through consecutive frames. Detections of neighbouring frames are joined
# where their boxes overlap, by ByteTrack {cite:p}`zhang2022bytetrack`, on enlarged boxes, since a ball
# leaves its own box from one frame to the next {cite:p}`yang2023cbiou`. Overlap is the
# {term}`intersection over union`,
#
# $$
# \mathrm{IoU}(a, b) = \frac{|a \cap b|}{|a \cup b|}.
# $$ (eq-concepts-iou)
#
# A concept clip must not change its subject. So we would rather lose a track than keep a doubtful one:
# where two things of one label could have changed places, both end; up to three unseen frames are
# filled in on a straight line, more end the track; and what is left must last twelve frames.

# %%
present = sorted({int(k) for found in seen for k in found.labels})
names = [finder.names[k] for k in present]
found = [track(one, names, min_frames=12) for one in seen]
share = {
    name: np.mean([bool(one.of(name).kept) for one in found]) for name in names
}
chosen = list(objects or (name for name in names if share[name] >= 1 / 3))


# %% tags=["hide-input"]
def fate(kept, reasons):
    lost = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
    return f"{kept + sum(reasons.values())} | {kept} | {lost or 'none'}"


def said(name):
    return escape_markdown(name)


lost = [drop for one in found for drop in one.dropped]
example = {d.reason: (row, d) for row, one in reversed([*zip(rows, found, strict=False)])
        for d in reversed(one.dropped)}  # fmt: skip
idle = []
lines = ["| label | clips with a track | tracks | kept | dropped |", "|---|---|---|---|---|"]  # fmt: skip
for name in names:
    reasons = Counter(d.reason for d in lost if d.track.label == name)
    kept = sum(len(one.of(name).kept) for one in found)
    if not kept and not reasons:
        idle.append(name)
        continue
    lines.append(f"| {said(name)} | {share[name]:.0%} of {len(found)} | {fate(kept, reasons)} |")  # fmt: skip
Markdown(
    "\n".join(lines) + "\n\n"
    + ("The reasons: " + "; ".join(f"*{r}*, {REASONS[r]}" for r in sorted(example)) + ". " if example else
       "No track was dropped. ")
    + "".join(f"For instance, *{said(d.track.label)}* in {said(row.clip_id)}, {said(d.detail)}. "
              for row, d in list(example.values())[-1:])
    + (f"Found in single frames, too weakly to begin a track: {', '.join(map(said, idle))}. "
       if idle else "")
    + ("Concepts are made of " + ", ".join(map(said, chosen)) + ": "
       + ("as asked for." if objects else "what is tracked in a third of the clips or more.")
       if chosen else "**Nothing is tracked in a third of the clips: there is no concept to make.**")
    if names else
    "**No concept can be made here:** "
    + ("the detector finds nothing it knows." if finder else
       "videos on disk need a detector of everyday objects, named by `--detector`.")
)  # fmt: skip

# %% [markdown]
# ## Held against the truth
#
# On the stage we know where everything is. A found box is right if {eq}`eq-concepts-iou` with a true one
# of its label is at least one half. *Precision* is the share of found boxes that are right, *recall* the
# share of true boxes that were found, and an *identity switch* is a track that goes on on another
# thing. Boxes of one clip are alike; the intervals allow for that.

# %%
scenes = [data.scene(row) for row in rows if finder]
true = [one and true_tracks(one, min_frames=12) for one in scenes]
pairs = [pair for pair in zip(found, true, strict=True) if pair[1] is not None]
checks = [quality(pairs, name) for name in names if pairs and name in INSTANCES]


# %% tags=["hide-input"]
def interval(value, low_high):
    low, high = low_high
    return (
        f"{value:.3f} [{low:.3f}, {high:.3f}]" if value == value else "none found"
    )


lines = ["| label | precision | recall | IoU | identity switches | tracks | true boxes |",
         "|---|---|---|---|---|---|---|"]  # fmt: skip
for q in checks:
    if q.true:
        overlap = f"{q.iou:.2f}" if q.matched else "none"
        lines.append(f"| {q.label} | {interval(q.precision, q.precision_interval)} | "
                     f"{interval(q.recall, q.recall_interval)} | {overlap} | {q.switches} | "
                     f"{q.tracks} | {q.true} |")  # fmt: skip
absent = [f"{q.label} {q.found}" for q in checks if not q.true]
switches = sum(q.switches for q in checks)
Markdown(
    "\n".join(lines)
    + f"\n\nFrom {len(pairs)} clips of subjects that the detector was not trained on; 95 % intervals. "
    + (f"{switches} tracks change their subject, so a person has to look before such clips are used."
       if switches else "No track changes its subject.")
    + (f" Boxes of tracks of what no clip shows for twelve frames: {', '.join(absent)}."
       if absent else "")
    if checks else
    "**Nobody has drawn the truth for these videos**, so how good the tracks are is not known; only a "
    "person who looks at the clips can say."
)  # fmt: skip

# %% [markdown]
# ## The sets
#
# Some clips of the class are set aside first, to be scored later; concepts come from other videos, at
# most one clip of an object from each. Every track becomes a *dynamic* clip and a *static* one, its best
# frame repeated, in two placements: {term}`in place`, where the box stays where it was in the frame, and
# {term}`centred`, the paper's, where the crops lie on each other in the middle of a canvas as large as
# the largest of them. All around is one colour, the mean of the videos. Two controls take the same
# frames in another order: *shuffled* and *reversed*. And {term}`random sets <random set>` of other
# things are made in the same way, from this and other actions; a thing of a tested label may be among
# them only where it does something else, as a person who dances. Where a
# class has clips in other splits, concepts are cut from those; the shipped detector was trained on some
# of them, while the table above is of subjects that it had not seen.

# %%
counts = SetCounts(8, 2, 12) if profile == "quick" else SetCounts(30, 10, 30)
made, refused = None, ""
if chosen:
    try:
        made = make.make(
            data,
            action,
            chosen,
            detector=finder,
            settings=counts.settings,
            seed=seed,
            output=Output(store=store),
        )
    except InputError as error:
        refused = str(error)

# %% tags=["hide-input"]
record = made.provenance if made else {"found": {}, "got": {}}
lines = ["| clips of | asked for | made | clips looked at | tracks | kept | dropped |",
         "|---|---|---|---|---|---|---|"]  # fmt: skip
rest = Counter()
for part, tally in record["found"].items():
    for name, count in tally["labels"].items():
        row = f"{count['videos']} | {fate(count['kept'], count['dropped'])} |"
        if part == "concept":
            numbers = f"{record['asked'][name]} | {record['got'][name]}"
            lines.append(f"| {said(name)} | {numbers} | {row}")
        elif count["kept"]:
            lines.append(f"| random: {said(name)} | | | {row}")
        else:
            rest.update({"labels": 1, **count["dropped"]})
if labels := rest.pop("labels", 0):
    lines.append(f"| random: {labels} other labels | | | | {fate(0, rest)} |")
short = [f"{said(name)} {record['got'][name]} of {number}"
         for name, number in record.get("asked", {}).items() if record["got"][name] < number]  # fmt: skip
unreadable = sum(len(tally["unreadable"]) for tally in record["found"].values())
if made:
    lines.append(f"| random, together | {record['asked']['random']} | {record['got']['random']} | "
                 f"{record['found']['random']['videos']} | | | |")  # fmt: skip
Markdown(
    "\n".join(lines)
    + f"\n\n{len(made.sets)} sets, {sum(map(len, made.sets.values()))} clips. The fill is "
    f"{tuple(record['fill'])} (red, green, blue). "
    + (f"**Fewer than asked for:** {', '.join(short)}; what follows stands on that many. "
       if short else "")
    + (f"{unreadable} videos could not be read." if unreadable else "All videos could be read.")
    if made else
    f"**No sets were made.** {said(refused)}"
)  # fmt: skip


# %% [markdown]
# ## Look at them: spatial concepts
#
# First the thing without its movement, the paper's Figure 5: one frame of each track, which the clip
# repeats. They are the first of their sets, each from another video; below them stand those of a
# random set.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-concepts-static", "caption": "Spatial concepts: six clips of each object, and of a random set, as the network is shown them; below each the end of the name of the clip that it was cut from. Nothing moves, by design."}}
net = zoo.load(model, weights=weights)
seen_as = {"frames": 1, "resize": net.entry.resize, "crop": net.entry.crop}


def exemplars(kind):
    options = {"kind": kind, "placement": "in_place"}
    return made.select("concept", **options) + made.select("random", **options)[:1]


stills = exemplars("static") if made else []
filmstrips.filmstrip(
    {one.name: np.concatenate([view(clip, **seen_as) for clip in one.clips[:6]])
     for one in stills},
    names={one.name: [origin["clip_id"].rpartition("/")[2][-10:] for origin in one.provenance[:6]] for one in stills},
    alt="One frame each of clips of " + ", ".join(f"{one.name} ({len(one)})" for one in stills)
    + ": the object in its box, all around it one colour.",
) if stills else nothing  # fmt: skip

# %% [markdown]
# ## Look at them: spatiotemporal concepts
#
# The same tracks, dynamic: the paper's Figure 6. Each dynamic clip knows its static twin, so that a
# comparison of the two differs in movement alone.


# %% tags=["hide-input"]
def exhibit(one, k=0):
    clip, origin = one.clips[k], one.provenance[k]
    return player.player(
        clip.frames,
        fps=clip.fps,
        title=f"{one.name}, from {origin['clip_id']}",
        alt=f"{one.name}: {origin['object']} cut out of {origin['clip_id']}, frames "
        f"{origin['frames'][0] + 1} to {origin['frames'][1]}; the rest is one colour.",
    )


# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-concepts-dynamic", "caption": "Spatiotemporal concepts: the first track of each object in the figure before, dynamic, in place, and one of a random set. Press play."}}
player.gallery([exhibit(one) for one in exemplars("dynamic")]) if made else nothing

# %% [markdown]
# ## In place or centred?
#
# The paper puts every crop in the middle. What is lost? The path that the thing takes through the
# picture; call $m_t$ the middle of what frame $t$ shows, then the path is
#
# $$
# \ell = \sum_{t=1}^{T-1} \lVert m_{t+1} - m_t \rVert
# $$ (eq-concepts-path)
#
# pixels long. A toy whose answer is known: a white square that moves three pixels a frame, for 16
# frames, has a path of $15 \cdot 3 = 45$ pixels; centred, it must not move at all.

# %%
frames = np.zeros((16, 64, 64, 3), np.uint8)
boxes = np.array([[3 * t, 20, 3 * t + 10, 30] for t in range(16)], np.float32)
for image, (x0, y0, x1, y1) in zip(frames, boxes.astype(int), strict=True):
    image[y0:y1, x0:x1] = 255
every = np.ones(16)
square = Track("square", 0, boxes, every, every.astype(bool), "toy", "by hand")
piece = Piece(Row("toy", "toy", "toy", "toy"), "toy", square)
black, toy = (0, 0, 0), {}
for placement in ("in_place", "centred"):
    clip = cut(piece, Clip(frames, 16.0, "toy"), placement=placement, fill=black)
    toy[placement] = crops.travelled(crops.middles(clip, black))
Markdown(
    f"In place the square's path is {toy['in_place']:.1f} pixels long, centred "
    f"{toy['centred']:.1f}."
)

# %% [markdown]
# Now the tracks at hand, measured in the same way, from the clips that were written.

# %%
paths, length, side, aside = {}, {}, {}, {}
for one in made.select("concept", kind="dynamic") if made else ():
    key = one.concept.object, one.concept.placement
    clips = list(one.clips)
    ways = [crops.middles(clip, one.fill) for clip in clips]
    spans = [np.array(clip.frames.shape[2:0:-1]) for clip in clips]
    paths[key] = [way / span for way, span in zip(ways, spans, strict=True)]
    aside[key] = [
        np.nanmax(abs(way - span / 2))
        for way, span in zip(ways, spans, strict=True)
    ]
    length[key] = [crops.travelled(way) for way in ways]
    side[key] = [span.max() for span in spans]
things = [name for name in chosen if (name, "centred") in length]
farthest = max(
    things, key=lambda name: np.mean(length[name, "in_place"]), default=""
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-concepts-paths", "caption": "The paths of eight tracks of each object, in place and centred, on one scale; the mark is where a path ends."}}
charts.trajectories(
    {
        placement.replace("_", " "): {
            name: [
                way[np.isfinite(way).all(1)] for way in paths[name, placement][:8]
            ]
            for name in things
        }
        for placement in ("in_place", "centred")
    }
) if things else nothing


# %% tags=["hide-input"]
def spread(values):
    if len(values) < 2:
        return f"{np.mean(values):.1f}, n = {len(values)}"
    one = mean_interval(values, rng=rng)
    return f"{one.value:.1f} [{one.low:.1f}, {one.high:.1f}], n = {one.n}"


lines = [
    "| object | path in place (pixels) | path centred (pixels) | canvas / frame |",
    "|---|---|---|---|",
]
for name in things:
    ratio = np.mean(np.divide(side[name, "centred"], side[name, "in_place"]))
    lines.append(f"| {said(name)} | {spread(length[name, 'in_place'])} | "
                 f"{spread(length[name, 'centred'])} | {ratio:.2f} |")  # fmt: skip
off = max(
    (value for name in things for value in aside[name, "centred"]), default=0.0
)
left = [
    np.mean(length[n, "centred"]) / np.mean(length[n, "in_place"]) for n in things
]
Markdown(
    "\n".join(lines)
    + f"\n\nMeans with bootstrap intervals. Centring leaves {min(left):.0%} to {max(left):.0%} of a "
    f"path; the middle is then never more than {off:.2f} pixels off the middle of the canvas, for want "
    f"of half pixels. Centring enlarges, too: the canvas is a part of the frame (last column), and a "
    f"network gets both at the size of its input. The object that travels farthest is {said(farthest)}; below is its first track in "
    "all four versions that move."
    if things else "There is no track to measure."
)  # fmt: skip

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-concepts-versions", "caption": "One track of the object that travels farthest: in place, centred, with its frames shuffled, and reversed. The last two are controls."}}
wanted = ("dynamic", "dynamic centred", "shuffled", "reversed")
player.gallery(
    [exhibit(made[f"{farthest} {version}"]) for version in wanted]
) if things else nothing

# %% [markdown]
# ## What a network makes of it: a known answer
#
# In the stage's *motion* task nothing but the racket's movement tells a forehand from its time
# reversal, and {doc}`networks` shows that the network has learned it. So a clip of the racket alone
# ought to be enough for it, if the clip has the movement. We cut the true tracks of rackets out of
# unseen clips of both classes, in place and centred, and play them backwards, too. Centring does two
# things, it stops the racket and it enlarges it; to tell which of them matters, there is a third
# version, centred but not enlarged.

# %%
motion = open_data("stage:motion")
known = zoo.load("stage_r3d", weights="motion")
chance = {"weights": "random", "labels": known.labels, "seed": seed}
blank = zoo.load("stage_r3d", **chance)
swings = []
for label in ("forehand", "reversed forehand"):
    options = {"split": "test", "label": label, "limit": limit // 2}
    for row in samples.draw(motion, **options, rng=rng):
        scene = motion.scene(row)
        for one in true_tracks(scene, ["racket"], min_frames=12).kept[:1]:
            swings.append((scene, Piece(row, row.clip_id, one)))

# %%
grey = mean_colour(scene.clip for scene, _ in swings)
shows = {"whole clip": [scene.clip for scene, _ in swings]}
whole = max(shows["whole clip"][0].frames.shape[1:3])
for name, placement in (("in place", "in_place"), ("centred", "centred")):
    cropped = [
        cut(piece, scene.clip, placement=placement, fill=grey)
        for scene, piece in swings
    ]
    shows[name] = [letterbox(crop, fill=grey) for crop in cropped]
    shows[f"{name}, reversed"] = [reverse(crop) for crop in shows[name]]
borders = [whole / max(crop.frames.shape[1:3]) for crop in cropped]
shows["centred, same size"] = [
    letterbox(crop, fill=grey, border=border)
    for crop, border in zip(cropped, borders, strict=True)
]

# %%
turn = {"forehand": "reversed forehand", "reversed forehand": "forehand"}
truth = [scene.label for scene, _ in swings]
told = {"trained": {}, "random weights": {}}
for version, clips in shows.items():
    backwards = version.endswith("reversed")
    right = [turn[label] if backwards else label for label in truth]
    right = [known.labels.index(label) for label in right]
    for who, network in (("trained", known), ("random weights", blank)):
        guess = evaluate.predict(network, clips).argmax(1)
        score = evaluate.accuracy(right, guess, len(known.labels))
        told[who][version] = score

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-concepts-known", "caption": "How often the racket alone is enough for the network that was trained on the motion task. Played backwards, the other class is right. 95 % Wilson intervals."}}
charts.accuracies(
    {
        who: {version.replace(", ", ",\n"): (a.value, a.low, a.high) for version, a in row.items()}
        for who, row in told.items()
    },
    chance=1 / 3,
)  # fmt: skip

# %% tags=["hide-input"]
place, centre = told["trained"]["in place"], told["trained"]["centred"]
small = told["trained"]["centred, same size"]
Markdown(
    f"In place, {place} of the racket clips are named rightly; centred, {centre}. "
    + ("**Centring took away what decides.** " if centre.high < place.low else
       "The intervals overlap, so this run does not show that centring takes away what decides. ")
    + f"Centred but not enlarged, {small}: "
    + ("so it is the path that the network misses, not the size." if small.high < place.low else
       "this run cannot tell whether the path or the size matters.")
    + " A network that names one of the two classes whatever it sees scores one half, as those with "
    f"random weights may: here {told['random weights']['in place'].value:.2f}."
)  # fmt: skip

# %% [markdown]
# ## What the network at hand makes of it
#
# The same for the concept clips of this page: which class does the network name when it is shown one
# thing alone? Nobody planted an answer here. Such clips are unlike anything that the network was
# trained on, and a network has to name *some* class, also for a clip of nothing but fill. So the
# baselines are that clip, and the same network with random weights.

# %%
untrained = zoo.load(model, weights="random", labels=net.labels, seed=seed)
own = net.labels.index(action)
named, guessed = {}, {}
for name in things:
    for version in ("dynamic", "dynamic centred"):
        clips = made[f"{name} {version}"].clips_for(net.entry)
        named[name, version] = evaluate.predict(net, clips).argmax(1)
        guessed[name, version] = evaluate.predict(untrained, clips).argmax(1)
for version in ("static", "shuffled", "reversed") if things else ():
    clips = made[f"{farthest} {version}"].clips_for(net.entry)
    named[farthest, version] = evaluate.predict(net, clips).argmax(1)


# %% tags=["hide-input"]
def of_class(answers):
    return evaluate.accuracy(np.full(len(answers), own), answers, len(net.labels))


def commonest(answers):
    label, count = Counter(answers.tolist()).most_common(1)[0]
    return f"{said(net.labels[label])} ({count} of {len(answers)})"


# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-concepts-placement", "caption": "Share of the dynamic concept clips that the network names as the class, in place and centred, with 95 % Wilson intervals; and the same with random weights."}}
charts.accuracies(
    {
        f"{version.replace('dynamic', 'in place') if version == 'dynamic' else 'centred'}, {who}": {
            name: (a.value, a.low, a.high)
            for name in things
            for a in [of_class(answers[name, version])]
        }
        for who, answers in (("trained", named), ("random weights", guessed))
        for version in ("dynamic", "dynamic centred")
    },
    chance=1 / len(net.labels),
    units=f"named {action}",
) if things else nothing


# %% tags=["hide-input"]
def changes(answers, name):
    moved = int(
        (answers[name, "dynamic"] != answers[name, "dynamic centred"]).sum()
    )
    n = len(answers[name, "dynamic"])
    low, high = stats.wilson(moved, n)
    return f"{moved / n:.2f} [{low:.2f}, {high:.2f}]"


lines = ["| object | in place, most often | centred, most often | class changed by centring | "
         "the same, random weights |", "|---|---|---|---|---|"]  # fmt: skip
for name in things:
    lines.append(f"| {said(name)} | {commonest(named[name, 'dynamic'])} | "
                 f"{commonest(named[name, 'dynamic centred'])} | {changes(named, name)} | "
                 f"{changes(guessed, name)} |")  # fmt: skip
if things:
    pixels = made[f"{things[0]} dynamic"].clips[0]
    plain = np.full_like(pixels.frames, record["fill"])
    void = Clip(plain, pixels.fps, "fill alone")
    pair = {
        n: [of_class(named[n, v]) for v in ("dynamic", "dynamic centred")]
        for n in things
    }
    fewer = [said(n) for n, (a, b) in pair.items() if b.high < a.low]
    more = [said(n) for n, (a, b) in pair.items() if a.high < b.low]
    empty = said(net.labels[int(evaluate.predict(net, [void]).argmax())])
Markdown(
    "\n".join(lines) + f"\n\nA clip of fill alone is *{empty}* to this network. "
    + f"Centring makes *{said(action)}* clearly rarer for: {', '.join(fewer) or 'none'}; clearly "
    + f"more frequent for: {', '.join(more) or 'none'}. "
    + ("**The same tracks, another placement, another answer:** what a concept test finds depends on "
       "how the concept was cut." if fewer or more else
       "No object's intervals are clear of each other.")
    + f"\n\nThe controls of {said(farthest)}, in place: "
    + ", ".join(f"*{v}* is most often {commonest(named[farthest, v])}"
                for v in ("dynamic", "static", "shuffled", "reversed")) + "."
    if things else "There are no concept clips to show to the network."
)  # fmt: skip

# %% [markdown]
# ## No video twice
#
# A concept that was cut out of a clip that is scored later would be found there for free. So scored
# clips, concept clips and random clips share no video; the package checks that when it makes the sets,
# and here it is checked again on what was written.

# %%
if made:
    videos = {"scored clips": {video_of(row, data) for row in made.scoring}}
    for role, what in (("concept", "concepts"), ("random", "random clips")):
        origins = [origin for one in made.select(role) for origin in one.provenance]
        videos[what] = {origin["video"] for origin in origins}
    check_disjoint(videos)  # raises and lists them where videos are shared

# %% tags=["hide-input"]
Markdown(
    "Checked: "
    + ", ".join(f"{len(group)} videos for {what}" for what, group in videos.items())
    + "; no video is in two of these."
    if made else "No sets, nothing to check."
)  # fmt: skip

# %% [markdown]
# ## Reviewed by a person
#
# Detectors err, so the paper's authors looked at every clip. Ours are *proposed* by a machine; a person
# accepts or rejects them, and the run that uses them says how many were looked at. A folder that was
# reviewed is handed on to the chapters that use concepts by `--concepts FOLDER`.

# %% tags=["hide-input"]
mine = make.read(concepts) if concepts else None
words = ["vx", "concepts", "make", "--data", dataset, "--action", action]
words += ["--root", root] if root else []
words += [word for name in chosen for word in ("--object", name)]
words += ["--detector", detector, "--out", "my_concepts"]
Markdown(
    (f"**On this page: {made.review}**, where a track counts once. They are fresh "
     "from the detector. To review clips, make a folder and open it:\n\n```bash\n"
     f"{shlex.join(map(str, words))}\nvx concepts review my_concepts\n```"
     if made else "**No clips were made here,** so none were reviewed.")
    + (f"\n\nIn the folder {said(Path(concepts).name)}, which `--concepts` names: {mine.review}; "
       f"{len(mine.left_out)} clips of it are left out." if mine else "")
)  # fmt: skip

# %% [markdown]
# Clips play in a loop; the keys A, R, S and U accept, reject, skip and undo. A decision holds for every
# version of a track, static, dynamic and controls, and is kept in `review.csv` in the folder; rejected
# clips are left out when the folder is read. Any folder `<concept>/<video>` of clips that you filmed,
# cut by hand or generated can be reviewed and used in the same way.
#
# ## Where this fails, and what we may not conclude
#
# - A detector knows its labels and no others. There is no concept of what it has no word for, however
#   much a network may rely on it: a swing, a rhythm, two things that touch.
# - The box is not the thing. It holds ground and parts of other things, as {numref}`fig-concepts-static`
#   shows; what a network answers to may be in the corner of the crop.
# - Tracks that end in doubt are lost, and not at random: the tables say of which label how many. A set
#   shows the easy cases of its concept.
# - That a network names the class for a racket alone does not show that the racket decides in a whole
#   clip; nor does the opposite. These clips are far from what it was trained on, as the clip of fill
#   alone shows. Concept vectors, which compare sets made alike, are meant for that.
# - Precision and recall can be measured where the truth is known, on rendered scenes like those of the
#   training. They say nothing about another detector, or about film.
#
# ## Exercises
#
# 1. Why has the static twin the same canvas and the same length as the dynamic clip?
# 2. In which task would you expect centring to be harmless, and how would you check it?
# 3. Make the dynamic concepts of another action: `vx run --action juggling --chapter concepts`. What
#    becomes of the tracks of the balls, and why?
#
# :::{dropdown} Solutions
# 1. Otherwise they would differ in more than movement: a network could tell them apart by size, by
#    place or by the jump where a shorter clip begins anew.
# 2. In *static*, where appearance alone decides; put `stage:static` and its weights in place of
#    *motion* in the cells above, with the object that its classes have in hand.
# 3. Several balls of one label cross each other; compare the number dropped as *ambiguous*.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the detector, the seed, the versions
# and the hardware; {doc}`reproduce` says how exactly the numbers come again.
#
# **Takeaways.** Keep the reason for every track that is lost; measure tracks before trusting them; move
# and stand still with the same pixels; and know what the placement takes away. **References:**
# {doc}`bibliography`.
