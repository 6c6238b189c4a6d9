"""The comparison of exported files, on a file whose predictions are known: what is bright is cloud."""

import runpy

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


@pytest.fixture(scope='module')
def benchmark(repository):
    return runpy.run_path(str(repository / 'tools' / 'benchmarks' / 'exported.py'))


def save(path, gain):
    """Write a file whose logit of cloud is the gain times the red level over 128, and that of clear sky is 0."""
    weight, bias = np.zeros((2, 3, 1, 1), np.float32), np.array([0, -128 * gain], np.float32)
    weight[1, 0] = gain
    nodes = [
        onnx.helper.make_node('Conv', ['images', 'weight', 'bias'], ['logits']),
        onnx.helper.make_node('Softmax', ['logits'], ['probabilities'], axis=1),
        onnx.helper.make_node('ArgMax', ['logits'], ['labels'], axis=1, keepdims=0),
    ]
    weights = [onnx.numpy_helper.from_array(value, name) for name, value in (('weight', weight), ('bias', bias))]
    infos = {
        name: onnx.helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ('images', onnx.TensorProto.FLOAT, ('n', 3, 'h', 'w')),
            ('probabilities', onnx.TensorProto.FLOAT, ('n', 2, 'h', 'w')),
            ('labels', onnx.TensorProto.INT64, ('n', 'h', 'w')),
        )
    }
    graph = onnx.helper.make_graph(nodes, 'rule', [infos.pop('images')], list(infos.values()), weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=10)
    model.metadata_props.add(key='divisor', value='4')
    onnx.save(model, path)


def test_a_file_that_predicts_the_mask_has_an_miou_of_one(benchmark, tmp_path):
    save(tmp_path / 'a.onnx', 0.1)
    run = benchmark['load'](tmp_path / 'a.onnx', 'CPUExecutionProvider')
    image, mask = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    image[:20, :, 2], mask[:20] = 255, 1  # red is the last channel of an image as OpenCV reads it
    assert benchmark['miou'](run, [(image, mask)], (40, 40)) == 1
    assert benchmark['miou'](run, [(image, 1 - mask)], (40, 40)) == 0
    mask[30:] = 1  # of 800 pixels of clear sky 400 are right, of 1200 of cloud 800
    assert benchmark['miou'](run, [(image, mask)], (40, 40)) == pytest.approx((400 / 800 + 800 / 1200) / 2)


def test_another_file_differs_and_an_unknown_provider_is_refused(benchmark, tmp_path):
    runs = []
    for name, gain in (('a', 0.01), ('b', -0.01)):
        save(tmp_path / f'{name}.onnx', gain)
        runs.append(benchmark['load'](tmp_path / f'{name}.onnx', 'CPUExecutionProvider'))
    step = benchmark['step_of'](tmp_path / 'a.onnx')
    assert step == 4 and benchmark['differences'](runs[0], runs[0], (8, 8), step) == (0, 0)
    gap, other = benchmark['differences'](runs[1], runs[0], (8, 8), step)
    assert gap > 0.5 and other > 0.9
    assert len(benchmark['median_times'](runs, np.zeros((1, 3, 8, 8), np.float32), 2)) == 2
    with pytest.raises(ValueError, match='no SomeProvider: the onnxruntime that is installed has'):
        benchmark['load'](tmp_path / 'a.onnx', 'SomeProvider')
