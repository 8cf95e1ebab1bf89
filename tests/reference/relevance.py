"""Relevance propagation with dense matrices in float64: slow, plain, written apart.

The network is a 3x3x3 convolution, batch norm, ReLU; a second convolution and batch norm, to which
the first block's output is added; ReLU; max-pooling over 1x2x2; the mean; a linear layer.
"""

from itertools import product

import numpy as np


def conv_matrix(weight, size):
    """Dense ``(inputs, outputs)`` matrix of a convolution with stride 1 that keeps the size."""
    out, channels, *kernel = weight.shape
    margin = [k // 2 for k in kernel]
    matrix = np.zeros((channels, *size, out, *size))
    for o, c in product(range(out), range(channels)):
        for place in product(*map(range, size)):
            for step in product(*map(range, kernel)):
                source = tuple(p + s - m for p, s, m in zip(place, step, margin, strict=True))
                if all(0 <= i < n for i, n in zip(source, size, strict=True)):
                    matrix[(c, *source, o, *place)] = weight[(o, c, *step)]
    return matrix.reshape(channels * np.prod(size), -1)


def normed(state, conv, norm, size):
    """Matrix and bias of a convolution and the batch norm after it."""
    scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + 1e-5)
    weight = state[f"{conv}.weight"] * scale[:, None, None, None, None]
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return conv_matrix(weight, size), np.repeat(bias, np.prod(size))


def divide(shares, total, relevance):
    """Give each input its share of each output's relevance, where the output's total is not 0."""
    safe = np.where(total == 0, 1, total)
    return (shares * np.where(total == 0, 0, relevance / safe)).sum(1)


def epsilon(a, matrix, bias, relevance):
    shares = a[:, None] * matrix
    return divide(shares, shares.sum(0) + bias, relevance)


def z_plus(a, matrix, bias, relevance):
    shares = np.maximum(a[:, None] * matrix, 0)
    return divide(shares, shares.sum(0) + np.maximum(bias, 0), relevance)


def z_box(a, matrix, low, high, relevance):
    positive, negative = np.maximum(matrix, 0), np.minimum(matrix, 0)
    shares = a[:, None] * matrix - low[:, None] * positive - high[:, None] * negative
    return divide(shares, shares.sum(0), relevance)


def relevance_map(state, x, target, composite, low, high):
    """Map ``(T, H, W)`` of a ``(C, T, H, W)`` clip, and its logits; the box is given a channel."""
    channels, *size = x.shape
    one, bias_one = normed(state, "conv1", "norm1", size)
    two, bias_two = normed(state, "conv2", "norm2", size)
    head, bias_head = state["head.weight"].T, state["head.bias"]

    pixels = x.reshape(-1)
    first = np.maximum(pixels @ one + bias_one, 0)
    branch = first @ two + bias_two
    second = np.maximum(branch + first, 0)
    grid = second.reshape(-1, *size)
    t, h, w = size
    windows = grid.reshape(len(grid), t, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    windows = windows.reshape(len(grid), t, h // 2, w // 2, 4)
    winners, pooled = windows.argmax(-1), windows.max(-1)
    features = pooled.mean((1, 2, 3))
    logits = features @ head + bias_head

    rule = epsilon if composite == "epsilon" else z_plus
    kept = 0 if composite == "deep_taylor" else 1  # deep Taylor gives biases no share
    last = z_plus if composite == "deep_taylor" else epsilon
    relevance = np.zeros_like(logits)
    relevance[target] = logits[target]
    relevance = last(features, head, bias_head * kept, relevance)
    cells = pooled.reshape(len(grid), -1)
    relevance = (cells / np.maximum(cells.sum(1), 1e-30)[:, None] * relevance[:, None]).reshape(
        pooled.shape
    )
    below = np.zeros_like(grid)
    for c, i, j, k in np.ndindex(*pooled.shape):
        dj, dk = divmod(winners[c, i, j, k], 2)
        below[c, i, 2 * j + dj, 2 * k + dk] = relevance[c, i, j, k]
    below = below.reshape(-1)
    terms = np.stack([branch, first])
    if composite != "epsilon":
        terms = np.maximum(terms, 0)
    total = terms.sum(0)
    to_branch, to_first = terms * np.where(total == 0, 0, below / np.where(total == 0, 1, total))
    relevance = to_first + rule(first, two, bias_two * kept, to_branch)
    if composite == "deep_taylor":
        box = (np.repeat(bound, np.prod(size)) for bound in (low, high))
        relevance = z_box(pixels, one, *box, relevance)
    else:
        relevance = rule(pixels, one, bias_one, relevance)
    return relevance.reshape(channels, *size).sum(0), logits
