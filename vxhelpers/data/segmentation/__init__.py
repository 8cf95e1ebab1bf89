"""Clips cut into supervoxels."""
