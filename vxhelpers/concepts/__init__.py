"""Concept vectors and how much they move a prediction (Video-TCAV)."""
