"""SelfCondSRNet in spandrel, through which chaiNNer, ComfyUI and others load networks.

Importing this module registers the network in ``spandrel.MAIN_REGISTRY``; the start-up hook does it at ``import
spandrel``. From then on ``spandrel.ModelLoader`` loads our files: ``net_g_*.pth``, bare weights, ``.safetensors``.
"""

from spandrel import MAIN_REGISTRY, Architecture, ArchSupport, ImageModelDescriptor, ModelTiling, StateDict
from spandrel.util import KeyCondition

from .archs import SelfCondSRNet
from .loading import selfcond_sr_arguments


class SelfCondSRNetArch(Architecture[SelfCondSRNet]):
    """How spandrel recognises a SelfCondSRNet and builds it from its weights alone.

    spandrel hands over the weights and nothing else of a file, so that a network that was saved below its last level
    runs through all levels: ``python -m selfsr_plugin.convert`` leaves out those that have not been trained.
    """

    def __init__(self) -> None:
        super().__init__(
            id='SelfCondSRNet',
            name='SelFSR',
            detect=KeyCondition.has_all(
                'stem.weight',
                'levels.0.conv.weight',
                'levels.0.blocks.0.conv1.weight',
                'levels.0.blocks.0.conv2.weight',
                'levels.0.to_rgb.weight',
            ),
        )

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[SelfCondSRNet]:
        """The network with these weights, in float32; it gives images clamped to [0, 1], as all of spandrel's do."""
        arguments = selfcond_sr_arguments(state_dict)
        net = SelfCondSRNet(**arguments)
        return ImageModelDescriptor(
            net,
            state_dict,
            architecture=self,
            # Not 'FaceSR': programs take that for a network of aligned faces of 512x512, as GFPGAN is.
            purpose='SR',
            tags=[f'{"-".join(map(str, arguments["widths"]))}w', f'{arguments["num_block"]}nb'],
            supports_half=True,
            supports_bfloat16=False,  # it runs, and errors of 8 bits add up to several grey levels
            scale=net.scale,
            input_channels=arguments['num_in_ch'],
            output_channels=arguments['num_out_ch'],
            tiling=ModelTiling.DISCOURAGED,  # features are normalised over the whole image
        )


MAIN_REGISTRY.add(ArchSupport.from_architecture(SelfCondSRNetArch()), ignore_duplicates=True)
