"""Guided backpropagation and the deconvnet through a residual block, in dense matrices."""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def pass_back(slope: Values, before: Values, rule: str) -> Values:
    """What a ReLU hands down of a slope, unit by unit; ``before`` is what it was given."""
    result = np.zeros_like(slope)
    for unit, (s, b) in enumerate(zip(slope, before, strict=True)):
        if rule == "gradient":
            passes = b > 0
        elif rule == "guided":
            passes = b > 0 and s > 0
        else:
            passes = s > 0
        result[unit] = s if passes else 0.0
    return result


def residual_block(
    x: Values, first: Values, second: Values, head: Values, rule: str
) -> tuple[float, Values]:
    """Score and map of ``head @ relu(second @ relu(first @ x) + x)``, all flat."""
    inner = first @ x
    outer = second @ np.maximum(inner, 0) + x
    at_sum = pass_back(head, outer, rule)
    at_inner = pass_back(second.T @ at_sum, inner, rule)
    return float(head @ np.maximum(outer, 0)), first.T @ at_inner + at_sum
