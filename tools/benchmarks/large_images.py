"""Memory and time of predictions of large images, with and without a camera.

    python tools/benchmarks/large_images.py --megapixels 2 12 24 50 100

Each picture is a rendered fisheye sky, enlarged to a square and saved as JPEG with the noise of a sensor. It is
predicted in a process of its own, as ``hyperbolic-seg predict`` does it: the first prediction loads what is loaded
once, on a picture of the renderer's size; the second one is timed. Printed are the peak of the resident memory of the
process (``ru_maxrss``), Python, PyTorch and model included, and the processor time of one image, on one thread. Wall
time is longer where other work shares the processor. ``resource`` is a module of Linux and macOS.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

RENDERED = 1024
"""Side of the picture that the renderer makes, in pixels."""
SEED = 9
PROMPTS = ['clear sky', 'high cloud', 'mid cloud', 'low cloud', 'sun', 'obstruction', 'outside the lens']
NOISE = 2.0
"""Standard deviation of the noise, in levels."""
QUALITY = 90
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
    parser.add_argument('--make', type=float, help=argparse.SUPPRESS)
    parser.add_argument('--predict', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--camera', type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def make(folder: Path, megapixels: float) -> None:
    """Write the picture of a size, a small one, and the camera files of both."""
    import cv2
    import numpy as np

    from hyperbolic_seg.sky.renderer import render_sky, sample_scene

    side = round((megapixels * 1e6) ** 0.5)
    scene = sample_scene(SEED, camera='fisheye', time='day', genera=['cumulus', 'cirrus'])
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


def predict(image: Path, model: str, *, with_camera: bool) -> dict[str, float]:
    """Predict a small picture and then a large one; return the peak of the memory in MiB, and seconds of the second."""
    import resource

    import torch

    from hyperbolic_seg.apis import HyperSegInferencer
    from hyperbolic_seg.app.batch import predict_files
    from hyperbolic_seg.sky.camera import SkyCamera

    torch.set_num_threads(1)
    inferencer = HyperSegInferencer(model, device='cpu')
    inferencer.set_prompts(PROMPTS)
    small = image.with_name(image.name.replace('timed', 'warm'))
    took = dict[str, float]()
    with TemporaryDirectory() as out:
        for file in (small, image):
            camera = SkyCamera.load(file.with_suffix('.yaml')) if with_camera else None
            cpu, wall = time.process_time(), time.perf_counter()
            (record,) = predict_files(inferencer, [str(file)], out, camera=camera)
            took = dict(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall)
            if 'error' in record:
                raise RuntimeError(f'{file}: {record["error"]}')
    unit = 1 if sys.platform == 'darwin' else 1024  # of ru_maxrss, in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return dict(took, peak=peak * unit / 2**20)


def in_process(*arguments: object) -> str:
    """Run this script in a process of its own, whose memory is its own, and return what it prints."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def measure(folder: Path, megapixels: float, model: str) -> list[dict[str, float]]:
    """Return what a prediction of a size takes, without and with a camera."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / 'timed_20240621_120000.jpg'
    if not image.exists():
        in_process('--make', megapixels, '--folder', folder)
    common = ('--predict', image, '--model', model)
    lines = [in_process(*common, *more) for more in ((), ('--camera', image.with_suffix('.yaml')))]
    return [json.loads(line.splitlines()[-1]) for line in lines]


def main() -> None:
    """Print the table, a row for every size."""
    args = parse_args()
    if args.make is not None:
        make(args.folder, args.make)
    elif args.predict is not None:
        print(json.dumps(predict(args.predict, args.model, with_camera=args.camera is not None)))
    else:
        print('| megapixels | peak, MiB | seconds | with a camera: peak, MiB | seconds |')
        print('|---|---|---|---|---|')
        with TemporaryDirectory() as temporary:
            for size in args.megapixels:
                found = measure((args.folder or Path(temporary)) / f'{size:g}', size, args.model)
                cells = (f'{each["peak"]:.0f} | {each["cpu"]:.1f}' for each in found)
                print(f'| {size:g} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
