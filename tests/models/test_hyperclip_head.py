import copy
import json
import math

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import load_state_dict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyperbolic_seg.apis import load_model
from hyperbolic_seg.geometry import cosine_similarity, distance, mlr_logits, pairwise_distance, radius
from hyperbolic_seg.models.decode_heads.hyperclip_head import LOGITS
from hyperbolic_seg.text import OpenCLIPTextEncoder, Taxonomy, Vocabulary
from hyperbolic_seg.text.text_bank import smooth_prompts


def features(model, size=16, batch=2):
    torch.manual_seed(1)
    return [torch.randn(batch, model.backbone.base_channels, size, size)]


def perturb(head):
    """Move every parameter off its initial value."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return head.eval()


@pytest.mark.parametrize('logits', LOGITS)
def test_logits_are_those_of_the_embedding_it_never_forms(build, logits):
    model = build(logits)
    head, inputs = perturb(model.decode_head), features(model)
    got, got_radius = head.forward_with_radius(inputs)
    embedding = head.projection(head._forward_feature(inputs).movedim(1, -1)).movedim(-1, 1)
    words, scale = head.text_embeddings(), head.log_scale.exp()
    if logits == 'distance':
        expected = -scale * pairwise_distance(embedding, words, head.curvature(), dim=1)
    elif logits == 'mlr':
        offset = head.offset * words.norm(dim=-1)
        expected = scale * mlr_logits(embedding, words, offset, head.curvature(), dim=1)
    else:
        expected = scale * cosine_similarity(embedding, words, dim=1)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(got_radius[:, 0], radius(embedding, dim=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('angle', [1e-4, 2e-3, 0.1])
def test_distances_of_pixels_near_a_word_are_right(build, angle):
    head = perturb(build('distance').decode_head).eval()
    words = head.text_embeddings().detach().double()
    across = torch.randn(words.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    across -= (across * words).sum(1, keepdim=True) / words.square().sum(1, keepdim=True) * words
    turned = words + angle * words.norm(dim=1, keepdim=True) * across / across.norm(dim=1, keepdim=True)
    basis = torch.linalg.qr(torch.cat([words, across]).t()).Q
    head.projection = torch.nn.Linear(*basis.t().shape)
    with torch.no_grad():
        head.projection.weight.copy_(basis)
        head.projection.bias.zero_()
    features = (turned @ basis).float().t()[None, :, :, None].requires_grad_()
    logits, _ = head._of_words(features, words.float())
    (got,) = torch.autograd.grad(logits[0, ..., 0].diagonal().sum(), features)
    exact = features.detach().double().requires_grad_()
    rows = exact[0, ..., 0].t() @ head.projection.weight.detach().double().t()
    expected = -head.log_scale.exp() * distance(rows, words.float().double(), head.curvature().double())
    (wanted,) = torch.autograd.grad(expected.sum(), exact)
    torch.testing.assert_close(logits[0, ..., 0].diagonal().double(), expected, rtol=1e-5, atol=0)
    assert (got - wanted).norm() < 1e-5 * wanted.norm()


@pytest.mark.parametrize('logits', LOGITS)
def test_every_parameter_gets_a_finite_gradient(build, logits):
    model = build(logits)
    labels = torch.randint(0, 2, (1, 16, 16), generator=torch.Generator().manual_seed(0))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels)) for _ in range(2)]
    losses = model.decode_head.loss(features(model), samples, {})
    losses['loss_ce'].backward()
    for name, parameter in model.decode_head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert losses['radius_text'].item() == pytest.approx(2.0)
    assert losses['radius_pixel'] > 0
    assert ('curvature' in losses) == (logits != 'cosine')


BARE = dict(num_convs=0, norm_cfg=None)  # the projection gets the features of the encoder as they are


@pytest.mark.parametrize('scale', [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize('logits', LOGITS)
def test_a_training_starts_near_the_entropy_of_a_guess_behind_any_encoder(build, logits, scale):
    model = build(logits, vocabulary='leaves', **BARE)
    head = model.decode_head.train()
    head.dropout = None
    inputs = [scale * one for one in features(model)]
    labels = torch.randint(0, head.num_classes, (2, 16, 16), generator=torch.Generator().manual_seed(0))
    loss = torch.nn.functional.cross_entropy(head(inputs), labels)
    # Near the origin, the logits of regression are four times the inner product.
    assert loss.item() == pytest.approx(math.log(head.num_classes), rel=0.4 if logits == 'mlr' else 0.15)
    before = head.feature_scale.clone()
    head([5e3 * one for one in inputs])  # the first batch alone is measured
    assert torch.equal(head.feature_scale, before)


@pytest.mark.parametrize('value', [torch.inf, torch.nan, 0.0])
def test_a_batch_without_a_length_leaves_the_measurement_to_the_next(build, value):
    model = build('distance', **BARE)
    head, inputs = model.decode_head.train(), [100 * one for one in features(model)]
    head([torch.full_like(one, value) for one in inputs])
    assert head.feature_scale == 0
    head(inputs)
    assert 0 < head.feature_scale < 0.1


def test_a_trained_projection_is_not_measured(build):
    """Its checkpoint has the factor, but for older ones, whose factor is part of the weights."""
    source, model = build('distance', **BARE), build('distance', **BARE)
    source.train().decode_head([100 * one for one in features(source)])
    state = source.state_dict()
    factor = state['decode_head.feature_scale'].item()
    older = {key: value for key, value in state.items() if 'feature_scale' not in key}
    older = {key: value.reshape(()) if value.shape == (1,) else value for key, value in older.items()}
    for saved, expected in ((state, factor), (older, 1)):
        model.load_state_dict(saved)
        model.train().decode_head([1e4 * one for one in features(model)])
        assert model.decode_head.feature_scale.item() == expected != 0


def test_weights_of_a_backbone_leave_the_measurement_to_the_training(build):
    model = build('distance', **BARE)
    model.load_state_dict(
        {f'backbone.{key}': value for key, value in model.backbone.state_dict().items()}, strict=False
    )
    model.train().decode_head([100 * one for one in features(model)])
    assert 0 < model.decode_head.feature_scale < 0.1


def test_distances_under_a_sigmoid_start_on_both_sides_of_a_half_and_pass_it(build):
    model = build('distance', loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
    model.init_weights()
    head = model.decode_head.train()
    inputs = features(model)
    assert head(inputs).min() < 0 < head(inputs).max()
    right_angle = pairwise_distance(torch.eye(2)[:1], torch.eye(2)[1:], head.curvature()).item()
    assert head.reach.item() == pytest.approx(right_angle, rel=1e-5)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(head(inputs), torch.ones_like(head(inputs))).backward()
        optimizer.step()
    assert (head.eval()(inputs).sigmoid() > 0.7).float().mean() > 0.95


def test_text_radius_returns_the_radius_of_every_word(build):
    head = build(vocabulary=['clear sky', 'cumulus']).decode_head
    assert head.text_radius() == pytest.approx({'clear sky': 2.0, 'cumulus': 2.0})
    with torch.no_grad():
        head.tuner.log_scale.fill_(-0.5)
    assert head.text_radius()['cumulus'] == pytest.approx(2 * 2.718281828**-0.5)


def test_the_control_has_the_same_parameters_but_the_curvature(build):
    names = {logits: dict(build(logits).named_parameters()) for logits in LOGITS}
    shapes = {logits: {n: p.shape for n, p in found.items()} for logits, found in names.items()}
    control = shapes.pop('cosine')
    for found in shapes.values():
        assert set(found) - set(control) <= {'decode_head.curvature.position', 'decode_head.offset'}
        assert {n: s for n, s in found.items() if n in control} == control


def test_what_is_kept_for_the_backward_pass_does_not_grow_with_the_embedding(build):
    def saved_per_pixel(head, size):
        kept = []
        inputs = [torch.randn(1, 4, size, size, requires_grad=True)]
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            head(inputs).sum()
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() / 4 for t in kept}
        return sum(storages.values()) / size**2

    two, four = build(), build(vocabulary=['clear sky', 'cirrus', 'cumulus', 'stratus'])
    per_pixel = [saved_per_pixel(model.decode_head, 96) for model in (two, four)]
    assert per_pixel[1] < 384 / 3  # far from one embedding, let alone from K of them
    assert per_pixel[1] - per_pixel[0] < 2 * 30  # some floats for each of two more words, none of them times 384


def test_an_unseen_vocabulary_changes_only_the_classes(build):
    model = build(known_words='sky')
    head, inputs = model.decode_head.eval(), features(model)
    before = head(inputs)
    head.set_vocabulary(['grass', 'clear sky', 'a red balloon'])
    after = head(inputs)
    assert after.shape == (2, 3, 16, 16)
    assert head.num_classes == head.out_channels == 3
    torch.testing.assert_close(after[:, 1], before[:, 0])
    head.set_vocabulary('binary')
    assert torch.equal(head(inputs), before)


def test_the_checkpoint_carries_its_words(build, monkeypatch):
    trained = build(known_words='sky')
    state = trained.state_dict()
    monkeypatch.setattr(OpenCLIPTextEncoder, 'encode', lambda *_: pytest.fail('the text encoder was asked'))
    fresh = MODELS.build(trained.small_config)
    load_state_dict(fresh, state, strict=True)
    inputs = features(trained)
    torch.testing.assert_close(fresh.decode_head.eval()(inputs), trained.decode_head.eval()(inputs))
    fresh.set_vocabulary(['cloud', 'clear sky'])
    torch.testing.assert_close(fresh.decode_head(inputs), trained.decode_head(inputs).flip(1))


def test_a_checkpoint_of_another_vocabulary_keeps_its_own_words(build):
    trained, other = build(), build(vocabulary=['cloud', 'tree', 'clear sky'])
    expected = other.decode_head.text_embeddings().clone()
    load_state_dict(other, trained.state_dict(), strict=True)
    torch.testing.assert_close(other.decode_head.text_embeddings(), expected)
    assert other.decode_head.num_classes == 3


def test_a_checkpoint_of_another_text_encoder_is_refused(build):
    state = build().state_dict()
    other = build(text_encoder=dict(type='OpenCLIPTextEncoder', model='offline', quick_gelu=True))
    with pytest.raises(RuntimeError, match='trained with another text encoder'):
        load_state_dict(other, state)


@pytest.mark.parametrize('update_buffers', [False, True])
def test_an_averaged_copy_carries_the_words(build, update_buffers):
    config = build().small_config
    model = MODELS.build(copy.deepcopy(config))
    averaged = ExponentialMovingAverage(model, momentum=0.5, update_buffers=update_buffers)  # before the words are
    model.init_weights()
    for _ in range(2):
        averaged.update_parameters(model)
    bank = averaged.module.decode_head.text
    assert bank.encoded
    assert bank.fingerprint == model.decode_head.text.fingerprint is not None
    assert bank.get_extra_state().shape == model.decode_head.text.get_extra_state().shape


def test_the_head_works_in_a_plain_segmentor(build):
    model = build()
    model.small_config.update(type='EncoderDecoder')
    plain = MODELS.build(model.small_config)
    plain.init_weights()
    sample = plain.eval().predict(torch.randn(1, 3, 32, 32))[0]
    assert sample.seg_logits.data.shape == (2, 32, 32)


@pytest.mark.parametrize(
    'head, message',
    [
        (dict(logits='euclid'), r"logits='euclid': expected one of \('distance', 'mlr', 'cosine'\)"),
        (dict(num_classes=5), 'num_classes=5, but the vocabulary names 2 concepts'),
        (dict(vocabulary=['cloud']), 'at least two prompts'),
        (dict(text_dims=512), 'embeddings of 384 dimensions.*text_dims=512'),
        (dict(curvature=dict(value=-1.0)), 'curvature=-1.0: expected a finite number of at least'),
        (dict(temperature=0.005), 'temperature=0.005: expected a finite number of at least 0.01'),
    ],
)
def test_impossible_settings_are_refused(build, head, message):
    with pytest.raises(ValueError, match=message):
        build(**head)


def test_all_defaults_of_a_tuner_are_a_tuner(build):
    assert build(tuner=dict()).decode_head.tuner.block_size == 128
    assert build(tuner=None).decode_head.tuner is None


def test_the_temperature_can_leave_its_bound(build):
    head = build(temperature=0.01).decode_head.eval()
    inputs = features(build())
    at_the_bound = head(inputs)
    head(inputs).square().sum().backward()
    assert head.log_scale.grad != 0
    torch.nn.init.constant_(head.log_scale, 9.0)
    torch.testing.assert_close(head(inputs), at_the_bound)


def test_of_multilabel_words_the_most_probable_decides(build):
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
    for losses in (loss, [loss]):
        head = perturb(build(vocabulary='leaves', taxonomy='sky', loss_decode=losses).decode_head).eval()
        inputs = features(build())
        leaves = dict(zip(head.vocabulary.names, head(inputs).unbind(1), strict=True))
        clouds = [leaf.name for leaf in Taxonomy.load('sky').leaves if 'cloud' in leaf.lineage]
        head.set_vocabulary(['clear sky', 'cloud'])
        expected = torch.stack([leaves[name] for name in clouds]).amax(0)
        torch.testing.assert_close(head(inputs)[:, 1], expected, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_other_templates_is_refused(build):
    def with_templates(*templates):
        return build(text_encoder=dict(type='OpenCLIPTextEncoder', model='offline', templates=templates))

    state = with_templates('{}', 'a photo of {}').state_dict()
    load_state_dict(with_templates('{}', 'a photo of {}'), state, strict=True)
    with pytest.raises(RuntimeError, match=r"templates \['{}', 'a photo of {}'\].*name those of the training"):
        load_state_dict(with_templates('{}'), state)
    words = [['clear sky'], ['cloud']]  # as checkpoints were before they carried templates
    old = torch.tensor(list(json.dumps(words).encode()), dtype=torch.uint8)
    key = next(name for name in state if name.endswith('text._extra_state'))
    load_state_dict(with_templates('{}'), dict(state, **{key: old}))


def test_an_inner_node_is_as_probable_as_its_leaves(build):
    head = perturb(build(vocabulary='leaves', taxonomy='sky').decode_head)
    inputs = features(build())
    names = head.vocabulary.names
    by_leaf = dict(zip(names, head(inputs).softmax(1).unbind(1), strict=True))
    clouds = [leaf.name for leaf in Taxonomy.load('sky').leaves if 'cloud' in leaf.lineage]
    head.text.encoder = None  # the leaves are known: nothing is left to encode
    head.set_vocabulary(['clear sky', 'clouds'])
    clear, cloud = head(inputs).softmax(1).unbind(1)
    total = by_leaf['clear sky'] + sum(by_leaf[name] for name in clouds)
    torch.testing.assert_close(clear, by_leaf['clear sky'] / total, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(cloud, sum(by_leaf[name] for name in clouds) / total, rtol=1e-4, atol=1e-6)
    assert head.num_classes == head.out_channels == 2
    assert set(head.text_radius()) == {'clear sky', *clouds}
    with pytest.raises(ValueError, match='at least two prompts'):
        head.set_vocabulary(['cloud'])
    assert head.vocabulary.names == ('clear sky', 'clouds')
    head.set_vocabulary(names)
    torch.testing.assert_close(head(inputs).softmax(1)[:, 0], by_leaf['clear sky'])


def test_a_checkpoint_carries_the_words_of_its_taxonomy(build):
    trained = build(vocabulary='leaves', taxonomy='sky').decode_head
    state = trained.state_dict()
    assert state['text.taxonomy_bank.embeddings'].shape == (len(trained.taxonomy.nodes), 384)
    other = build(vocabulary='leaves', taxonomy='sky').decode_head
    other.load_state_dict(state)
    other.text.encoder = other.text.taxonomy_bank.encoder = None
    # Beside all of its kinds, a level is a word of its own.
    other.set_vocabulary(['altocumulus', 'altostratus', 'nimbostratus', 'middle cloud'])
    torch.testing.assert_close(other.text()[3], trained.text.taxonomy_bank()[trained.taxonomy.ids(['middle cloud'])[0]])


def test_losses_on_text_reach_the_tuner_alone(build):
    terms = [dict(type='TextEntailmentLoss'), dict(type='TextRadiusLoss', loss_weight=0.5)]
    head = perturb(build(vocabulary='leaves', taxonomy='sky', text_losses=terms).decode_head)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 16, 16).long())) for _ in range(2)]
    losses = head.loss(features(build()), samples, {})
    for name in ('loss_entailment', 'loss_radius'):
        head.zero_grad()
        losses[name].backward(retain_graph=True)
        assert head.tuner.delta.grad.abs().sum() > 0, name
        assert head.projection.weight.grad is None, name
    with pytest.raises(ValueError, match='text_losses are on the nodes of a taxonomy'):
        build(text_losses=terms)


def test_the_accuracy_is_that_of_labels_of_any_depth(build):
    loss = dict(type='HierarchicalCrossEntropyLoss', taxonomy='sky')
    head = build(vocabulary='leaves', taxonomy='sky', loss_decode=loss).decode_head
    labels = torch.full((1, 32, 32), head.taxonomy.ids(['everything'])[0])
    labels[:, :16] = head.taxonomy.ids(['cloud'])[0]
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels)) for _ in range(2)]
    inputs = features(build())
    clouds = [i for i, word in enumerate(head.vocabulary) if 'cloud' in word.lineage]
    with torch.no_grad():
        got = head.eval().loss(inputs, samples, {})['acc_seg']
        expected = torch.isin(head(inputs).argmax(1)[:, :8], torch.tensor(clouds)).float().mean() * 100
    torch.testing.assert_close(got, expected)


def test_samples_of_a_concept_are_mixtures_of_its_phrases(build):
    head = build(vocabulary=['cat; kitten; a small feline', 'dog']).decode_head
    torch.manual_seed(0)
    plain = head.text.encoder.encode_vocabulary(Vocabulary.load(['cat', 'kitten', 'a small feline', 'dog']))
    mixed = torch.stack([head.text.sample(concentration=0.5, noise=0.0) for _ in range(50)])
    torch.testing.assert_close(mixed.norm(dim=-1), torch.ones(50, 2))
    torch.testing.assert_close(mixed[:, 1], plain[3].expand(50, -1), rtol=1e-4, atol=1e-5)  # it has one word
    assert mixed[:, 0].std(0).max() > 0.01
    coefficients = torch.linalg.lstsq(plain[:3].t(), mixed[:, 0].t()).solution
    assert (coefficients > -1e-3).all()  # mixtures of the phrases, nothing else
    torch.testing.assert_close(plain[:3].t() @ coefficients, mixed[:, 0].t(), rtol=1e-3, atol=1e-4)
    many = torch.stack([head.text.sample(concentration=1e4, noise=0.0)[0] for _ in range(3)])
    torch.testing.assert_close(many, head.text()[0].expand(3, -1), rtol=1e-2, atol=1e-2)
    noisy = torch.stack([head.text.sample(concentration=1.0, noise=0.5)[1] for _ in range(50)])
    assert (noisy @ plain[3]).mean().item() == pytest.approx(1.25**-0.5, abs=0.02)


def test_other_words_are_for_training_alone(build):
    plain, varied = (
        build(phrase_augmentation=phrase_augmentation).decode_head for phrase_augmentation in (None, dict(noise=0.5))
    )
    varied.load_state_dict(plain.state_dict())
    inputs = features(build())
    torch.testing.assert_close(varied.eval()(inputs), plain.eval()(inputs))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 16, 16).long())) for _ in range(2)]
    losses = [varied.loss(inputs, samples, {})['loss_ce'].item() for _ in range(3)]
    assert len(set(losses)) == 3


@pytest.mark.parametrize('dims', [2, 16])
def test_embed_dims_reduces_words_and_features_alike(build, dims):
    head = build(vocabulary='leaves', taxonomy='sky', embed_dims=dims).decode_head
    words = head.text_embeddings()
    assert words.shape == (22, dims)
    assert words.norm(dim=-1).mean().item() == pytest.approx(1.0, abs=0.5)
    inputs = features(build())
    got, got_radius = perturb(head).forward_with_radius(inputs)
    embedding = head.projection(head._forward_feature(inputs).movedim(1, -1)).movedim(-1, 1)
    assert embedding.shape[1] == dims
    expected = -head.log_scale.exp() * pairwise_distance(embedding, head.text_embeddings(), head.curvature(), dim=1)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(got_radius[:, 0], radius(embedding, dim=1), rtol=1e-4, atol=1e-5)


def test_other_words_are_moved_towards_those_of_the_taxonomy(build):
    prompt_smoothing = dict(weight=2.0, temperature=0.03)
    plain = build(vocabulary='leaves', taxonomy='sky').decode_head
    head = build(vocabulary='leaves', taxonomy='sky', prompt_smoothing=prompt_smoothing).decode_head
    torch.testing.assert_close(head.text(), plain.text())  # what is in the taxonomy stays
    for bank in (plain, head):
        bank.set_vocabulary(['cumulus', 'big white marshmallows', 'a halo round the sun'])
    own, read = plain.text(), head.text()
    torch.testing.assert_close(read[0], own[0])
    torch.testing.assert_close(read.norm(dim=1), torch.ones(3))
    known = torch.nn.functional.normalize(plain.text.taxonomy_bank(), dim=1)
    before, after = ((words[1:] @ known.t()).max(1).values for words in (own, read))
    assert (after > before + 0.02).all() and ((own * read).sum(1)[1:] > 0.5).all()
    with pytest.raises(ValueError, match='prompt_smoothing moves prompts towards the words of a taxonomy'):
        build(vocabulary='binary', prompt_smoothing=prompt_smoothing)


def test_smoothing_is_a_weighted_mean():
    new, concepts = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    alike = smooth_prompts(new, torch.tensor([[0.4, 0.4]]), concepts, weight=1.0, temperature=0.1)
    expected = torch.tensor([1.0, 0.5**0.5, 0.5**0.5])
    torch.testing.assert_close(alike[0], expected / expected.norm())
    surer = smooth_prompts(new, torch.tensor([[0.4, 0.3]]), concepts, weight=1.0, temperature=1e-3)
    torch.testing.assert_close(surer[0], torch.tensor([0.5**0.5, 0.5**0.5, 0.0]))
    shared = smooth_prompts(new, torch.tensor([[0.3, 0.0]]), concepts, weight=1.0, temperature=0.1)
    mean = torch.tensor([0.0, torch.e**3, 1.0])
    expected = new[0] + mean / mean.norm()
    torch.testing.assert_close(shared[0], expected / expected.norm())
    torch.testing.assert_close(smooth_prompts(new, torch.tensor([[0.4, 0.4]]), concepts, weight=0.0), new)


def test_only_its_own_taxonomy_completes_prompts(build):
    """A head of another field does not take its words from the sky."""
    prompts = ['building', 'tree', 'mast', 'sun']
    plain, of_sky = build(vocabulary=prompts).decode_head, build(vocabulary=prompts, taxonomy='sky').decode_head
    for head in (plain, of_sky):
        assert head.vocabulary.names == tuple(prompts)
    assert all(concept.phrases == (concept.name,) and not concept.ancestors for concept in plain.vocabulary)
    assert any(concept.synonyms for concept in of_sky.vocabulary)
    plain.set_vocabulary(['sun', 'mast'])
    assert all(concept.phrases == (concept.name,) for concept in plain.vocabulary)
    of_sky.set_vocabulary(['Cu', 'haze'])
    assert of_sky.vocabulary[0].ancestors and not of_sky.vocabulary[1].ancestors


def test_known_words_complete_prompts_of_a_head_without_a_taxonomy(build):
    head = build(vocabulary=['sun', 'mast'], known_words='sky').decode_head
    assert head.taxonomy is None and any(concept.ancestors for concept in head.vocabulary)
    head.set_vocabulary(['Ci', 'fog'])
    assert head.vocabulary[0].ancestors
    with pytest.raises(ValueError, match='no word of known_words lies below a leaf of the taxonomy'):
        build(vocabulary='binary', taxonomy='sky', known_words='sky')


def test_attributes_of_a_head_describe_it_with_and_without_text(build):
    head = build(vocabulary='leaves', taxonomy='sky').decode_head.eval()
    assert head.has_radius and not head.multilabel and head.taxonomy.root
    assert head.kinds == [0] + [1] * 11 + [2] * 10
    assert build(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)).decode_head.multilabel
    light, words, inputs = head.without_text(), head.text_embeddings(), features(build())
    left = [name for name, _ in light.named_modules()]
    assert not any(part in name for name in left for part in ('text', 'tuner', 'loss'))
    for got, expected in zip(light.forward_with_radius(inputs, words), head.forward_with_radius(inputs), strict=True):
        torch.testing.assert_close(got, expected)
    assert head.text is not None and head.tuner is not None  # the head itself is as before


def test_a_prompt_in_other_words_is_of_the_kind_that_it_is_read_as():
    head = load_model('hyperclip-unet-cloud', device='cpu').model.decode_head
    prompts = ['cumulus', 'puffy white heaps of cotton', 'nothing but deep blue above', 'clear sky', 'brick houses']
    head.set_vocabulary(prompts)
    assert head.kinds == [0, 0, 1, 1, 2]
    assert head.kinds_below(['not sky']) == (False, False, True)
    assert not head.vocabulary[1].ancestors  # what it means stays open
    for words in (['Not sky', 'building', 'Sky'], ['anything that is not sky', 'building', 'sky']):
        head.set_vocabulary(words)
        assert (head.kinds, head.kinds_below(['not sky'])) == ([0, 0, 1], (True, False))
    head.set_vocabulary(['fog', 'clear sky'])
    assert len(set(head.kinds)) == 2


def test_prompts_that_nothing_reads_are_kinds_of_their_own(build):
    head = build(vocabulary=['cumulus', 'puffy heaps', 'deep blue'], taxonomy='sky').decode_head
    assert head.kinds == [0, 1, 2]
    assert head.kinds_below(['cloud']) == (True, False, False)
    with pytest.raises(ValueError, match='are nodes of a taxonomy, and the head has none'):
        build(vocabulary='binary', taxonomy=None).decode_head.kinds_below(['cloud'])
    with pytest.raises(ValueError, match=r"\['town'\] are no nodes of the taxonomy of the head: expected some of"):
        head.kinds_below(['cloud', 'town'])
