import pytest
from mmengine.config import Config

from tests.shrink import shrink


@pytest.fixture(scope='module')
def config(repository, tiny_sky, tmp_path_factory):
    """The main config, small, as a file."""
    folder = tmp_path_factory.mktemp('tools')
    cfg = shrink(Config.fromfile(repository / 'configs' / 'hyperclip_unet_cloud.py'), tiny_sky, folder / 'work')
    # GroupNorm and no dropout, so that the result of a process depends on its own images alone.
    norm = dict(type='GN', num_groups=2)
    stages = dict(num_stages=3, strides=(1,) * 3, enc_num_convs=(2,) * 3, enc_dilations=(1,) * 3)
    stages |= dict(dec_num_convs=(2,) * 2, dec_dilations=(1,) * 2, downsamples=(True,) * 2)
    cfg.model.backbone = dict(type='UNet', base_channels=4, norm_cfg=norm, **stages)
    cfg.model.decode_head.update(norm_cfg=norm, dropout_ratio=0.0)
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline
    cfg.train_dataloader.sampler.shuffle = False
    cfg.dump(folder / 'small.py')
    return folder / 'small.py'
