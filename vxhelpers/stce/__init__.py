"""Concepts discovered from supervoxels, scored, and tested by adding and removing them."""
