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
