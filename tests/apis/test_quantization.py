"""Quantization of ONNX files, against what they computed before."""

import numpy as np
import pytest

from hyperbolic_seg.apis import halve_onnx, quantize_onnx

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')


def save(path, parts):
    """Write a chain of 3 x 3 convolutions, each in a part of a model, as an export names them."""
    random, nodes, weights, last = np.random.default_rng(0), [], [], 'images'
    for number, part in enumerate(parts):
        weight = random.normal(0, 0.2, (3, 3, 3, 3)).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(weight, f'weight_{number}'))
        node = onnx.helper.make_node(
            'Conv', [last, f'weight_{number}'], [f'map_{number}'], f'conv_{number}', pads=[1] * 4
        )
        node.metadata_props.add(key='pkg.torch.onnx.name_scopes', value=str(['', part, f'{part}.layer']))
        nodes.append(node)
        last = f'map_{number}'
    sides = (1, 3, 'height', 'width')
    infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides) for name in ('images', last)]
    graph = onnx.helper.make_graph(nodes, 'chain', infos[:1], infos[1:], weights)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=10), path)


def images(count, size=16):
    return [image for image in np.random.default_rng(1).uniform(0, 255, (count, 3, size, size)).astype(np.float32)]


def test_backbone_and_neck_are_quantized_and_the_head_is_not(tmp_path):
    path, out = tmp_path / 'a.onnx', tmp_path / 'b.onnx'
    save(path, ['backbone', 'neck', 'head'])
    quantize_onnx(path, out, images(8))
    dequantized = {
        name for node in onnx.load(out).graph.node if node.op_type == 'DequantizeLinear' for name in node.output
    }
    of_weights = [node.input[1] in dequantized for node in onnx.load(out).graph.node if node.op_type == 'Conv']
    assert of_weights == [True, True, False]
    image = images(9, size=24)[-1:]
    before, after = (
        onnxruntime.InferenceSession(str(p)).run(None, {'images': np.stack(image)})[0] for p in (path, out)
    )
    error = np.abs(after - before).max() / np.abs(before).max()
    assert 0 < error < 0.05, 'a step of 127 on each of two layers, not more'


def test_what_cannot_be_quantized_is_refused(tmp_path):
    path, out = tmp_path / 'a.onnx', tmp_path / 'b.onnx'
    save(path, ['head'])
    with pytest.raises(ValueError, match='no convolution that says it is in the backbone or neck'):
        quantize_onnx(path, out, images(1))
    save(path, ['backbone'])
    with pytest.raises(ValueError, match='no calibration images'):
        quantize_onnx(path, out, [])
    assert not out.exists()


def test_the_tool_calibrates_on_folders_and_names_what_is_wrong(tool, tiny_sky, tmp_path):
    path, out = tmp_path / 'a.onnx', tmp_path / 'a.int8.onnx'
    save(path, ['backbone', 'head'])
    arguments = ('quantize', path, tiny_sky / 'images', '--num-images', 3, '--size', 32, 32)
    done = tool(*arguments)
    assert done.returncode == 0 and 'calibrated on 3 images' in done.stdout and out.exists(), done.stderr
    again = tool(*arguments)
    assert again.returncode == 2 and '--overwrite' in again.stderr
    (tmp_path / 'empty').mkdir()
    empty = tool('quantize', path, tmp_path / 'empty', '--out', tmp_path / 'c.onnx')
    assert empty.returncode == 2 and 'no image in' in empty.stderr and not (tmp_path / 'c.onnx').exists()


def test_weights_in_half_precision_are_computed_with_in_float32(tool, tmp_path):
    path, out = tmp_path / 'a.onnx', tmp_path / 'a.fp16.onnx'
    save(path, ['backbone', 'neck', 'head'])
    done = tool('quantize', path, '--half')
    assert done.returncode == 0 and 'weights in half precision' in done.stdout, done.stderr
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(out).graph.initializer}
    half, whole = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    assert kinds == {'weight_0.half': half, 'weight_1.half': half, 'weight_2': whole}
    onnx.checker.check_model(onnx.load(out), full_check=True)
    model = onnx.load(path)
    for tensor in list(model.graph.initializer)[:2]:
        rounded = onnx.numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(rounded, tensor.name))
    with pytest.raises(ValueError, match='no convolution of backbone or neck has weights in float32'):
        halve_onnx(out, tmp_path / 'twice.onnx')
    given = {'images': np.stack(images(1))}
    expected, found = (
        onnxruntime.InferenceSession(one).run(None, given)[0] for one in (model.SerializeToString(), str(out))
    )
    np.testing.assert_array_equal(found, expected)
    for wrong in ((), (tmp_path, '--half')):
        refused = tool('quantize', path, *wrong, '--out', tmp_path / 'none.onnx')
        assert refused.returncode == 2 and 'expected folders of images, for 8 bits, or --half' in refused.stderr


def test_weights_beyond_half_precision_are_refused(tmp_path):
    path = tmp_path / 'a.onnx'
    save(path, ['backbone'])
    model = onnx.load(path)
    large = np.full((3, 3, 3, 3), 1e5, np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(large, 'weight_0'))
    onnx.save(model, path)
    with pytest.raises(ValueError, match='weight_0 has weights up to 100000, half precision none above 65504'):
        halve_onnx(path, tmp_path / 'b.onnx')
    assert not (tmp_path / 'b.onnx').exists()
