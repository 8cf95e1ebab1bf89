"""Sets of concept clips: detected, tracked, cut out, reviewed, kept in a folder."""
