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
# # The clip explorer
#
# Hold the clip still, or turn it around: do the prediction and the map care? Then choose
# *stage_r3d, random weights*: which methods draw much the same map for a network that
# has learned nothing?

# %% tags=["parameters"]
action = "playing tennis"
dataset = "stage:tennis"
root = None
model = "stage_r3d"
weights = "tennis"
seed = 0

# %%
from vxhelpers import live

live.explore(action, dataset, root=root, model=model, weights=weights, seed=seed)
