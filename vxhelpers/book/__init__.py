"""Chapters run for many targets, their results, and the built book."""
