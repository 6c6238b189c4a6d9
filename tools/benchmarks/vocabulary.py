r"""Time and memory of a prediction against the number of prompts, three ways, in one run.

    python tools/benchmarks/vocabulary.py
    python tools/benchmarks/vocabulary.py --size 512 --prompts 10 100 --rounds 5

A picture is predicted by sliding windows, with the words encoded before: 'chunks' by HyperCLIPSegmentor, some classes
at a time; 'mmseg' by the sliding inference of MMSegmentation's EncoderDecoder, which holds the logits of all classes;
'naive' by the same, with the words encoded anew for each picture. All have the same U-Net with random weights, and the
same labels come out. They run in turn in every round; times are medians over rounds, ratios medians over rounds of
one's time over that of 'chunks' in the same round. Memory is the peak of the resident set above that of the model, each
in a process of its own, as Linux tells it. What would take more memory than there is free is not run, and is marked by
what its logits need.
"""

import argparse
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor

import hyperbolic_seg
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.text import Vocabulary

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'hyperclip_unet_cloud_swimseg.py'
WAYS = ('chunks', 'mmseg', 'naive')
SIZES = ('small', 'large', 'old', 'new', 'wet')
COLOURS = ('red', 'orange', 'yellow', 'green', 'blue', 'violet', 'brown', 'white', 'grey', 'black', 'pink', 'golden')
THINGS = ('barn', 'dog', 'tree', 'car', 'river', 'house', 'boat', 'bird', 'stone', 'road', 'flower', 'fence', 'table')
ENDS = ('', ' in the distance')
CHUNK = 64  # classes at a time, as by default
COPIES = 4  # of all logits: the sum, the padded window, the mean, the enlarged result


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--prompts', type=int, nargs='+', default=[10, 100, 300, 1000])
    parser.add_argument('--size', type=int, default=1024, help='pixels of a side of the picture')
    parser.add_argument('--window', type=int, default=512, help='pixels of a side of a window, moved by three quarters')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    if most := [n for n in args.prompts if not 2 <= n <= len(words())]:
        parser.error(f'--prompts: expected 2 to {len(words())}, got {most}')
    return args


def words() -> list[str]:
    """Return more than a thousand different prompts."""
    return [' '.join(parts) + end for *parts, end in itertools.product(SIZES, COLOURS, THINGS, ENDS)]


def build(args: argparse.Namespace, count: int) -> HyperCLIPSegmentor:
    """Build the model that names so many things."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    model = MODELS.build(Config.fromfile(CONFIG).model)
    model.init_weights()
    stride = args.window * 3 // 4
    model.test_cfg = ConfigDict(mode='slide', crop_size=(args.window,) * 2, stride=(stride,) * 2)
    model.set_vocabulary(Vocabulary.from_prompts(words()[:count]))
    model.decode_head.text()
    return model.eval()


@torch.no_grad()
def predict(model: HyperCLIPSegmentor, picture: Tensor, way: str) -> Tensor:
    """Return the labels of a picture, (H, W)."""
    model.__class__ = HyperCLIPSegmentor if way == 'chunks' else AllAtOnce
    model.test_cfg.class_chunk = CHUNK if way == 'chunks' else len(model.vocabulary)
    if way == 'naive':
        encoder = model.decode_head.text.encoder
        with tempfile.TemporaryDirectory() as nothing_cached:
            encoder.cache_dir = nothing_cached
            model.decode_head.text.embeddings = encoder.encode_vocabulary(model.vocabulary)
            encoder.cache_dir = None
    return model.predict(picture)[0].pred_sem_seg.data[0]


class AllAtOnce(HyperCLIPSegmentor):
    """The same model with MMSegmentation's own sliding inference."""

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Average over windows, each padded to the whole: (N, K + 1, H, W)."""
        self.out_channels += 1  # it allocates what encode_decode returns: logits and radius
        try:
            return EncoderDecoder.slide_inference(self, inputs, batch_img_metas)
        finally:
            self.out_channels -= 1


def peak(args: argparse.Namespace, count: int, way: str) -> float:
    """Return the peak of memory above that of the model, in GiB; runs in a process of its own."""
    model = build(args, count)
    model.decode_head.text.encoder._loaded = model.decode_head.text.encoder._tower = None
    picture = torch.randn(1, 3, args.size, args.size)
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew
    before = told('/proc/self/status', 'VmRSS')
    predict(model, picture, way)
    return told('/proc/self/status', 'VmHWM') - before


def told(file: str, key: str) -> float:
    """Return a figure that Linux tells, in GiB."""
    line = next(line for line in Path(file).read_text().splitlines() if line.startswith(f'{key}:'))
    return int(line.split()[1]) / 2**20


def needed(args: argparse.Namespace, count: int, way: str) -> float:
    """Return what all logits need in GiB, with the copies that are made of them."""
    return 0.0 if way == 'chunks' else COPIES * 4 * (count + 1) * args.size**2 / 2**30


def timed(function: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Return seconds and outcome."""
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


def measure(args: argparse.Namespace, count: int) -> None:
    """Print the rows of so many prompts."""
    free = told('/proc/meminfo', 'MemAvailable')
    ways = [way for way in WAYS if needed(args, count, way) < 0.8 * free]
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as pool:
        memory = {way: pool.apply(peak, (args, count, way)) for way in ways}
    model, picture = build(args, count), torch.randn(1, 3, args.size, args.size)
    rounds = []
    for _ in range(args.rounds):
        found = {way: timed(partial(predict, model, picture, way)) for way in ways}
        same = min((labels == found['chunks'][1]).float().mean().item() for _, labels in found.values())
        if same < 0.999:
            raise RuntimeError(f'the labels of {count} prompts agree at {same:.4f} of the pixels: expected all')
        rounds.append({way: seconds for way, (seconds, _) in found.items()})
    for way in WAYS:
        if way not in ways:
            print(f'| {count} | {way} | needs about {needed(args, count, way):.0f} GiB | | |')
            continue
        times, ratios = [r[way] for r in rounds], [r[way] / r['chunks'] for r in rounds]
        spread = f'{min(times):.2f} to {max(times):.2f}'
        median = statistics.median(times)
        print(f'| {count} | {way} | {memory[way]:.2f} | {median:.2f} ({spread}) | {statistics.median(ratios):.2f} |')
    sys.stdout.flush()


def main() -> None:
    """Print a table."""
    args = parse_args()
    print(f'# {args.size} x {args.size}, windows of {args.window}, {args.threads} threads, torch {torch.__version__}, '
          f'hyperbolic_seg {hyperbolic_seg.__version__}')  # fmt: skip
    print('| prompts | way | GiB above the model | seconds | ratio |\n|---|---|---|---|---|')
    for count in args.prompts:
        measure(args, count)


if __name__ == '__main__':
    main()
