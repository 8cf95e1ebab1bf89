"""``python -m vxhelpers.cli``: the command ``vx``."""

import sys

from vxhelpers.cli import app

sys.exit(app())
