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
# (tiny)=
# # A tiny chapter
#
# See {ref}`the section <tiny-more>`, {numref}`fig-line`, {numref}`Picture {number} <fig-player>`,
# {eq}`eq-mean`, {term}`clip`, {doc}`tiny`, {doc}`glossary`, [here](#tiny-more) and
# [the words](glossary.md); {cite:t}`wilson1927` said so.
#
# ```
# (tiny)= and {ref}`tiny` in a block of code stay as they are
# ```
#
# $$
# \alpha_k = \frac{1}{THW} \sum_{t,h,w} \frac{\partial y}{\partial A^k_{thw}}
# $$ (eq-mean)

# %% tags=["parameters"]
action = "playing tennis"
dataset = "stage:tennis"
root = None
model = "stage_r3d"
weights = None
seed = 0
profile = "standard"

# %%
import os
import sys
from pathlib import Path

broken = os.environ.get("TINY_BROKEN", "")
if broken == "dies":
    os._exit(7)
if broken == "waits":
    import time

    Path(os.environ["TINY_STARTED"]).touch()
    time.sleep(600)
assert broken != "fails", f"broken on purpose for {action}"
print(action, os.environ["TQDM_DISABLE"], os.environ["VX_PROGRESS"])
print("10 %\r50 %\r100 %", file=sys.stderr)

# %% [markdown]
# (tiny-more)=
# ## More
#
# With $\hat p_k$ in a line, and a table:
#
# | symbol | meaning |
# |---|---|
# | $y^c$ | the logit |

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-line", "caption": "A line, see {eq}`eq-mean`."}}
import matplotlib.pyplot as plt

plt.figure(figsize=(4, 2))
plt.plot([seed, 1, 0])
plt.show()

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-player", "caption": "A player."}}
from html import escape

from IPython.display import HTML

HTML(
    f"<div class='player'><b>{escape(action)}</b><output></output>"
    "<script>document.currentScript.previousElementSibling.value = 'scripted';</script></div>"
)

# %%
from vxhelpers.data import provenance

provenance.describe("tiny", globals())
