"""Memory and time of predictions of large images, with and without a camera, and with an exported file.

    python tools/benchmarks/large_images.py --megapixels 2 12 24 50 100
    python tools/export.py hyperclip-unet-cloud --prompts "clear sky" cloud --out cloud.onnx
    python tools/benchmarks/large_images.py --megapixels 2 12 --exported cloud.onnx cloud.int8.onnx

Each picture is a rendered fisheye sky, enlarged to a square and saved as JPEG with the noise of a sensor. It is
predicted in a process of its own, as ``hyperbolic-seg predict`` does it, with its maps and with ``--no-maps``, or at
384 pixels a side by an exported file.
The first prediction loads what is loaded once, on a picture of the renderer's size; the second one is timed. Printed
are the peak of the resident memory of the process (``ru_maxrss``), Python, PyTorch and model included, and the
processor time of one image, on one thread. Wall time is longer where other work shares the processor. ``resource`` is a
module of Linux and macOS.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

RENDERED = 1024
"""Side of the picture that the renderer makes, in pixels."""
SEED = 9
PROMPTS = ['clear sky', 'high cloud', 'mid cloud', 'low cloud', 'sun', 'obstruction', 'outside the lens']
NOISE = 2.0
"""Standard deviation of the noise, in levels."""
QUALITY = 90
SIDE = 384
"""Side of the image that an exported file gets, in pixels."""
CAMERA = """projection: equidistant
center: [{middle}, {middle}]
radius: {radius}
latitude: 59.94
longitude: 10.72
time_format: "%Y%m%d_%H%M%S"
timezone: UTC
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--megapixels', nargs='+', type=float, default=[2, 12, 24, 50, 100])
    parser.add_argument('--model', default='hyperclip-unet-cloud')
    parser.add_argument('--folder', type=Path, help='keep the pictures here; by default a temporary folder')
    parser.add_argument('--exported', nargs='+', type=Path, default=[], help='measure these ONNX files instead')
    parser.add_argument('--make', type=float, help=argparse.SUPPRESS)
    parser.add_argument('--predict', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--camera', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--no-maps', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args()


def make(folder: Path, megapixels: float) -> None:
    """Write the picture of a size, a small one, and the camera files of both."""
    import cv2
    import numpy as np

    from hyperbolic_seg.sky.renderer import render_sky, sample_scene

    # The dome is found in it, so that it is dark around it, and nothing is drawn there.
    side = round((megapixels * 1e6) ** 0.5)
    scene = sample_scene(SEED, camera='fisheye', time='day', genera=['cumulus', 'cirrus']).plain()
    scene = replace(scene, camera=replace(scene.camera, surround=0))
    small = render_sky(SEED, RENDERED, scene=scene).image
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    draw = np.random.default_rng(0)
    for rows in np.array_split(large, max(side // 256, 1)):
        noise = draw.normal(0, NOISE, rows.shape).astype(np.float32)
        rows[...] = np.clip(rows + noise, 0, 255).astype(np.uint8)
    for name, image in (('warm', small), ('timed', large)):
        file = folder / f'{name}_20240621_120000.jpg'
        if not cv2.imwrite(str(file), image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
            raise OSError(f'{file} cannot be written')
        middle = (image.shape[0] - 1) / 2
        file.with_suffix('.yaml').write_text(CAMERA.format(middle=middle, radius=scene.camera.dome_radius * middle))


def predict(image: Path, model: str, *, with_camera: bool, maps: bool) -> dict[str, float]:
    """Predict pictures with a model; see :func:`timed`."""
    import torch

    from hyperbolic_seg.apis import HyperSegInferencer
    from hyperbolic_seg.app.batch import predict_files
    from hyperbolic_seg.sky.camera import SkyCamera

    torch.set_num_threads(1)
    inferencer = HyperSegInferencer(model, device='cpu')
    inferencer.set_prompts(PROMPTS)

    def run(file: Path) -> None:
        camera = SkyCamera.load(file.with_suffix('.yaml')) if with_camera else None
        with TemporaryDirectory() as out:
            (record,) = predict_files(inferencer, [str(file)], out, camera=camera, maps=maps)
        if 'fractions' not in record:
            raise RuntimeError(f'{file} was not predicted: {record}')

    return timed(run, image)


def run_exported(image: Path, exported: Path) -> dict[str, float]:
    """Do as :func:`predict` does with an exported file, without this library and PyTorch."""
    import numpy as np
    import onnxruntime
    from PIL import Image

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(exported), options, providers=['CPUExecutionProvider'])

    def run(file: Path) -> None:
        with Image.open(file) as opened:
            opened.draft('RGB', (2 * SIDE, 2 * SIDE))  # a JPEG is decoded at an eighth of its size, or a quarter
            pixels = np.asarray(opened.convert('RGB').resize((SIDE, SIDE)), np.float32)
        session.run(None, {'images': pixels.transpose(2, 0, 1)[None]})

    return timed(run, image)


def timed(run: Callable[[Path], None], image: Path) -> dict[str, float]:
    """Run on a small picture and then on a large one; return the peak of the memory in MiB, and seconds of the second.

    Seconds are of the processor, ``cpu``, and of the clock, ``wall``.
    """
    run(image.with_name(image.name.replace('timed', 'warm')))
    cpu, wall = time.process_time(), time.perf_counter()
    run(image)
    took = dict(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall)
    return dict(took, peak=peak_memory())


def peak_memory() -> float:
    """Return the peak of the resident memory of this process in MiB."""
    import resource

    unit = 1 if sys.platform == 'darwin' else 1024  # of ru_maxrss, in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def in_process(*arguments: object, script: str | Path = __file__) -> str:
    """Run a script, this one by default, in a process of its own, whose memory is its own; return what it prints."""
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def measure(folder: Path, megapixels: float, options: list[list[str]]) -> list[dict[str, float]]:
    """Return what a prediction of a size takes with each of several options of this script."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / 'timed_20240621_120000.jpg'
    if not image.exists():
        in_process('--make', megapixels, '--folder', folder)
    return [json.loads(in_process('--predict', image, *each).splitlines()[-1]) for each in options]


def row(megapixels: float, found: list[dict[str, float]]) -> str:
    """Return the row of a size in the table."""
    cells = (f'{each["peak"]:.0f} | {each["cpu"]:.2g}' for each in found)
    return f'| {megapixels:g} | {" | ".join(cells)} |'


def main() -> None:
    """Print the table, a row for every size."""
    args = parse_args()
    if args.make is not None:
        make(args.folder, args.make)
    elif args.predict is not None and args.exported:
        print(json.dumps(run_exported(args.predict, args.exported[0])))
    elif args.predict is not None:
        print(json.dumps(predict(args.predict, args.model, with_camera=args.camera, maps=not args.no_maps)))
    else:
        model = ['--model', args.model]
        ways: list[list[str]] = [[], ['--no-maps'], ['--camera'], ['--camera', '--no-maps']]
        options = [['--exported', str(file)] for file in args.exported] or [[*model, *way] for way in ways]
        names = [file.name for file in args.exported] or [' '.join(['predict', *way]) for way in ways]
        print(f'| megapixels | {" | ".join(f"{name}: peak, MiB | seconds" for name in names)} |')
        print('|---' * (1 + 2 * len(names)) + '|')
        with TemporaryDirectory() as temporary:
            for size in args.megapixels:
                print(row(size, measure((args.folder or Path(temporary)) / f'{size:g}', size, options)), flush=True)


if __name__ == '__main__':
    main()
