"""Files and folders: written whole or not at all, a cache keyed by content, digests of code."""
