"""What is run: the command of this library, and MMSegmentation's inferencer with a plain head on the same encoder."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from mmengine.config import Config

PROMPTS = ['clear sky', 'high cloud', 'mid cloud', 'low cloud', 'obstruction']
PALETTE = [[46, 122, 209], [240, 240, 250], [180, 190, 200], [110, 120, 130], [60, 40, 20]]
"""Colors of MMSegmentation's overlays."""
SCALE = (192, 192)
"""Size to which MMSegmentation's pipeline resizes, as that of the released model."""


class Runner(Protocol):
    """A loaded model and its command."""

    def prepare(self, files: Sequence[str]) -> list[Any]:
        """Return pictures as the model takes them, one batch each."""

    def run_model(self, batches: Sequence[Any]) -> None:
        """Run the model alone, to labels at the size of each picture."""

    def run_whole(self, files: Sequence[str], out: Path) -> None:
        """Run the command, from the files of pictures to those of labels and overlays."""


class Predict:
    """``hyperbolic-seg predict`` after its start."""

    def __init__(self, model: str) -> None:
        from hyperbolic_seg.apis import HyperSegInferencer

        self.inferencer = HyperSegInferencer(model, device='cpu')
        self.inferencer.set_prompts(PROMPTS)

    def prepare(self, files: Sequence[str]) -> list[Any]:
        """Do as :meth:`Runner.prepare` says."""
        return [self.inferencer.prepare(file) for file in files]

    def run_model(self, batches: Sequence[Any]) -> None:
        """Do as :meth:`Runner.run_model` says."""
        for batch in batches:
            self.inferencer.predict_prepared(batch, reduced=True)

    def run_whole(self, files: Sequence[str], out: Path) -> None:
        """Do as :meth:`Runner.run_whole` says."""
        from hyperbolic_seg.app.batch import predict_files

        for record in predict_files(self.inferencer, files, out):
            if 'fractions' not in record:
                raise RuntimeError(f'{record["image"]} was not predicted: {record}')


class Plain:
    """``MMSegInferencer`` with an FCN head on a U-Net of the same encoder, with weights at random.

    It writes labels and overlays, too.
    """

    def __init__(self, model: str) -> None:
        from mmseg.apis import MMSegInferencer

        from hyperbolic_seg import plugin  # noqa: F401

        with TemporaryDirectory() as folder:
            file = Path(folder) / 'plain.py'
            plain_config(model).dump(file)
            options: dict[str, Any] = dict(classes=PROMPTS, palette=PALETTE, device='cpu')
            self.inferencer = MMSegInferencer(str(file), **options)
        self.inferencer.show_progress = False

    def prepare(self, files: Sequence[str]) -> list[Any]:
        """Do as :meth:`Runner.prepare` says."""
        return [self.inferencer.collate_fn([self.inferencer.pipeline(file)]) for file in files]

    def run_model(self, batches: Sequence[Any]) -> None:
        """Do as :meth:`Runner.run_model` says."""
        for batch in batches:
            self.inferencer.forward(batch)

    def run_whole(self, files: Sequence[str], out: Path) -> None:
        """Do as :meth:`Runner.run_whole` says."""
        self.inferencer(list(files), out_dir=str(out), img_out_dir='overlays', pred_out_dir='labels')


def plain_config(model: str) -> Config:
    """Return the config of an FCN head on the backbone of a released model."""
    from hyperbolic_seg.apis import load_release

    released, _ = load_release(model)
    head = released.model.decode_head
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=SCALE, keep_ratio=True),
        dict(type='PackSegInputs'),
    ]
    return Config(
        dict(
            default_scope='mmseg',
            model=dict(
                type='EncoderDecoder',
                data_preprocessor=released.model.data_preprocessor,
                backbone=dict(released.model.backbone, weights=None),
                decode_head=dict(
                    type='FCNHead',
                    in_channels=head.in_channels,
                    in_index=-1,
                    channels=head.in_channels,
                    num_convs=1,
                    concat_input=False,
                    num_classes=len(PROMPTS),
                    norm_cfg=dict(type='BN', requires_grad=True),
                    loss_decode=dict(type='CrossEntropyLoss'),
                ),
                test_cfg=dict(mode='whole'),
            ),
            test_dataloader=dict(dataset=dict(type='BaseSegDataset', pipeline=pipeline)),
            visualizer=dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'),
        )
    )


RUNNERS: dict[str, type[Predict] | type[Plain]] = {'predict': Predict, 'MMSegInferencer': Plain}
"""What is run, by the name in the tables."""
