import os

if 'PYTEST_XDIST_WORKER' in os.environ:  # the processes share the cores, and so do those that tests start
    os.environ.setdefault('OMP_NUM_THREADS', '1')
# Set before any client of a hub is imported: tests never wait for a network.
os.environ['HF_HUB_OFFLINE'] = '1'
if os.environ.get('HYPERBOLIC_SEG_TEST_DEVICE') != 'cuda':  # tests/gpu alone are for a GPU
    os.environ['CUDA_VISIBLE_DEVICES'] = ''

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch
from hypothesis import settings
from mmengine.registry import init_default_scope
from mmengine.visualization import Visualizer

from hyperbolic_seg.sky.renderer import render_sky
from hyperbolic_seg.visualization import HyperSegVisualizer

settings.register_profile('untimed', deadline=None)
settings.register_profile('nightly', deadline=None)  # chosen by --hypothesis-profile; tests/peers draws more examples
settings.load_profile('untimed')
if 'PYTEST_XDIST_WORKER' in os.environ:
    torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parent.parent


SLOW = (
    'apis/test_export.py',
    'apis/test_free_sizes.py',
    'app/cli/test_doctor.py',
    'app/cli/test_observatory.py',
    'app/cli/test_predict.py',
    'app/cli/test_start.py',
    'app/cli/test_watch.py',
    'app/test_cameras_of_others.py',
    'app/web/test_page.py',
    'configs/test_configs.py',
    'configs/test_fuzzed_options.py',
    'configs/test_hyperclip_configs.py',
    'docs/test_notebooks.py',
    'layers/test_deployment.py',
    'models/test_layers.py',
    'models/test_modes.py',
    'models/test_running.py',
    'models/test_sharding.py',
    'models/test_zero_shot.py',
    'parity/test_models.py',
    'parity/test_training_step.py',
    'peers/test_mmpretrain.py',
    'peers/test_mmseg.py',
    'tools/benchmarks/test_adapters.py',
    'tools/dataset_converters/test_converters.py',
    'tools/test_tools.py',
)
"""Files whose tests take most of the time; ``make test-fast`` leaves them out."""
NIGHTLY = (
    'geometry/test_kernel.py::test_the_kernel',
    'tools/benchmarks/test_activations.py',
    'tools/benchmarks/test_adapters.py',
    'tools/benchmarks/test_dimensions.py',
    'tools/benchmarks/test_phrases.py::test_limits_of_unknown_words',
    'tools/benchmarks/test_phrases.py::test_the_nearest_node_of_plain_words',
    'app/archive/test_workers.py::test_a_picture_that_kills_its_worker_fails_alone',
    'app/archive/test_workers.py::test_twenty_thousand_pictures_and_workers_that_die_at_random',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[MLR, one output',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[cosine costs, multilabel',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[cosine, proxy',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[mlr, fewer dimensions',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[cosine, multilabel, ViT',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[cosine, taxonomy, plain',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[distance, guided and colors',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[cosine costs, ViT',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[FCN, ViT',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[mlr, taxonomy',
    'apis/test_export.py::test_an_exported_file_predicts_what_the_segmentor_predicts[distance costs, multilabel',
    'apis/test_onnx_inferencer.py::test_an_exported_file_predicts_what_pytorch_does',
    'apis/test_free_sizes.py::test_an_onnx_file_of_a_stock_model_equals_it_and_refuses_other_sizes[UPerNet',
    'apis/test_free_sizes.py::test_an_onnx_file_of_a_stock_model_equals_it_and_refuses_other_sizes[SegFormer',
    'app/archive/test_sky.py',
    'configs/test_configs.py::test_train_validate_save_and_predict[released/',
    'configs/test_hyperclip_configs.py::test_two_processes_train_as_one',
    'configs/test_sharded_configs.py',
    'configs/test_hyperclip_configs.py::test_full_ade20k_is_converted_and_evaluated',
    'configs/test_hyperclip_configs.py::test_pascal_context_with_all_classes_is_converted_and_evaluated',
    'docs/test_notebooks.py::test_a_tutorial_runs[own_model',
    'docs/test_serving.py::test_ray_serves',
    'layers/test_deployment.py::test_default_compiler_makes_code_of_one_graph[conv',
    'layers/test_deployment.py::test_default_compiler_makes_code_of_one_graph[norm',
    'layers/test_deployment.py::test_compiled_layer_trains_as_the_eager_one[norm',
    'layers/test_deployment.py::test_compiled_layer_trains_as_the_eager_one[attention',
    'layers/test_deployment.py::test_onnx_is_the_eager_layer[attention',
    'layers/test_deployment.py::test_onnx_is_the_eager_layer[norm',
    'models/test_layers.py::test_one_import_registers_everything[import mmengine, hyperbolic_seg',
    'models/test_running.py::test_a_compiled_step_trains_the_same[CAT-Seg',
    'models/test_running.py::test_a_compiled_step_trains_the_same[hyperbolic prototypes',
    'models/test_zero_shot.py::test_configs_of_pascal_voc_are_evaluated[voc20',
    'peers/test_mmpretrain.py',
    'peers/test_mmseg.py',
    'tools/test_machines.py::test_two_machines_learn',
    'tools/test_machines.py::test_tasks_of_slurm',
    'tools/test_tools.py::test_export_says_that_a_file_could_not_be_compared',
    'tools/test_train_released.py::test_a_training_that_is_killed_is_resumed',
    'tools/benchmarks/test_gpu.py::test_a_rehearsal_runs_in_full',
    'tools/benchmarks/test_throughput.py::test_a_command_writes_labels_and_an_overlay_of_each_picture',
    'tools/benchmarks/test_throughput.py::test_a_picture_that_is_not_predicted_stops_the_command',
    'tools/benchmarks/test_throughput.py::test_every_stage_is_timed',
)
"""Beginnings of the names of tests that take long, and whose parts others run too: the nightly workflow runs them."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(REPOSITORY / 'tests') and item.path.as_posix().endswith(SLOW):
            item.add_marker('slow')
        if item.nodeid.removeprefix('tests/').startswith(NIGHTLY):
            item.add_marker('nightly')


@pytest.fixture(scope='session')
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def tool(repository, capsys, monkeypatch):
    """Runs a tool in this process; what it prints and its exit code are those of a process of its own."""

    def run(name, *arguments):
        path = repository / 'tools' / f'{name}.py'
        monkeypatch.chdir(repository)
        monkeypatch.syspath_prepend(path.parent)  # as of any script
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, arguments)])
        for kind in (Visualizer, HyperSegVisualizer):
            kind._instance_dict.clear()  # those of other runs, whose folders they keep
        capsys.readouterr()
        code = 0
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as left:
            code = left.code or 0
        said = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)

    return run


@pytest.fixture(scope='session', autouse=True)
def embedding_cache(tmp_path_factory):
    """One cache of text embeddings for the run and all its processes, apart from the user's."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / 'embeddings'
    os.environ['HYPERBOLIC_SEG_CACHE'] = str(folder)
    return folder


@pytest.fixture(scope='session')
def real_data() -> Path:
    """Real sky images; docs/contributing.md has their layout."""
    folder = Path(os.environ.get('HYPERBOLIC_SEG_DATA', REPOSITORY.parent / 'shared' / 'data'))
    if not folder.is_dir():
        pytest.skip(f'real sky images are not at {folder}; set HYPERBOLIC_SEG_DATA to their folder')
    return folder


@pytest.fixture(autouse=True)
def mmseg_scope():
    """Configs are read in MMSegmentation's scope, as a Runner does."""
    init_default_scope('mmseg')


@pytest.fixture(scope='session')
def tiny_sky(tmp_path_factory) -> Path:
    """Eight small images of the procedural sky on disk: six to train, two to validate."""
    root = tmp_path_factory.mktemp('tiny_sky')
    for folder in ('images', 'masks', 'attributes', 'splits'):
        (root / folder).mkdir()
    for seed in range(8):
        sky = render_sky(seed, 48)
        cv2.imwrite(str(root / 'images' / f'{seed}.png'), sky.image)
        cv2.imwrite(str(root / 'masks' / f'{seed}.png'), sky.labels)
        cv2.imwrite(str(root / 'attributes' / f'{seed}.png'), sky.attributes)
    (root / 'splits' / 'train.txt').write_text('\n'.join('012345'))
    (root / 'splits' / 'val.txt').write_text('6\n7\n')
    return root
