"""What this package puts into the registries of BasicSR and spandrel; the one file that does.

Only names go in. The class or function behind a name is imported when somebody looks it up, so that ``import basicsr``
costs with this package what it costs without, and a process that uses nothing of ours never runs our code.
"""

import importlib
import sys
from collections import UserDict
from typing import Any, NamedTuple

# Registry of basicsr.utils.registry -> name -> the module of this package that defines it.
ENTRIES: dict[str, dict[str, str]] = {
    'ARCH_REGISTRY': {
        'CycleGANDownscaler': 'baselines.archs.cyclegan_scaling_arch',
        'CycleGANGenerator': 'archs.cyclegan_generator_arch',
        'CycleGANUpscaler': 'baselines.archs.cyclegan_scaling_arch',
        'DeepDeblur': 'baselines.archs.deepdeblur_arch',
        'DIC': 'baselines.archs.dic_arch',
        'DomainDiscriminator': 'archs.domain_discriminator_arch',
        'FeedbackHourglass': 'baselines.archs.dic_arch',
        'FlowDegradationNet': 'archs.flow_degradation_arch',
        'FSRNet': 'baselines.archs.fsrnet_arch',
        'HighToLow': 'baselines.archs.bulat_arch',
        'LightCNNDiscriminator': 'baselines.archs.light_cnn_arch',
        'LowToHigh': 'baselines.archs.bulat_arch',
        'NLayerDiscriminator': 'baselines.archs.pseudo_supervision_arch',
        'PFSRDiscriminator': 'baselines.archs.pfsr_arch',
        'PFSRNet': 'baselines.archs.pfsr_arch',
        'ProgressiveDiscriminator': 'archs.progressive_discriminator_arch',
        'RDN': 'baselines.archs.rdn_arch',
        'SelfCondSRNet': 'archs.selfcond_sr_arch',
        'SNDiscriminator': 'baselines.archs.bulat_arch',
        'SRGANDiscriminator': 'baselines.archs.srgan_arch',
        'SRResNet': 'baselines.archs.srgan_arch',
        'TransferNet': 'baselines.archs.pseudo_supervision_arch',
        'WaveletSRNet': 'baselines.archs.wavelet_srnet_arch',
    },
    'DATASET_REGISTRY': {
        'FacePriorDataset': 'baselines.data.face_prior_dataset',
        'HRFaceDataset': 'data.hr_face_dataset',
        'LRFaceDataset': 'data.lr_face_dataset',
        'PairedFaceDataset': 'data.paired_face_dataset',
        'UnpairedFaceDataset': 'data.unpaired_face_dataset',
    },
    'LOSS_REGISTRY': {'FlowTVLoss': 'losses.flow_tv_loss'},
    'METRIC_REGISTRY': {
        'calculate_blur': 'metrics.blur_metric',
        'calculate_fid': 'metrics.fid_metric',
        'calculate_frechet_alex': 'metrics.frechet_alex_metric',
        'calculate_identity': 'metrics.identity_metric',
        'calculate_lpips': 'metrics.lpips_metric',
    },
    'MODEL_REGISTRY': {
        'BulatModel': 'baselines.models.bulat_model',
        'CycleGANDegradationModel': 'stages.cyclegan_degradation_model',
        'CycleGANSRModel': 'baselines.models.cyclegan_sr_model',
        'DICModel': 'baselines.models.dic_model',
        'DeepDeblurModel': 'baselines.models.deep_deblur_model',
        'FSRNetModel': 'baselines.models.fsrnet_model',
        'FlowDegradationModel': 'stages.flow_degradation_model',
        'HighToLowModel': 'baselines.models.bulat_model',
        'HourglassModel': 'baselines.models.dic_model',
        'LowToHighModel': 'baselines.models.bulat_model',
        'PFSRModel': 'baselines.models.pfsr_model',
        'PseudoSupervisionModel': 'baselines.models.pseudo_supervision_model',
        'SelFSRModel': 'stages.selfsr_model',
        'SelfCondSRModel': 'stages.selfcond_sr_model',
        'SupervisedSRModel': 'baselines.models.supervised_sr_model',
        'WaveletSRModel': 'baselines.models.wavelet_sr_model',
    },
}


class Ours(NamedTuple):
    """An entry of ours that nobody has looked up: the full name of the module that defines it."""

    module: str


class Entries(UserDict):
    """The names of a registry; a name of ours is imported when it is looked up, by ``[]``, ``get`` or iteration."""

    def __getitem__(self, name: str) -> Any:
        entry = super().__getitem__(name)
        return getattr(importlib.import_module(entry.module), name) if isinstance(entry, Ours) else entry

    def is_ours(self, name: str) -> bool:
        """Whether ``name`` stands for something of this package; says it without importing that."""
        return isinstance(self.data.get(name), Ours)


def register() -> None:
    """Put our names into the registries of BasicSR, which must have been imported. A second call does nothing."""
    registries = sys.modules['basicsr.utils.registry']
    for name, modules in ENTRIES.items():
        registry = getattr(registries, name)
        if isinstance(registry._obj_map, Entries):
            continue
        entries = Entries(registry._obj_map)
        for key, module in modules.items():
            entries.setdefault(key, Ours(f'{__package__}.{module}'))  # a name that is taken stays what it was
        registry._obj_map = entries
        registry._do_register = _register_over_ours(registry)


def _register_over_ours(registry: Any) -> Any:
    """``registry``'s own ``_do_register``, which lets other projects have a name of ours.

    A name may be registered once only, and a project that has a ``calculate_lpips`` of its own must not fail because
    this package is installed beside it.
    """
    do_register = type(registry)._do_register

    def register_over_ours(name: str, obj: Any, suffix: str | None = None) -> None:
        full_name = f'{name}_{suffix}' if isinstance(suffix, str) else name
        if registry._obj_map.is_ours(full_name):
            del registry._obj_map[full_name]
        do_register(registry, name, obj, suffix)

    return register_over_ours


def register_in_spandrel() -> None:
    """Let spandrel, which must have been imported, load our generator. A second call does nothing."""
    importlib.import_module(f'{__package__}.spandrel')  # where that is what imports spandrel, it goes on afterwards


def is_registered(registry: str, name: Any) -> bool:
    """Whether ``registry`` ('MODEL_REGISTRY', ...) has an entry of that name, anybody's."""
    return isinstance(name, str) and name in _entries(registry)


def is_ours(registry: str, name: Any) -> bool:
    """Whether ``name`` in ``registry`` is one of this package's classes or functions.

    Classes that derive from them count, wherever they are defined: a ``class MyModel(SelfCondSRModel)`` is trained as
    ours are. Nothing of ours is imported to find out.
    """
    found = _entries(registry)
    return is_registered(registry, name) and (found.is_ours(name) or base_of_ours(registry, found[name]) is not None)


def _entries(registry: str) -> Entries:
    return getattr(sys.modules['basicsr.utils.registry'], registry)._obj_map


def base_of_ours(registry: str, cls: Any) -> str | None:
    """The name of our class that ``cls`` is or derives from; None if there is none, or ``cls`` is a function."""
    for base in getattr(cls, '__mro__', ()):
        module = ENTRIES[registry].get(base.__name__)
        if module is not None and base.__module__ == f'{__package__}.{module}':
            return base.__name__
    return None


def uses_plugin(opt: Any) -> bool:
    """Whether any ``type`` or ``model_type`` in the options is the name of a class or function of this package."""
    if isinstance(opt, dict):
        return any(
            (
                key in ('type', 'model_type')
                and isinstance(value, str)
                and any(value in names for names in ENTRIES.values())
            )
            or uses_plugin(value)
            for key, value in opt.items()
        )
    return isinstance(opt, list) and any(uses_plugin(value) for value in opt)
