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
# (guide)=
# # Field guide to methods
#
# *There are many ways to explain a prediction: which one for my question, and at what cost?*
#
# :::{admonition} Card
# :class: tip
# **You will** choose a family of methods by what you want to know, and see what each method costs, all
# measured on the same clips in this run.
#
# **Before:** {doc}`networks`. **Reading:** 5 minutes. **Running:** about a minute on one CPU core.
# :::
#
# | you want to know | take | and beware |
# |---|---|---|
# | roughly where and when, at once | {doc}`guide_cams` | coarse; some never show evidence against |
# | which pixels, for a network that you can differentiate | {doc}`guide_gradients` | noisy; signs alternate |
# | what the network does without a part, for any network | {doc}`guide_hiding` | slow; noisy with few views |
# | how much of the score needs movement | {doc}`guide_relevance` | some rules may hardly know the class; no transformers |
# | what a unit looks for, or which training clips speak for this | {doc}`guide_inside` | one unit, few clips |
# | whether a thing with a name counts, over a whole class | {doc}`tcav` | needs clips of that thing |
# | which things count, if nobody names them | {doc}`stce` | needs many clips |
#
# No row is "whether the network is right": for that, {doc}`networks` comes first.

# %% tags=["parameters"]
action = "forehand"
dataset = "stage:motion"
root = None
model = "stage_r3d"
weights = "motion"
seed = 0
profile = "standard"

# %% tags=["hide-input"]
import numpy as np
import torch
from IPython.display import Markdown
from vxhelpers.attribution import registry
from vxhelpers.data import provenance
from vxhelpers.data.datasets import open_data
from vxhelpers.evaluation import compare
from vxhelpers.models import zoo

rng = np.random.default_rng(seed)
limit = {"quick": 1, "standard": 2}[profile]
provenance.describe("guide", globals())

# %% [markdown]
# ## All methods, on the same clips
#
# Each method explains the same clips of *one* class in *one* network. What it shows there is a number that
# cannot be compared with another's; what it costs can. A *pass* is a clip that goes through the network
# once, and most of the cost of a method is its passes.

# %%
data, net = open_data(dataset, root=root), zoo.load(model, weights=weights)
found, trial = compare.gather(data, net, label=action, count=limit, rng=rng)
slow = {"RISE", "LIME", "kernel SHAP", "deep Taylor, temporal part"}
real = [m for m in registry.METHODS if m.family != registry.BASELINES]
chosen = [m for m in real if profile == "standard" or m.name not in slow]
answers = compare.compare(chosen, net, trial.x, target=trial.target, seed=seed)

# %% tags=["hide-input"]
asks = {
    "Grad-CAM": "which cells of the last layer speak for the class",
    "Grad-CAM, middle layer": "which cells of a finer layer do",
    "Grad-CAM++": "the same, by positive gradients alone",
    "Score-CAM": "the same, by what each channel shows of the clip",
    "saliency tubes": "the same, by the classifier's weights",
    "saliency": "what a small change of a pixel would do",
    "input x gradient": "what a pixel brings, were the network linear",
    "integrated gradients": "what a pixel brings on the way from nothing",
    "gradient SHAP": "the same, from several clips, points drawn",
    "guided backpropagation": "which pixels excite what speaks for the class",
    "deconvolution": "the same, whether or not units were active",
    "occlusion": "what the score loses if a box is hidden",
    "RISE": "which parts random views with a high score show",
    "LIME": "which supervoxels explain the scores of views",
    "kernel SHAP": "each supervoxel's fair share of the score",
    "LRP, epsilon": "how the logit divides, signs kept",
    "LRP, epsilon-plus": "the same, by positive contributions",
    "deep Taylor": "the same, from the logit to limits of the pixels",
    "deep Taylor, temporal part": "what of that stills do not have",
}
pages = {
    "class activation maps": "guide_cams",
    "gradients": "guide_gradients",
    "hiding parts": "guide_hiding",
    "relevance": "guide_relevance",
}
lines = [
    "| method | it asks | forward | back | clips a second |",
    "|---|---|---|---|---|",
]
family = ""
for name, one in answers.items():
    if one.method.family != family:
        family = one.method.family
        lines.append(f"| **{{doc}}`{family} <{pages[family]}>`** | | | | |")
    cost = (
        f"{one.forwards:.3g} | {one.backwards:.3g} | {1 / one.seconds:.2g}"
        if one.maps is not None
        else "does not fit | |"
    )
    lines.append(f"| {name} | {asks[name]} | {cost} |")
Markdown(
    "\n".join(lines)
    + f"\n\n*{model}*, {len(found)} clips, on {provenance.hardware()}, "
    f"{torch.get_num_threads()} of them at work; whatever else runs there slows it down. Settings are those of "
    "`vxhelpers.attribution.registry`."
    + (
        ""
        if profile == "standard"
        else f" Left out to be quick: {', '.join(sorted(slow))}."
    )
)

# %% [markdown]
# The ratio of the slowest to the fastest says what "explain" can mean in practice: some can go along with a
# camera, some are for one clip that matters.

# %% tags=["hide-input"]
times = {name: a.seconds for name, a in answers.items() if a.maps is not None}
first, last = min(times, key=times.get), max(times, key=times.get)
one = zoo.ENTRIES[model]
Markdown(
    f"Fastest here is {first}, slowest {last}: a factor of {times[last] / times[first]:.0f}. "
    f"A clip of *{model}* is {one.frames} frames long, "
    f"{one.frames * one.stride / found.clips[0].fps:.1f} s of this video: "
    + ("; ".join(n for n, t in times.items()
                 if t < one.frames * one.stride / found.clips[0].fps) or "none")
    + " took less time than that, and could keep up with it."
)  # fmt: skip

# %% [markdown]
# ## What we may not conclude
#
# - Cheap is not good, and dear is not good. Whether a family finds planted evidence is measured on its page,
#   beside random weights and beside network-independent baselines.
# - Costs are of small networks and clips of 64 x 64 pixels; passes carry over to others, seconds do not.
# - Each page shows one class of one task. A method that does well there may not elsewhere.
#
# ## Exercises
#
# 1. Which methods cost the same for a network that you can only query?
# 2. Why does epsilon LRP cost more than a gradient, if in a network of ReLUs without biases it is the same
#    map as input times gradient?
#
# :::{dropdown} Solutions
# 1. Those with nothing in the column *back* that also read no layer: {doc}`guide_hiding`.
# 2. It divides at every layer, on a copy of the network with its batch norms merged; where such networks
#    are concerned, take the product.
# :::
#
# ## Reproduce this
#
# The first table of this page names the command, the data's hash, the seed, the versions and the
# hardware; {doc}`reproduce` says how exactly the numbers come again. Times do not.
#
# **Takeaways.** Ask first, then choose; count passes, not papers; and hold every map against one that knows
# nothing. **Next:** {doc}`guide_cams`. **References:** {doc}`bibliography`.
