"""Training: stage 1, stage 2, and both in one run."""

from .cyclegan_degradation_model import CycleGANDegradationModel
from .flow_degradation_model import FlowDegradationModel
from .selfcond_sr_model import SelfCondSRModel
from .selfsr_model import SelFSRModel

__all__ = ['CycleGANDegradationModel', 'FlowDegradationModel', 'SelfCondSRModel', 'SelFSRModel']
