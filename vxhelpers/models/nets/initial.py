"""Random initialisation shared by our own networks."""

from torch import nn


def he(net: nn.Sequential) -> nn.Sequential:
    """Draw all convolution kernels anew so that signals keep their size through ReLUs.

    He et al. 2015, section 2.2 (fan-out form); PyTorch's default shrinks them layer by layer, so
    that a deep net without fitted normalisation says the same of every clip.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net
