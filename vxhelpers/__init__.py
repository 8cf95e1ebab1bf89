"""Explaining video action recognition, checked against planted evidence."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("vxhelpers")
except PackageNotFoundError:  # imported from a bare checkout, for instance on a GPU node
    __version__ = "0+checkout"
