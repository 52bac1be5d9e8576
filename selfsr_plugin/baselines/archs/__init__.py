"""Networks of the baselines: tensors in, tensors out, no BasicSR."""

from .bulat_arch import HighToLow, LowToHigh, SNDiscriminator
from .cyclegan_scaling_arch import CycleGANDownscaler, CycleGANUpscaler
from .deepdeblur_arch import DeepDeblur, DeepDeblurParts
from .dic_arch import DIC, DICParts, FeedbackHourglass, HourglassParts
from .fsrnet_arch import FSRNet, FSRNetParts
from .light_cnn_arch import LightCNNDiscriminator
from .pfsr_arch import PFSRDiscriminator, PFSRNet
from .pseudo_supervision_arch import NLayerDiscriminator, TransferNet
from .rdn_arch import RDN
from .srgan_arch import SRGANDiscriminator, SRResNet
from .wavelet_packets import haar_packets, inverse_haar_packets
from .wavelet_srnet_arch import WaveletParts, WaveletSRNet

__all__ = [
    'CycleGANDownscaler',
    'CycleGANUpscaler',
    'DIC',
    'DICParts',
    'DeepDeblur',
    'DeepDeblurParts',
    'FSRNet',
    'FSRNetParts',
    'FeedbackHourglass',
    'HighToLow',
    'HourglassParts',
    'LightCNNDiscriminator',
    'LowToHigh',
    'NLayerDiscriminator',
    'PFSRDiscriminator',
    'PFSRNet',
    'RDN',
    'SNDiscriminator',
    'SRGANDiscriminator',
    'SRResNet',
    'TransferNet',
    'WaveletParts',
    'WaveletSRNet',
    'haar_packets',
    'inverse_haar_packets',
]
