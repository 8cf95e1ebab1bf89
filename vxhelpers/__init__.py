"""Explaining video action recognition, checked against planted evidence.

====================  ==============================================================================
``data``              clips from video files or rendered scenes; manifests; supervoxels
``models``            networks with preprocessing and layers; predictions; training
``attribution``       Grad-CAM, gradients, perturbation, relevance: a value for every voxel
``concepts``          Video-TCAV; its clips come from ``concept_sets``
``stce``              concepts discovered from supervoxels
``evaluation``        explanations against planted evidence, random weights and time
``figures, live``     figures and players without a kernel; widgets with one
``book, cli``         chapters run for many targets, the built book; the command ``vx``
``errors, stats, io`` what all of them share
====================  ==============================================================================
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("vxhelpers")
except PackageNotFoundError:  # imported from a bare checkout, for instance on a GPU node
    __version__ = "0+checkout"
