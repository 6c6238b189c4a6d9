r"""Measure time and memory of a prediction by number of prompts, for three ways to predict.

    python tools/benchmarks/vocabulary.py
    python tools/benchmarks/vocabulary.py --size 512 --prompts 10 100 --rounds 5

The image is predicted with sliding windows:

- 'chunks': HyperCLIPSegmentor, some classes at a time, with prompts encoded in advance.
- 'mmseg': the sliding inference of MMSegmentation's EncoderDecoder, which keeps the logits of all classes in memory.
- 'naive': the same, and the prompts are encoded again for each image.

All use the same U-Net with random weights and give the same labels. They run in turn in every round. Times are medians
over rounds; a ratio is the median over rounds of the time of a way, divided by that of 'chunks' in the same round.
Memory is the peak of a separate process, minus that of the model: its resident set, as reported by Linux, or on a GPU
what PyTorch allocates. A way that would need more than the free memory is not run; its row has what its logits need.
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
COLORS = ('red', 'orange', 'yellow', 'green', 'blue', 'violet', 'brown', 'white', 'gray', 'black', 'pink', 'golden')
THINGS = ('barn', 'dog', 'tree', 'car', 'river', 'house', 'boat', 'bird', 'stone', 'road', 'flower', 'fence', 'table')
ENDS = ('', ' in the distance')
CHUNK = 64  # classes at a time, the default of HyperCLIPSegmentor
COPIES = 4  # copies of all logits: sum, padded window, mean, enlarged result


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--prompts', type=int, nargs='+', default=[10, 100, 300, 1000])
    parser.add_argument('--size', type=int, default=1024, help='side of the image in pixels')
    parser.add_argument('--window', type=int, default=512, help='side of a window in pixels; the stride is 3/4 of it')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--ways', nargs='+', choices=WAYS[1:], default=WAYS[1:], help="ways beside 'chunks'")
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    if most := [n for n in args.prompts if not 2 <= n <= len(words())]:
        parser.error(f'--prompts: expected 2 to {len(words())}, got {most}')
    return args


def words() -> list[str]:
    """Return more than a thousand distinct prompts."""
    return [' '.join(parts) + end for *parts, end in itertools.product(SIZES, COLORS, THINGS, ENDS)]


def build(args: argparse.Namespace, count: int) -> HyperCLIPSegmentor:
    """Build the model with the first ``count`` prompts."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    model = MODELS.build(Config.fromfile(CONFIG).model)
    model.init_weights()
    stride = args.window * 3 // 4
    model.test_cfg = ConfigDict(mode='slide', crop_size=(args.window,) * 2, stride=(stride,) * 2)
    model.set_vocabulary(Vocabulary.from_prompts(words()[:count]))
    model.decode_head.text()
    return model.to(args.device).eval()


@torch.no_grad()
def predict(model: HyperCLIPSegmentor, image: Tensor, way: str) -> Tensor:
    """Return the labels (H, W) of an image (1, 3, H, W)."""
    model.__class__ = HyperCLIPSegmentor if way == 'chunks' else AllAtOnce
    model.test_cfg.class_chunk = CHUNK if way == 'chunks' else len(model.vocabulary)
    if way == 'naive':
        encoder = model.decode_head.text.encoder
        with tempfile.TemporaryDirectory() as empty_cache:
            encoder.cache_dir = empty_cache
            model.decode_head.text.embeddings = encoder.encode_vocabulary(model.vocabulary).to(image.device)
            encoder.cache_dir = None
    return model.predict(image)[0].pred_sem_seg.data[0]


class AllAtOnce(HyperCLIPSegmentor):
    """Segmentor with the sliding inference of MMSegmentation."""

    @property
    def out_channels(self) -> int:
        """Channels of the output of ``encode_decode``: logits and radius."""
        return len(self.vocabulary) + 1

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return the mean over windows, each padded to the whole image, (N, K + 1, H, W)."""
        return EncoderDecoder.slide_inference(self, inputs, batch_img_metas)


def peak_memory(args: argparse.Namespace, count: int, way: str) -> float:
    """Return the peak of memory minus that of the model, in GiB; to be called in a separate process."""
    model = build(args, count)
    model.decode_head.text.encoder._loaded = model.decode_head.text.encoder._tower = None
    image = torch.randn(1, 3, args.size, args.size, device=args.device)
    if image.is_cuda:
        torch.cuda.reset_peak_memory_stats(image.device)
        before = torch.cuda.memory_allocated(image.device)
        predict(model, image, way)
        return (torch.cuda.max_memory_allocated(image.device) - before) / 2**30
    Path('/proc/self/clear_refs').write_text('5')  # resets the peak
    before = read_gib('/proc/self/status', 'VmRSS')
    predict(model, image, way)
    return read_gib('/proc/self/status', 'VmHWM') - before


def free_memory(device: torch.device) -> float:
    """Return the free memory of a device, in GiB."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0] / 2**30
    return read_gib('/proc/meminfo', 'MemAvailable')


def read_gib(file: str, key: str) -> float:
    """Return an entry of a file of /proc, in GiB."""
    line = next(line for line in Path(file).read_text().splitlines() if line.startswith(f'{key}:'))
    return int(line.split()[1]) / 2**20


def logits_memory(args: argparse.Namespace, count: int, way: str) -> float:
    """Return the memory of all logits with their copies, in GiB; 0 for a way that does not keep them."""
    return 0.0 if way == 'chunks' else COPIES * 4 * (count + 1) * args.size**2 / 2**30


def timed(function: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Call a function; return the seconds and the result."""
    start = time.perf_counter()
    found = function()
    if found.is_cuda:
        torch.cuda.synchronize(found.device)
    return time.perf_counter() - start, found


def measure(args: argparse.Namespace, count: int) -> None:
    """Print the rows of the table for a number of prompts."""
    free = free_memory(torch.device(args.device))
    asked = [WAYS[0], *args.ways]
    ways = [way for way in asked if logits_memory(args, count, way) < 0.8 * free]
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as pool:
        memory = {way: pool.apply(peak_memory, (args, count, way)) for way in ways}
    model, image = build(args, count), torch.randn(1, 3, args.size, args.size, device=args.device)
    rounds = []
    for _ in range(args.rounds):
        found = {way: timed(partial(predict, model, image, way)) for way in ways}
        same = min((labels == found['chunks'][1]).float().mean().item() for _, labels in found.values())
        if same < 0.999:
            raise RuntimeError(f'labels of {count} prompts agree in {same:.4f} of the pixels, expected at least 0.999')
        rounds.append({way: seconds for way, (seconds, _) in found.items()})
    for way in asked:
        if way not in ways:
            print(f'| {count} | {way} | needs about {logits_memory(args, count, way):.0f} GiB | | |')
            continue
        times, ratios = [r[way] for r in rounds], [r[way] / r['chunks'] for r in rounds]
        spread = f'{min(times):.2f} to {max(times):.2f}'
        median = statistics.median(times)
        print(f'| {count} | {way} | {memory[way]:.2f} | {median:.2f} ({spread}) | {statistics.median(ratios):.2f} |')
    sys.stdout.flush()


def main() -> None:
    """Print the table in Markdown."""
    args = parse_args()
    is_gpu = torch.device(args.device).type == 'cuda'
    where = torch.cuda.get_device_name(args.device) if is_gpu else f'{args.threads} threads'
    print(f'# {args.size} x {args.size}, windows of {args.window}, {where}, torch {torch.__version__}, '
          f'hyperbolic_seg {hyperbolic_seg.__version__}')  # fmt: skip
    print('| prompts | way | GiB above the model | seconds | ratio |\n|---|---|---|---|---|')
    for count in args.prompts:
        measure(args, count)


if __name__ == '__main__':
    main()
