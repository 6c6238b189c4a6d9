"""Times of training steps, alone and beside the same backbone with MMSegmentation's head."""

import re

SMALL = (
    '--size', 64, '--batch-size', 2, '--steps', 2, '--warm-up', 0, '--device', 'cpu',
    '--cfg-options', 'model.backbone.encoder=test_efficientnet', 'model.backbone.weights=None',
    'model.backbone.decoder_channels=(8,8,8,4)', 'model.backbone.context_channels=4', 'model.decode_head.in_channels=8',
    'model.decode_head.channels=8',
)  # fmt: skip


def test_a_model_and_the_same_with_an_fcn_head_are_timed_in_turn(tool):
    done = tool('benchmarks/training_step', 'configs/hyperclip_unet_cloud.py', '--beside-fcn', 1, *SMALL)
    assert done.returncode == 0, done.stderr
    ours, theirs = (int(count.replace(',', '')) for count in re.findall(r'^([\d,]+) parameters', done.stdout, re.M))
    assert 0 < abs(ours - theirs) < ours, 'the same backbone, another head'
    assert '2 images of 64 x 64, float32' in done.stdout and re.search(r'^ratio: \d', done.stdout, re.M)


def test_no_other_model_is_built_unasked(tool):
    done = tool('benchmarks/training_step', 'configs/hyperclip_unet_cloud.py', *SMALL)
    assert done.returncode == 0 and done.stdout.count(' parameters') == 1 and 'ratio' not in done.stdout
