"""Processor time of the stages of ``hyperbolic-seg predict``, one after the other on one picture."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cv2
import torch

from hyperbolic_seg.apis import HyperSegInferencer, write_files
from hyperbolic_seg.app.steps import examine_image
from hyperbolic_seg.files import write_whole
from hyperbolic_seg.images import read_file, reduced_image
from whole_commands import STAGES

_T = TypeVar('_T')


def stages_of(inferencer: HyperSegInferencer, file: str, out: Path) -> dict[str, float]:
    """Return the processor time of every stage of ``STAGES``, in seconds.

    A stage that cannot run by itself is the difference of two that can.
    """
    took: dict[str, float] = {}

    def timed(name: str, run: Callable[[], _T]) -> _T:
        start = time.process_time()
        found = run()
        took[name] = time.process_time() - start
        return found

    image = timed('decode', lambda: read_file(file))
    batches = [timed('prepare', lambda: inferencer.prepare(image)) for _ in range(3)]
    image = reduced_image(image)
    timed('quality', lambda: examine_image(inferencer, image, file, camera=None, repeats=None))
    timed('forward', lambda: _forward(inferencer.model, batches[0]))
    timed('to refine', lambda: _infer(inferencer.model, batches[1]))
    prediction = timed('to labels', lambda: inferencer.predict_prepared(batches[2], reduced=True))
    record = timed('to files', lambda: write_files(out, 'timed', image, prediction, source=file))
    written = {path: cv2.imread(path, cv2.IMREAD_UNCHANGED) for path in record['files'].values()}
    encoded = timed('encode', lambda: {path: cv2.imencode('.png', each)[1].tobytes() for path, each in written.items()})
    timed('write', lambda: [write_whole(path, content) for path, content in encoded.items()])
    took['refine'] = took['to refine'] - took['forward']
    took['labels'] = took['to labels'] - took['to refine']
    took['overlay'] = took['to files'] - took['encode'] - took['write']
    return {name: took[name] for name in STAGES}


@torch.no_grad()
def _forward(model: Any, batch: dict[str, Any]) -> None:
    inputs = model.data_preprocessor(batch, False)['inputs']
    model.decode_head.forward_with_radius(model.features_of(inputs))


@torch.no_grad()
def _infer(model: Any, batch: dict[str, Any]) -> None:
    ready = model.data_preprocessor(batch, False)
    model.inference(ready['inputs'], [sample.metainfo for sample in ready['data_samples']])
