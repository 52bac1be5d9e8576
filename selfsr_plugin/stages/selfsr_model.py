"""Both stages in one run."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from os import path as osp
from typing import Any, ClassVar

from basicsr.models.base_model import BaseModel
from basicsr.utils import get_root_logger
from torch import nn

from ..engine.checkpoint import weights_path
from ..engine.stage import Stage, warn_of_other_loop
from ..engine.stage_options import StageOptions
from ..engine.validation import Evaluation
from ..errors import UserError
from ..schema import Section, option
from .cyclegan_degradation_model import CycleGANDegradationModel
from .flow_degradation_model import FlowDegradationModel
from .selfcond_sr_model import SelfCondSRModel, SelfCondSROptions

STAGE1_MODELS: dict[str, type[Stage]] = {
    model.__name__: model for model in (FlowDegradationModel, CycleGANDegradationModel)
}
DEFAULT_STAGE1 = FlowDegradationModel.__name__  # the method of the paper


@dataclass(kw_only=True)
class SelFSROptions(Section):
    """The section ``train`` of SelFSRModel."""

    tested = SelfCondSROptions.tested

    total_iter: int = option('number of iterations of both stages', least=1, source='paper', unit='iterations')
    degradation: StageOptions = option(
        'options of stage 1, and model_type',
        selector='model_type',
        variants=lambda: {name: model.options_class for name, model in STAGE1_MODELS.items()},
    )
    sr: SelfCondSROptions = option('options of stage 2')

    def check(self, key: str) -> None:
        total = self.degradation.total_iter + self.sr.total_iter
        if self.total_iter != total:
            raise UserError(f'{key}.total_iter: {self.total_iter} must be the sum of the two stages, {total}.')

    @classmethod
    def networks_of(cls, section: Any) -> Mapping[str, str]:
        """The networks that an option file may describe: those of the stage 1 that is chosen, and of stage 2."""
        stage1 = section.get('degradation') if isinstance(section, dict) else None
        name = stage1.get('model_type', DEFAULT_STAGE1) if isinstance(stage1, dict) else DEFAULT_STAGE1
        models = [
            model for each, model in STAGE1_MODELS.items() if each == name
        ] or STAGE1_MODELS.values()  # or a wrong name
        return {
            **SelfCondSROptions.networks,
            **{label: what for model in models for label, what in model.options_class.networks.items()},
        }

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        """Compare with the other sections of the option file; see :class:`StageOptions`."""
        self.degradation.check_run(opt, f'{key}.degradation')
        self.sr.check_run(opt, f'{key}.sr')


class SelFSRModel(BaseModel):
    """Runs a model of stage 1 and then SelfCondSRModel, as two option files one after the other would.

    ``train.degradation`` and ``train.sr`` hold what ``train`` holds in the option files of the single stages;
    ``train.total_iter`` is the sum of theirs. ``train.degradation.model_type`` names the model of stage 1,
    FlowDegradationModel by default. Iterations count through: stage 2 begins at ``train.degradation.total_iter + 1``.
    When stage 1 ends, its network is written to ``net_deg_<iter>.pth`` and frozen; its other networks are dropped.
    """

    options_class = SelFSROptions
    stage1_models: ClassVar[Mapping[str, type[Stage]]] = STAGE1_MODELS  # by model_type; the first is the default
    stage2_model: ClassVar[type[Stage]] = SelfCondSRModel

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.stage: Stage | None = None
        self.stage1_iter = opt['train']['degradation']['total_iter'] if self.is_train else 0
        if not self.is_train:
            self.stage = self.stage2_model(opt)
        else:
            warn_of_other_loop(opt)
            # What is wrong with stage 2 must show now, not after days of stage 1; it goes when training begins.
            self._rehearsed: Stage | None = self.stage2_model(self._stage_options('sr'), net_deg=self._stand_in())
            self._enter_stage(1)

    def _stand_in(self) -> nn.Module:
        """What stage 2 is tried with before stage 1 has learnt anything."""
        return nn.Identity()

    def _enter_stage(self, current_iter: int) -> None:
        """Build the stage that iteration ``current_iter`` belongs to, unless it is the running one."""
        if current_iter <= self.stage1_iter:
            if self.stage is None:
                get_root_logger().info('Stage 1: domain adaptive degradation.')
                name = self.opt['train']['degradation'].get('model_type', next(iter(self.stage1_models)))
                model = self.stage1_models[name]
                self.stage = model(self._stage_options('degradation'))
            return
        if isinstance(self.stage, self.stage2_model):
            return
        opt = self._stage_options('sr')
        if self.stage is None:  # resumed in stage 2
            opt['path']['pretrain_network_deg'] = weights_path(opt, 'deg', self.stage1_iter)
            net_deg = None
        else:
            net_deg = self.stage.net_deg
            self.stage.updater.check()
            if self.opt['rank'] == 0:
                self.stage.save_weights('deg', self.stage.weights_to_save('deg'), self.stage1_iter)
        get_root_logger().info(f'Stage 2: super-resolution, from iteration {self.stage1_iter + 1}.')
        self.stage = self.stage2_model(opt, net_deg)
        self.stage.iterations_before = self.stage1_iter
        self.stage.needed_weights = {osp.basename(weights_path(opt, 'deg', self.stage1_iter))}

    def _stage_options(self, name: str) -> dict[str, Any]:
        opt = deepcopy(self.opt)
        opt['train'] = {key: value for key, value in opt['train'][name].items() if key != 'model_type'}
        return opt

    def _stage_iter(self, current_iter: int) -> int:
        return current_iter if current_iter <= self.stage1_iter else current_iter - self.stage1_iter

    def update_learning_rate(self, current_iter: int, warmup_iter: int | None = None) -> None:
        """First call of every iteration; the stage changes here."""
        self._rehearsed = None
        self._enter_stage(current_iter)
        self.stage.update_learning_rate(self._stage_iter(current_iter))

    def feed_data(self, data: dict[str, Any]) -> None:
        self.stage.feed_data(data)

    def optimize_parameters(self, current_iter: int) -> None:
        self.stage.optimize_parameters(self._stage_iter(current_iter))

    def rehearse(self, current_iter: int, data: dict[str, Any]) -> None:
        """See :meth:`Stage.rehearse`; before the first iteration, and of stage 2 as well."""
        later = current_iter > self.stage1_iter and not isinstance(self.stage, self.stage2_model)
        (self._rehearsed if later else self.stage).rehearse(self._stage_iter(current_iter), data)

    @property
    def gan_type(self) -> str | None:
        return self.stage.gan_type

    def get_current_learning_rate(self) -> list[float]:
        return self.stage.get_current_learning_rate()

    def get_current_log(self) -> dict[str, float]:
        return self.stage.get_current_log()

    def save(self, epoch: int, current_iter: int) -> None:
        self.stage.save(epoch, current_iter)

    @property
    def needed_weights(self) -> set[str]:
        return self.stage.needed_weights

    def check_processes_agree(self) -> None:
        self.stage.check_processes_agree()

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        self.stage = None
        self._enter_stage(resume_state['iter'])
        self.stage.resume_training(resume_state)

    @property
    def needs(self) -> str:
        return self.stage.needs

    def evaluate(self, data: dict[str, Any]) -> Evaluation:
        return self.stage.evaluate(data)

    def validation(self, dataloader: Any, current_iter: int | str, tb_logger: Any, save_img: bool = False) -> list[str]:
        return self.stage.validation(dataloader, current_iter, tb_logger, save_img)
