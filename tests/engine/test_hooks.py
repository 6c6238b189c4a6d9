import math

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from hyperbolic_seg.engine import MemoryFormatHook, TimeBudgetHook, TimedCheckpointHook
from hyperbolic_seg.engine.hooks import time_budget_hook
from hyperbolic_seg.engine.progress import ConciseRunner


def test_weights_are_laid_out_channels_last():
    class Runner:
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))

    inputs = torch.randn(2, 3, 9, 9)
    Runner.model.eval()
    before = Runner.model(inputs)
    MemoryFormatHook().before_run(Runner)
    assert Runner.model[0].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(Runner.model(inputs), before)


class Clocked(BaseModel):
    """A model whose training step takes a second by its clock, and is killed at a given second."""

    def __init__(self, killed_at=math.inf):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.now, self.killed_at, self.rates = 0.0, killed_at, {}

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.layer(torch.stack(inputs)).square().mean())

    def train_step(self, data, optim_wrapper):
        losses = super().train_step(data, optim_wrapper)
        if self.now == self.killed_at:
            raise KeyboardInterrupt
        self.rates[self.now] = optim_wrapper.get_lr()['lr'][0]
        self.now += 1
        return losses


def train(folder, monkeypatch, *, killed_at=math.inf, clock=0.0, resume=False, runner=Runner, **changes):
    """Train for 20 seconds of the clock of a model; return the model."""
    model = Clocked(killed_at)
    model.now = clock
    monkeypatch.setattr(time_budget_hook, 'monotonic', lambda: model.now)
    options = dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=10**6),
        custom_hooks=[dict(type='TimeBudgetHook', seconds=20, warm_up=0.2)],
        default_hooks=dict(checkpoint=dict(type='TimedCheckpointHook', seconds=4)),
        experiment_name=f'{folder.name}_{killed_at}_{resume}_{len(changes)}',
    )
    dataset = [dict(inputs=torch.tensor([1.0, 0.1 * number])) for number in range(8)]
    runner(
        model,
        str(folder),
        train_dataloader=dict(dataset=dataset, batch_size=2, sampler=dict(type='InfiniteSampler', shuffle=True)),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9)),
        resume=resume,
        default_scope='mmseg',
        randomness=dict(seed=3),
        **options | changes,
    ).train()
    return model


def test_a_training_ends_with_its_time_and_its_schedule(tmp_path, monkeypatch, capsys):
    rates = train(tmp_path, monkeypatch, runner=ConciseRunner).rates
    assert list(rates) == list(range(20))
    shares = [second / 20 for second in range(20)]
    expected = [0.5 * min(share / 0.2, 1) * (1 + math.cos(math.pi * share)) / 2 for share in shares]
    torch.testing.assert_close(list(rates.values()), expected)
    assert {path.name for path in tmp_path.glob('*.pth')} == {'iter_16.pth', 'iter_20.pth'}
    printed = capsys.readouterr().out
    assert 'training, minutes: 0.3' in printed and 'iteration 20: loss' in printed and '1000000' not in printed


def test_a_killed_training_resumes_in_the_middle_of_its_schedule(tmp_path, monkeypatch):
    whole = train(tmp_path / 'whole', monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / 'killed', monkeypatch, killed_at=14)
    # The last checkpoint is of second 12; the clock of another process starts anywhere.
    resumed = train(tmp_path / 'killed', monkeypatch, clock=500.0, resume=True)
    assert list(resumed.rates) == [500.0 + i for i in range(8)]
    torch.testing.assert_close(list(resumed.rates.values()), list(whole.rates.values())[12:])
    torch.testing.assert_close(resumed.layer.weight, whole.layer.weight)
    assert not train(tmp_path / 'killed', monkeypatch, clock=900.0, resume=True, log_level='WARNING').rates  # is done


@pytest.mark.parametrize(
    'changes, error, message',
    [
        (dict(train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=1)), TypeError, 'EpochBasedTrainLoop: expected'),
        (dict(param_scheduler=dict(type='ConstantLR', by_epoch=False)), ValueError, 'param_scheduler=None'),
    ],
)
def test_a_config_with_another_end_or_schedule_is_refused(tmp_path, monkeypatch, changes, error, message):
    with pytest.raises(error, match=message):
        train(tmp_path, monkeypatch, **changes)


def test_options_of_time_are_checked():
    with pytest.raises(ValueError, match='seconds=0'):
        TimeBudgetHook(0)
    with pytest.raises(ValueError, match='warm_up=2'):
        TimeBudgetHook(5, warm_up=2)
    with pytest.raises(ValueError, match='max_keep_ckpts=1 leaves no checkpoint'):
        TimedCheckpointHook(60, max_keep_ckpts=1)
