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
# (single)=
# # Held once
#
# See {ref}`the section <tiny-more>` and {numref}`fig-alone`.

# %% tags=["parameters"]
action = "boxing"
dataset = "stage:kth"
model = "stage_r3d"
weights = "kth"
seed = 3
profile = "quick"

# %%
print(action, seed, profile)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-alone", "caption": "A line."}}
import matplotlib.pyplot as plt

plt.figure(figsize=(4, 2))
plt.plot([1, 0])
plt.show()

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-chosen", "caption": "One of two players."}}
import numpy as np

from vxhelpers.figures import player, table, tabs

clip = np.random.default_rng(seed).integers(0, 255, (6, 24, 32, 3), np.uint8)
shown = {
    name: player.player(clip, fps=6, title=name, alt=f"Noise, {name}", overlay=clip[..., k] / 255)
    for k, name in enumerate(("left", "right"))
}
tabs.choice(shown, legend="Side")

# %% tags=["hide-input"]
table.table({"name": ["b", "a"], "score": [1.0, 2.0]}, caption="Scores", filtered=True)
