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
# # The concept browser
#
# Add the *top* concepts one by one, then the *least*: which are enough for the class?
# Then remove them from the clip, and mind how much of it is still visible: seeing more is
# reason enough for a better prediction.

# %% tags=["parameters"]
action = "playing tennis"
dataset = "stage:tennis"
root = None
model = "stage_r3d"
weights = "tennis"
seed = 0

# %%
from vxhelpers import live

live.browse(action, dataset, root=root, model=model, weights=weights, seed=seed)
