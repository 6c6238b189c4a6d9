"""One training step of CAT-Seg and HyperCLIP beside the recorded loss and gradients of their released code."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from tests.parity.models import build, conversion, read_config, record, released_weights

SIZE = 384
# Relative noise of the recorded float32 gradients: those of CAT-Seg are up to 9.2e-4 away from ours in float64.
NOISE = {'hyperclip': 3e-4, 'catseg': 1e-3}
CROP = 64  # pixels of the upper left corner, each of which becomes a square


@pytest.fixture(scope='module', params=['hyperclip', 'catseg'])
def step(request, parity_folder, repository, tmp_path_factory):
    """The record, with the model after the backward pass and its loss."""
    kind = request.param
    numbers, written = record(parity_folder, f'{kind}_record')
    classes = [words.split(',')[0] for words in written['classes']]
    cfg = read_config(repository, kind, tmp_path_factory.mktemp(kind), classes)
    model = build(cfg, released_weights(parity_folder, kind)).train()
    inputs, samples = [], []
    for number in (0, 1):
        crop = numbers[f'picture{number}.image'][:CROP, :CROP].flip(2)  # blue, green, red
        inputs.append(enlarged(crop.permute(2, 0, 1), SIZE // CROP))
        labels = enlarged(numbers['train.targets24'][number][None], SIZE // 24).long()
        meta = dict(ori_shape=(SIZE, SIZE), img_shape=(SIZE, SIZE))
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=meta))
    batch = model.data_preprocessor(dict(inputs=inputs, data_samples=samples), training=True)
    losses = model(**batch, mode='loss')
    losses['decode.loss_multilabel'].backward()
    return kind, numbers, model, losses


def enlarged(maps, factor):
    return maps.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


def gradients(model, kind):
    """Gradients under released names, where none is zero for every parameter without."""
    own = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()}
    split = kind == 'catseg'
    found = conversion.to_released(conversion.weights_of(own), split_projections=split)
    # The names of the scaling are those of matrices, of which the parameter is the difference to the unit matrix.
    zeros = {name: torch.zeros_like(value) for name, value in own.items()}
    constant = conversion.to_released(conversion.weights_of(zeros), split_projections=split)
    return {name: value - constant[name] for name, value in found.items()}


def test_ignored_pixels_are_negatives_in_the_loss(step):
    _, numbers, _, losses = step
    torch.testing.assert_close(losses['decode.loss_multilabel'], numbers['train.loss'], rtol=1e-6, atol=1e-7)


def test_the_recorded_gradients(step):
    kind, numbers, model, _ = step
    found = gradients(model, kind)
    for key in [key for key in numbers if key.startswith('train.grad.')]:
        expected = numbers[key]
        ours = found[key.removeprefix('train.grad.')].view(expected.shape)
        assert (ours - expected).norm() <= NOISE[kind] * expected.norm(), key


def test_the_same_parameters_train_with_the_same_gradient_norms(step):
    kind, numbers, model, _ = step
    found = gradients(model, kind)
    recorded = {k.removeprefix('train.grad_norm.'): v for k, v in numbers.items() if k.startswith('train.grad_norm.')}
    for name, norm in recorded.items():
        torch.testing.assert_close(found[name].norm(), norm, rtol=NOISE[kind], atol=1e-9)
    trained = {name for name, gradient in found.items() if gradient.any()}
    assert trained == {name for name, norm in recorded.items() if norm > 0}
    total = torch.stack([gradient.norm() for gradient in found.values()]).norm()
    torch.testing.assert_close(total, numbers['train.total_norm'], rtol=NOISE[kind], atol=0)
