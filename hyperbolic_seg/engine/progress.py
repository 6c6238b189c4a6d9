"""A Runner that prints the progress of a training in a few lines; its log file holds everything."""

import logging
from datetime import timedelta
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, FlexibleRunner, Runner

__all__ = ['ConciseFlexibleRunner', 'ConciseRunner', 'ProgressHook']

_UNHELPFUL = ('The prefix is not set in metric class', '"FileClient" will be', '"HardDiskBackend" is the alias')
"""Beginnings of MMEngine's warnings about itself, which no user can act on."""


class ConciseRunner(Runner):
    """A :class:`mmengine.runner.Runner` that prints progress and warnings alone.

    MMEngine's console log of a training starts with about a thousand lines on the environment, the config and the
    hooks. Here they go to the log file only; :class:`ProgressHook` prints the progress.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_hook(ProgressHook(), priority='VERY_LOW')  # after the hooks whose figures it prints

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger, and limit its console output to warnings and errors."""
        return _quieted(super().build_logger(*args, **kwargs))


class ConciseFlexibleRunner(FlexibleRunner):
    """A :class:`mmengine.runner.FlexibleRunner` that prints what :class:`ConciseRunner` does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_hook(ProgressHook(), priority='VERY_LOW')  # after the hooks whose figures it prints

    def build_strategy(self, *args: Any, **kwargs: Any) -> Any:
        """Build the strategy, and limit the console output of its logger to warnings and errors."""
        strategy = super().build_strategy(*args, **kwargs)
        _quieted(strategy.logger)
        return strategy


class ProgressHook(Hook):
    """Prints iterations with the loss, the results of validation and test, and the paths of all files."""

    def __init__(self) -> None:
        self._metrics: dict[str, float] = {}

    def before_train(self, runner: Runner) -> None:
        """Print the length of the training and its log file."""
        loop = runner.train_loop
        length = f'epochs: {loop.max_epochs}' if _counts_epochs(runner) else f'iterations: {loop.max_iters}'
        if seconds := runner.message_hub.runtime_info.get('time_budget'):
            length = f'minutes: {seconds / 60:.1f}'
        _print(f'training, {length}; log: {runner.logger.log_file}')
        if runner.iter:
            _print(f'resumed after iteration {runner.iter}, epoch {runner.epoch}')

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Print a line as often as the LoggerHook of the config logs one."""
        interval = next((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), 50)
        per_epoch = len(runner.train_dataloader)
        counts_epochs = _counts_epochs(runner)
        done = batch_idx + 1 if counts_epochs else runner.iter + 1
        is_timed = 'time_budget' in runner.message_hub.runtime_info
        is_last = done == (per_epoch if counts_epochs else runner.max_iters) or runner.train_loop.stop_training
        if done % interval and not is_last:
            return
        position = f'iteration {done}' if is_timed else f'iteration {done} of {runner.max_iters}'
        if counts_epochs:
            position = f'epoch {runner.epoch + 1} of {runner.max_epochs}, iteration {done} of {per_epoch}'
        loss = runner.message_hub.get_scalar('train/loss').mean(interval)
        _print(f'{position}: loss {loss:.4f}{_remaining(runner)}')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Print the summary; the classes follow at the end of the training."""
        self._metrics = metrics or {}
        step = f'epoch {runner.epoch}' if _counts_epochs(runner) else f'iteration {runner.iter}'
        _print(f'validation after {step}: {_summary(self._metrics)}')

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Print the summary and the IoU of every class."""
        _print(f'test: {_summary(metrics or {})}')
        _print_classes(metrics or {})
        _print(f'log: {runner.logger.log_file}')

    def after_train(self, runner: Runner) -> None:
        """Print the IoU of every class and the paths of the results."""
        _print_classes(self._metrics)
        best = runner.message_hub.runtime_info.get('best_ckpt')
        if best:
            _print(f'best checkpoint: {best}')
        _print(f'checkpoints, log and figures: {runner.work_dir}')


def _quieted(logger: MMLogger) -> MMLogger:
    """Limit the console output of a logger to warnings and errors."""
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:  # a FileHandler is a subclass
            handler.setLevel(max(handler.level, logging.WARNING))
            handler.addFilter(_is_helpful)
    return logger


def _is_helpful(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_UNHELPFUL)


@master_only
def _print(line: str) -> None:
    print(line, flush=True)


def _counts_epochs(runner: Runner) -> bool:
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def _remaining(runner: Runner) -> str:
    """Return the estimated time to the end of the training, in words."""
    seconds = runner.message_hub.runtime_info.get('eta')
    return '' if seconds is None else f', {timedelta(seconds=int(seconds))} remaining'


def _summary(metrics: dict[str, float]) -> str:
    """Return the first of the usual figures, in percent."""
    names = [name for name in ('mIoU', 'mAcc', 'aAcc') if name in metrics]
    return ', '.join(f'{name} {metrics[name]:.2f}' for name in names) or 'see the log'


def _print_classes(metrics: dict[str, float]) -> None:
    """Print the IoU of every class that occurs, as VocabularyIoUMetric reports it."""
    found = {name.removeprefix('IoU/'): value for name, value in metrics.items() if name.startswith('IoU/')}
    if not found:
        return
    width = max(map(len, found))
    _print('IoU by class, percent:')
    for name, value in found.items():
        _print(f'  {name:<{width}}  {value:6.2f}')
