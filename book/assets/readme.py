"""Draws readme.webp: a rendered clip and its Grad-CAM map, the clip that follows the racket best."""

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from vxhelpers.attribution import gradcam
from vxhelpers.data.datasets import open_data
from vxhelpers.evaluation import localisation
from vxhelpers.figures import filmstrips, illustration
from vxhelpers.models import samples, zoo

data, net = open_data("stage:tennis"), zoo.load("stage_r3d", weights="tennis")
rows = samples.draw(
    data, label="playing tennis", limit=30, rng=np.random.default_rng(0)
)
found = samples.collect(data, net, rows)
x = net.prepare(found.clips)
maps = gradcam.gradcam(net, x, layer="layer3", target="playing tennis")
best = int(
    np.argmax(localisation.energy_share(maps.numpy(), found.masks["racket"]))
)
relevance = gradcam.upsample_map(maps[best : best + 1], found.pixels.shape[1:4])[
    0
].numpy()
strip = filmstrips.overlay_filmstrip(
    found.pixels[best], {"layer3": relevance}, fps=found.fps[best], units="Grad-CAM"
)
with rc_context(illustration.STYLE):
    strip.figure.savefig(
        Path(__file__).with_suffix(".webp"),
        dpi=170,
        pil_kwargs={"quality": 85},
        facecolor="white",
    )
