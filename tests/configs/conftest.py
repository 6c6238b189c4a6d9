import pytest
from mmengine.config import Config

from tests.tiny_clip import save_model
from tests.tiny_coco import save_coco, shrink_towers


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


@pytest.fixture(scope='module')
def coco(tmp_path_factory):
    return save_coco(tmp_path_factory.mktemp('coco'))


@pytest.fixture
def shrunk(repository, folder, coco, tmp_path):
    """Read a config of HyperCLIP or CAT-Seg, make it small and write it to ``config.py``."""

    def read(name):
        cfg = Config.fromfile(repository / 'configs' / name.split('_')[0] / f'{name}.py')
        shrink_towers(cfg, folder, coco).dump(tmp_path / 'config.py')
        return cfg

    return read
