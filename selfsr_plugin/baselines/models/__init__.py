"""Training of the methods compared with."""

from .bulat_model import BulatModel, HighToLowModel, LowToHighModel
from .cyclegan_sr_model import CycleGANSRModel
from .deep_deblur_model import DeepDeblurModel
from .dic_model import DICModel, HourglassModel
from .fsrnet_model import FSRNetModel
from .pfsr_model import PFSRModel
from .pseudo_supervision_model import PseudoSupervisionModel
from .supervised_sr_model import SupervisedSRModel
from .wavelet_sr_model import WaveletSRModel

__all__ = [
    'BulatModel',
    'CycleGANSRModel',
    'DICModel',
    'DeepDeblurModel',
    'FSRNetModel',
    'HighToLowModel',
    'HourglassModel',
    'LowToHighModel',
    'PFSRModel',
    'PseudoSupervisionModel',
    'SupervisedSRModel',
    'WaveletSRModel',
]
