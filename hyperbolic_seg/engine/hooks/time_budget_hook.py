"""Trainings that end after a given time, with a schedule that is finished by then."""

import math
from time import monotonic
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS

from hyperbolic_seg.options import check_number

__all__ = ['TimeBudgetHook', 'TimedCheckpointHook']


@HOOKS.register_module()
class TimeBudgetHook(Hook):
    """Ends a training after a time; by then the learning rate has fallen to zero.

    So a training takes as long as it may, however fast the machine is, and its schedule is always a whole one. The
    learning rate is the optimizer's, times a linear warm-up and half a cosine of the share of the time that has
    passed. The time is saved with every checkpoint: a training that is resumed has the time left that the checkpoint
    had, and goes on with its learning rate.

    It trains in one process, as the clocks of several differ. The config has
    ``train_cfg=dict(type='IterBasedTrainLoop', max_iters=...)`` with more iterations than can be done, an
    ``InfiniteSampler``, and no ``param_scheduler``.

    Args:
        seconds: Time of the training, from the first iteration on.
        warm_up: Share of the time in which the learning rate rises.

    Raises:
        TypeError: An option is not a number.
        ValueError: The time is not positive, or ``warm_up`` is no share.
    """

    def __init__(self, seconds: float, warm_up: float = 0.02) -> None:
        check_number('seconds', seconds, above=0)
        check_number('warm_up', warm_up, least=0, most=1)
        self.seconds, self.warm_up = seconds, warm_up
        self._start = 0.0

    def factor(self, share: float) -> float:
        """Return the factor of the learning rate after a share of the time, from 0 to 1."""
        rise = min(share / self.warm_up, 1.0) if self.warm_up else 1.0
        return rise * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))

    def before_train(self, runner: Runner) -> None:
        """Start the clock, at the time that a resumed training has used.

        Raises:
            TypeError: The loop counts epochs, so it ends at the end of an epoch only.
            ValueError: The config has a schedule of its own, or there are several processes.
        """
        if get_world_size() > 1:
            raise ValueError(f'TimeBudgetHook trains in one process, as clocks differ, got {get_world_size()}')
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            raise TypeError(
                f'TimeBudgetHook ends a training within an epoch, train_cfg.type is {type(runner.train_loop).__name__}:'
                " expected 'IterBasedTrainLoop', with an InfiniteSampler"
            )
        if runner.param_schedulers:
            raise ValueError('TimeBudgetHook sets the learning rate: expected a config with param_scheduler=None')
        for group in runner.optim_wrapper.param_groups:
            group.setdefault('initial_lr', group['lr'])
        used = runner.message_hub.runtime_info.get('seconds_used', 0.0)
        self._start = monotonic() - used
        runner.message_hub.update_info('time_budget', self.seconds)
        runner.train_loop.stop_training = used >= self.seconds

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the learning rate."""
        factor = self.factor((monotonic() - self._start) / self.seconds)
        for group in runner.optim_wrapper.param_groups:
            group['lr'] = group['initial_lr'] * factor

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Note the time, and end the training when it is used up."""
        used = monotonic() - self._start
        runner.message_hub.update_info('seconds_used', used)
        runner.message_hub.update_info('eta', max(self.seconds - used, 0.0))  # MMEngine's counts iterations
        runner.train_loop.stop_training = used >= self.seconds


@HOOKS.register_module()
class TimedCheckpointHook(CheckpointHook):
    """Writes a checkpoint every so many seconds, and one when :class:`TimeBudgetHook` ends the training.

    Args:
        seconds: Time between checkpoints.
        max_keep_ckpts: Number of checkpoints to keep. MMEngine deletes the oldest before it writes the next, so with
            one a kill at that moment would leave none.
        **kwargs: Arguments of :class:`mmengine.hooks.CheckpointHook`, except ``interval`` and ``by_epoch``.

    Raises:
        TypeError: An option is not a number.
        ValueError: ``seconds`` is not positive, or ``max_keep_ckpts`` is one.
    """

    def __init__(self, seconds: float = 60.0, *, max_keep_ckpts: int = 2, **kwargs: Any) -> None:
        check_number('seconds', seconds, above=0)
        if max_keep_ckpts == 1:
            raise ValueError('max_keep_ckpts=1 leaves no checkpoint while one is written: expected 2 or more, or -1')
        super().__init__(interval=1, by_epoch=False, max_keep_ckpts=max_keep_ckpts, **kwargs)
        self.seconds = seconds
        self._due = 0.0

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        super().before_train(runner)
        self._due = monotonic() + self.seconds

    def every_n_train_iters(self, runner: Runner, n: int, start: int = 0) -> bool:
        """Return whether a checkpoint is due after this iteration; MMEngine counts iterations here."""
        if not runner.train_loop.stop_training and monotonic() < self._due:
            return False
        self._due = monotonic() + self.seconds
        return True
