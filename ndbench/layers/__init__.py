"""Layers to train with, in place of convolution and batch normalization."""

from ndbench.layers.channel import ChannelDeconv1d, ChannelDeconv2d, ChannelDeconv3d
from ndbench.layers.conversion import convert
from ndbench.layers.convolution import Deconv2d
from ndbench.layers.folding import fold
from ndbench.layers.linear import DeconvLinear
from ndbench.layers.sync import convert_sync

__all__ = [
    "ChannelDeconv1d",
    "ChannelDeconv2d",
    "ChannelDeconv3d",
    "Deconv2d",
    "DeconvLinear",
    "convert",
    "convert_sync",
    "fold",
]
