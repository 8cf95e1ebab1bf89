"""Explanations against evidence: planted masks, deletion, randomisation, stability."""
