"""Clips, from a video file or rendered, and what describes them: manifests, splits, provenance."""
