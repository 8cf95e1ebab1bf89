"""Text from data in markdown."""

import re


def escape_markdown(text: str) -> str:
    """A text from data as one line of literal markdown, whatever characters it holds."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line)
