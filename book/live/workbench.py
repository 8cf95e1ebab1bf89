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
# # The TCAV workbench
#
# Drop concept clips that look odd to you: how many does it take until the score is
# another? Then set *Random sets* to 2, and look at what chance alone would score.

# %% tags=["parameters"]
action = "playing tennis"
dataset = "stage:tennis"
root = None
model = "stage_r3d"
weights = "tennis"
seed = 0

# %%
from vxhelpers import live

live.workbench(action, dataset, root=root, model=model, weights=weights, seed=seed)
