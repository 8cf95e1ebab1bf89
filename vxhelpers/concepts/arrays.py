"""Kinds of arrays that concepts are made of, and how few clips will do."""

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]  # of clips
Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FEWEST = 4  # clips in a set, on each side of a problem, and to be scored
