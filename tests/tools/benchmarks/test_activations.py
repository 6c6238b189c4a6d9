"""Memory of the activations that autograd saves in a forward pass."""

import re

from tests.tiny_clip import save_model
from tests.tiny_coco import SMALL

SIDE = 48


def test_what_is_recomputed_is_not_kept(tool, tmp_path):
    clip = f'local-dir:{save_model(tmp_path / "clip")}'
    options = dict(
        {f'backbone.{key}': value for key, value in (('model', clip), ('pretrained', None), ('out_indices', '[0,1]'))},
        **{f'decode_head.text_encoder.{key}': value for key, value in (('model', clip), ('pretrained', None))},
        **{f'decode_head.aggregation.{key}': str(value).replace(' ', '') for key, value in SMALL.items()},
    )
    options |= {f'{part}.adapter.block_size': 16 for part in ('backbone', 'decode_head.text_encoder')}
    options |= {'decode_head.text_dims': 32, 'decode_head.in_channels': '[64,64,32]'}
    options['data_preprocessor.size'] = f'({SIDE},{SIDE})'
    changes = [f'model.{key}={value}' for key, value in options.items()]
    config = 'configs/hyperclip/hyperclip_vitb16_384.py'
    done = tool('benchmarks/activations', config, '--batch-size', 40, '--cfg-options', *changes)
    assert done.returncode == 0, done.stderr
    kept = {name: float(size) for name, size in re.findall(r'^\| ([a-z ]+) \| ([\d.]+) \|$', done.stdout, re.M)}
    assert kept['nothing'] > max(kept['towers'], kept['aggregation']) > kept['towers and aggregation'] > 0
    saved = kept['nothing'] - kept['towers'] + kept['nothing'] - kept['aggregation']
    assert abs(kept['nothing'] - saved - kept['towers and aggregation']) < 0.03, 'each part is counted once'
    done = tool('benchmarks/activations', 'configs/unet_cloud.py')
    assert 'expected a head with an aggregation, this one is a FCNHead' in str(done.returncode)
