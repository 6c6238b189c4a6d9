"""The benchmark of HyperCLIP's parts: its configs differ in what their names say, and its table is of the figures."""

import argparse
import sys

import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from hyperbolic_seg.text import Taxonomy


@pytest.fixture
def parts(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    sys.modules.pop('hyperclip_parts', None)
    import hyperclip_parts

    init_default_scope('mmseg')
    return hyperclip_parts


@pytest.fixture
def configure(parts, tmp_path):
    words = parts.write_bare_taxonomy(tmp_path)
    args = argparse.Namespace(sky=tmp_path, epochs=2, size=64)
    return lambda variant: parts.configure(args, variant, 3, *words)


def test_the_tree_is_that_of_the_sky(parts, tmp_path):
    bare, sky = Taxonomy.load(str(parts.write_bare_taxonomy(tmp_path)[0])), Taxonomy.load('sky')
    assert [node.lineage for node in bare.nodes] == [node.lineage for node in sky.nodes]
    assert bare.leaves.names == sky.leaves.names and all(not node.synonyms for node in bare.nodes)


def test_variants_differ_in_what_their_names_say(parts, configure):
    trained = {}
    for variant in parts.VARIANTS:
        model = MODELS.build(configure(variant).model)
        assert all(not concept.synonyms for concept in model.vocabulary), 'each word by its name alone'
        trained[variant] = {name for name, p in model.named_parameters() if p.requires_grad}
    control = trained['cosine']
    for variant, names in trained.items():
        extra = {name.removeprefix('decode_head.').split('.')[0] for name in names - control}
        expected = {
            *(['curvature'] if 'distance' in variant else []),
            *(['tuner'] if 'embedding' in variant else []),
            *(['text'] if 'weights' in variant else []),
        }
        assert extra == expected and control <= names, variant
    assert configure('distance+embedding+cones').model.decode_head.text_losses[0]['type'] == 'TextEntailmentLoss'
    assert configure('cosine').randomness.seed == 3


def test_the_table_has_means_and_ranges(parts, capsys):
    figures = {key: 50.0 for key in parts.FIGURES}
    rows = [dict(variant='cosine', seed=seed, radius_text=2.0) | figures | {'mIoU/3': 20.0 + seed} for seed in (0, 1)]
    parts.print_table(rows)
    assert '| cosine | 50.0 (50.0 to 50.0) | 50.0 (50.0 to 50.0) | 20.5 (20.0 to 21.0) | 2.00 (2.00 to 2.00) | 2 |' in (
        capsys.readouterr().out
    )
