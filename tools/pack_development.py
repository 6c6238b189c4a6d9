"""Pack the development sets, small, into one file to train from on another machine.

    python tools/benchmarks/development.py SETS data/development
    python tools/pack_development.py data/development development.zip

The file has the layout of data/development: a folder for each set with images, label files and splits. Images larger
than --size are shrunk and compressed anew; others are copied as they are. With them come the text embeddings that a
training of the config asks for, so that the other machine needs no text encoder. tools/train_released.py unpacks it; so
does `python -m zipfile -e development.zip data/development`. The sets keep their licenses: the file is for a copy to
another machine of one's own, never to be published.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import cv2
import numpy as np
from tqdm import tqdm

from hyperbolic_seg.files import whole_file

ROOT = Path(__file__).resolve().parents[1]
SETS = ('swimseg', 'swinseg', 'wsiseg', 'ccsn')
SIDES = ('train', 'val')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('development', type=Path, help='folder that development.py wrote')
    parser.add_argument('out', type=Path, help='ZIP file to write')
    parser.add_argument('--size', type=int, default=320, help='limit of the longer side in pixels (default 320)')
    parser.add_argument('--quality', type=int, default=85, help='quality of the JPEG files, 1 to 100 (default 85)')
    parser.add_argument('--max-megabytes', type=float, default=60.0, help='largest file to write (default 60)')
    parser.add_argument('--sets', nargs='+', choices=SETS, default=list(SETS), help='sets to pack (default: all)')
    parser.add_argument(
        '--config',
        type=Path,
        default=ROOT / 'configs/released/hyperclip_unet_cloud.py',
        help='config whose text embeddings are packed (default: that of the released model)',
    )
    args = parser.parse_args(argv)
    if args.size < 32 or not 1 <= args.quality <= 100:
        parser.error(f'expected --size of at least 32 and --quality from 1 to 100, got {args.size} and {args.quality}')
    if absent := [name for name in args.sets if not (args.development / name / 'splits').is_dir()]:
        parser.error(f'{args.development} lacks {", ".join(absent)}: write it by tools/benchmarks/development.py')
    return args


def shrunk_shape(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Return width and height of an image whose longer side is at most ``size``."""
    height, width = shape[:2]
    factor = min(1.0, size / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))


def read(path: Path) -> np.ndarray:
    """Read an image or a label file.

    Raises:
        ValueError: It is not readable.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f'{path} is not a readable image')
    return np.asarray(image)


def pack_image(path: Path, size: int, quality: int) -> bytes:
    """Return an image as JPEG bytes: shrunk, or as it is."""
    image = read(path)
    shape = shrunk_shape(image.shape, size)
    if shape == image.shape[1::-1]:
        return path.read_bytes()
    small = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
    return cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def pack_labels(path: Path, size: int) -> bytes:
    """Return a label file as PNG bytes, shrunk without new ids."""
    labels = read(path)
    small = cv2.resize(labels, shrunk_shape(labels.shape, size), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode('.png', small, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def members(root: Path, name: str, size: int, quality: int) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a set: names in the archive, and contents."""
    for side in SIDES:
        split = (root / name / 'splits' / f'{side}.txt').read_bytes()
        yield f'{name}/splits/{side}.txt', split
        for stem in tqdm(split.decode().split(), desc=f'{name}, {side}', disable=None):
            yield f'{name}/images/{stem}.jpg', pack_image(root / name / 'images' / f'{stem}.jpg', size, quality)
            yield f'{name}/masks/{stem}.png', pack_labels(root / name / 'masks' / f'{stem}.png', size)


def embeddings(config: Path, folder: Path) -> Path:
    """Embed the words that a training of a config asks for; return the file of the embeddings, in ``folder``."""
    from mmengine.config import Config
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import hyperbolic_seg.plugin  # noqa: F401

    init_default_scope('mmseg')
    MMLogger.get_current_instance().setLevel('WARNING')  # no line for each parameter
    options = Config.fromfile(config).model.decode_head
    options.text_encoder.cache_dir = str(folder)
    head = MODELS.build(options)
    head.init_weights()
    head.sample_text_embeddings()
    return Path(head.text.encoder.cache_file())


def main(argv: list[str] | None = None) -> None:
    """Write the file, whole or not at all."""
    args = parse_args(argv)
    with (
        tempfile.TemporaryDirectory() as folder,
        whole_file(args.out) as part,
    ):
        with ZipFile(part, 'w', ZIP_STORED) as archive:
            for name in args.sets:
                for member, content in members(args.development, name, args.size, args.quality):
                    archive.writestr(member, content)
            cached = embeddings(args.config, Path(folder))
            archive.write(cached, f'embeddings/{cached.name}')
        megabytes = part.stat().st_size / 1e6
        if megabytes > args.max_megabytes:
            raise SystemExit(
                f'{args.out} would have {megabytes:.1f} MB, --max-megabytes is {args.max_megabytes:g}: lower --quality '
                'or --size, or leave out --sets'
            )
    print(f'{args.out}: {megabytes:.1f} MB')


if __name__ == '__main__':
    main()
