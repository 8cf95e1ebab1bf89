"""Grad-CAM++ and Score-CAM clip by clip and channel by channel, as their papers write them."""

import numpy as np
import torch
import torch.nn.functional as F


def gradcam_plus_plus(activations, gradients):
    """Of one clip, ``(C, T, H, W)`` each; equations 10 and 19 without the final ReLU."""
    result = np.zeros(activations.shape[1:])
    for channel, slope in zip(np.float64(activations), np.float64(gradients), strict=True):
        weight = 0.0
        for g in slope.ravel():
            below = 2 * g**2 + channel.sum() * g**3
            if below > 0:
                weight += g**2 / below * max(0.0, g)
        result += weight * channel
    return result


def score_cam(score, clip, activations):
    """Increases of one clip's score, and the map by their softmax; ``score`` takes one clip."""
    blank = score(torch.zeros_like(clip))
    increases, kept = [], []
    for channel in activations:
        if channel.max() == channel.min():
            continue
        mask = (channel - channel.min()) / (channel.max() - channel.min())
        mask = F.interpolate(mask[None, None], size=clip.shape[1:], mode="trilinear")[0, 0]
        increases.append(score(clip * mask) - blank)
        kept.append(channel)
    powers = np.exp(np.array(increases) - max(increases))
    weights = powers / powers.sum()
    return increases, sum(w * c.numpy() for w, c in zip(weights, kept, strict=True))
