"""CAT-Seg and HyperCLIP beside recorded numbers of their released code, stage by stage."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmseg.structures import SegDataSample

from tests.parity.models import build, read_config, record, released_weights

WHOLE = 4  # the last of five views
CLIP = 'sem_seg_head.predictor.clip_model.'


def assert_near(found, expected, *, share):
    """Assert that the largest difference is at most a share of the largest value."""
    largest = float((found.double() - expected.double()).abs().max())
    assert largest <= share * float(expected.abs().max()), largest


def listed(classes):
    return [words.split(',')[0] for words in classes]  # the released code speaks the first word alone


@pytest.fixture(scope='module', params=['hyperclip', 'catseg'])
def case(request, parity_folder, repository, tmp_path_factory):
    """A kind of model with its record, its released weights and the model itself."""
    kind = request.param
    numbers, written = record(parity_folder, f'{kind}_record')
    weights = released_weights(parity_folder, kind)
    assert torch.equal(
        weights[f'{CLIP}token_embedding.weight'][numbers['token_rows.ids'].long()], numbers['token_rows']
    )
    folder = tmp_path_factory.mktemp(kind)
    cfg = read_config(repository, kind, folder, listed(written['classes']))
    return SimpleNamespace(
        kind=kind, numbers=numbers, written=written, weights=weights, cfg=cfg, folder=folder, model=build(cfg, weights)
    )


def prepared(case, number):
    """An image as the test pipeline of the config hands it to the model, with its meta information."""
    image = case.numbers[f'picture{number}.image'].numpy()[..., ::-1].copy()  # blue, green, red
    with DefaultScope.overwrite_default_scope('mmseg'):
        resize = Compose([step for step in case.cfg.test_dataloader.dataset.pipeline if step.type == 'Resize'])
    resized = resize(dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2]))['img']
    size = dict(ori_shape=image.shape[:2], img_shape=resized.shape[:2], pad_shape=resized.shape[:2])
    return resized, SegDataSample(metainfo=size)


def predict(case, number, model=None):
    resized, sample = prepared(case, number)
    batch = dict(inputs=[torch.from_numpy(resized.copy()).permute(2, 0, 1)], data_samples=[sample])
    with torch.no_grad():
        return (case.model if model is None else model).test_step(batch)[0]


@pytest.fixture(scope='module')
def stages(case):
    """Outputs of every stage for both images, with the five views along the batch, and the predictions."""
    return [_stages(case, number) for number in (0, 1)]


def _stages(case, number):
    model, found = case.model, {}
    aggregation = model.decode_head.aggregation
    blocks = model.backbone.visual.transformer.resblocks
    watched = dict(
        block3=blocks[3], block7=blocks[7], backbone=model.backbone, image=aggregation.image, text=aggregation.text,
        res4=aggregation.fine[0][0], res5=aggregation.fine[1][0], fine0=aggregation.fine[0], fine1=aggregation.fine[1],
        embed=aggregation.embed, spatial0=aggregation.spatial[0], spatial1=aggregation.spatial[1],
        classwise0=aggregation.classwise[0], classwise1=aggregation.classwise[1], up0=aggregation.up[0],
        logits=aggregation,
    )  # fmt: skip

    def keep(name):
        def hook(module, inputs, output):
            if name == 'backbone':
                found.setdefault('input', []).append(inputs[0])
                output = output[-1]
            elif name == 'embed':  # of all classes of all views
                output = output.unflatten(0, (-1, len(case.written['classes'])))
            elif name == 'logits':
                found.setdefault('cost', []).append(inputs[0])
            found.setdefault(name, []).append(output)

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in watched.items()]
    try:
        prediction = predict(case, number)
    finally:
        for handle in handles:
            handle.remove()
    return SimpleNamespace(prediction=prediction, **{name: torch.cat(values) for name, values in found.items()})


def places(tokens, step):
    """The class token and every step-th place of a grid, as recorded."""
    grid = tokens[1:].view(24, 24, -1)[::step, ::step].flatten(0, 1)
    return torch.cat([tokens[:1], grid])


def test_text_is_that_of_the_first_word_of_each_class(case):
    tokenizer = case.model.decode_head.text.tower.tokenizer
    (template,) = case.cfg.model.decode_head.text_encoder.templates
    prompts = [template.format(word) for word in listed(case.written['classes'])]
    assert torch.equal(tokenizer(prompts).int(), case.numbers['tokens'])
    with torch.no_grad():
        assert_near(case.model.decode_head.text_embeddings()[:, 0], case.numbers['text'], share=2e-5)


@pytest.mark.parametrize('number', [0, 1])
def test_the_input_is_resized_as_released(case, stages, number):
    resized, _ = prepared(case, number)
    assert list(resized.shape[:2]) == case.numbers[f'picture{number}.resized_size'].tolist()
    rgb = torch.from_numpy(resized[::7, ::7, ::-1].copy())
    assert torch.equal(rgb, case.numbers[f'picture{number}.resized.s7'])
    square = F.interpolate(
        torch.from_numpy(resized[..., ::-1].copy()).permute(2, 0, 1)[None].float(), size=(640, 640), mode='bilinear'
    )[0, :, ::16, ::16]
    assert (square - case.numbers[f'picture{number}.square.s16']).abs().max() < 2e-5  # levels of 0 to 255
    assert_near(stages[number].input[..., ::16, ::16], case.numbers[f'picture{number}.input.s16'], share=1e-6)


@pytest.mark.parametrize('number', [0, 1])
def test_the_vision_tower(case, stages, number):
    found, numbers = stages[number], case.numbers
    for block in (3, 7):
        tokens = getattr(found, f'block{block}')[WHOLE]
        assert_near(places(tokens, 4), numbers[f'picture{number}.block{block}_whole.s4'], share=2e-5)
    assert_near(found.backbone[WHOLE], numbers[f'picture{number}.dense_whole'][0], share=2e-5)
    assert_near(found.res4[WHOLE, :, ::5, ::5], numbers[f'picture{number}.res4_whole.s5'], share=2e-5)
    assert_near(found.res5[WHOLE, :, ::7, ::7], numbers[f'picture{number}.res5_whole.s7'], share=2e-5)
    if number == 0 and 'picture0.dense_window2' in numbers:
        assert_near(found.backbone[2], numbers['picture0.dense_window2'][0], share=2e-5)


def test_costs_and_guidance(case, stages):
    found, numbers = stages[0], case.numbers
    assert_near(found.cost.transpose(1, 2), numbers['picture0.cost'], share=2e-5)
    assert_near(stages[1].cost[WHOLE].transpose(0, 1), numbers['picture1.cost_whole'], share=2e-5)
    assert_near(found.image[WHOLE], numbers['picture0.guidance_picture_whole'], share=2e-5)
    assert_near(found.text[WHOLE], numbers['guidance_text'], share=2e-5)
    assert_near(found.fine0[WHOLE, :, ::5, ::5], numbers['picture0.guidance_fine0_whole.s5'], share=2e-5)
    assert_near(found.fine1[WHOLE, :, ::7, ::7], numbers['picture0.guidance_fine1_whole.s7'], share=2e-5)


def test_the_layers_of_the_aggregation(case, stages):
    found, numbers = stages[0], case.numbers
    assert_near(found.embed[WHOLE, ..., ::5, ::5].transpose(0, 1), numbers['picture0.embed_whole.s5'], share=1e-4)
    for layer in (0, 1):
        for ours, released in (('spatial', 'spatial'), ('classwise', 'classwise')):
            maps = getattr(found, f'{ours}{layer}')[WHOLE][:, ::5, ::5].permute(3, 0, 1, 2)
            assert_near(maps, numbers[f'picture0.layer{layer}.{released}_whole.s5'], share=1e-4)
    assert_near(found.up0[WHOLE][..., ::7, ::7], numbers['picture0.decoder1_whole.s7'], share=1e-4)


@pytest.mark.parametrize('number', [0, 1])
def test_logits_probabilities_and_labels(case, stages, number):
    found, numbers = stages[number], case.numbers
    assert_near(found.logits[..., ::5, ::5], numbers[f'picture{number}.logits.s5'], share=1e-4)
    if number == 0 and 'picture0.logits_whole.c0to3' in numbers:
        assert_near(found.logits[WHOLE, :4], numbers['picture0.logits_whole.c0to3'], share=1e-4)
    check_prediction(found.prediction, numbers[f'picture{number}.probabilities'], numbers[f'picture{number}.labels'])


def check_prediction(prediction, probabilities, labels=None):
    found = prediction.seg_logits.data.exp()
    assert (found - probabilities).abs().max() < 1e-5
    if labels is not None:
        assert (prediction.pred_sem_seg.data[0] == labels.long()).float().mean() >= 0.999


def test_pooling_in_evaluation_too(case, monkeypatch):
    """The enlarging of pooled maps shows here alone: corners are aligned."""
    for layer in case.model.decode_head.aggregation.classwise:
        monkeypatch.setattr(layer, 'eval_pooling', 2)
    numbers = case.numbers
    check_prediction(predict(case, 1), numbers['pooling2.picture1.probabilities'], numbers['pooling2.picture1.labels'])


def test_only_the_most_likely_classes_are_aggregated(case, monkeypatch):
    head = case.model.decode_head
    monkeypatch.setattr(head, 'top_k', 8)
    for layer in head.aggregation.classwise:
        monkeypatch.setattr(layer, 'padding', 8)
    found = _stages_of_logits(case)
    expected = case.numbers['truncated8.picture0.logits.s5']
    assert torch.equal(found == -100, expected == -100)
    assert_near(found, expected, share=1e-4 * float(expected[expected > -100].abs().max()) / 100)


def _stages_of_logits(case):
    kept, head = [], case.model.decode_head
    forward = head.forward_with_radius
    head.forward_with_radius = lambda *args: kept.append(forward(*args)) or kept[-1]
    try:
        predict(case, 0)
    finally:
        del head.forward_with_radius
    return torch.cat([logits for logits, _ in kept])[..., ::5, ::5]


def test_several_templates_and_synonyms(case, repository):
    numbers, written = case.numbers, case.written
    prompts = [';'.join(words.split(',')) for words in written['classes']]
    cfg = read_config(repository, case.kind, case.folder / 'templates', prompts)
    cfg.model.decode_head.text_encoder.templates = written['templates']
    conv = 'sem_seg_head.predictor.transformer.conv1.'
    kernel = {f'{conv}{part}': numbers[f'templates.conv1.{part}'] for part in ('weight', 'bias')}
    model = build(cfg, case.weights | kernel)
    with torch.no_grad():
        assert_near(model.decode_head.text_embeddings(), numbers['templates.text'], share=2e-5)
    if 'templates.picture1.probabilities' in numbers:
        check_prediction(predict(case, 1, model), numbers['templates.picture1.probabilities'])


def test_the_background_is_merged_after_averaging(case, repository):
    numbers, written = case.numbers, case.written
    if 'background.picture1.labels' not in numbers:
        pytest.skip('not recorded for this model')
    objects, background = written['background_classes'][:20], written['background_classes'][20:]
    lines = [f'  - {{name: {word}, parent: everything}}' for word in [*objects, 'background']]
    lines += [f'  - {{name: {word}, parent: background}}' for word in background] + ['  - {name: everything}']
    file = case.folder / 'tree.yaml'
    file.write_text('\n'.join(['concepts:', *lines]))
    cfg = read_config(repository, case.kind, case.folder / 'background', [*objects, 'background'])
    cfg.model.decode_head.taxonomy = str(file)
    model = build(cfg, case.weights)
    with torch.no_grad():
        assert_near(model.decode_head.text_embeddings()[:, 0], numbers['background.text'], share=2e-5)
    for chunk in (64, 4):
        model.test_cfg['class_chunk'] = chunk
        found = predict(case, 1, model)
        assert (found.pred_sem_seg.data[0] == numbers['background.picture1.labels'].long()).float().mean() >= 0.999
    model.test_cfg['class_chunk'] = 64
    probabilities = predict(case, 1, model).seg_logits.data.exp()[:, ::2, ::2]
    recorded = numbers['background.picture1.probabilities.s2']
    expected = torch.cat([recorded[:20], recorded[20:].amax(0, keepdim=True)])
    assert (probabilities - expected).abs().max() < 1e-5
