"""``hyperbolic-seg export``: the file of a model for ONNX Runtime."""

from pathlib import Path
from typing import Annotated

import typer

from hyperbolic_seg.app.cli.console import fail, import_plugin, print_status, quiet
from hyperbolic_seg.app.cli.runtimes import own_file
from hyperbolic_seg.files import printable


def export(
    model: Annotated[
        str, typer.Argument(help='A released model, a .safetensors file or a config with --weights.')
    ] = 'hyperclip-unet-cloud',
    weights: Annotated[Path | None, typer.Option('--weights', '-w', help='The checkpoint for a config.')] = None,
    out: Annotated[
        Path | None, typer.Option('--out', '-o', help='File to write; default: where --runtime onnx finds it.')
    ] = None,
    overwrite: Annotated[bool, typer.Option(help='Replace the file if it is there.')] = False,
) -> None:
    """Write the file of a model for predict --runtime onnx, which needs neither PyTorch nor MMSegmentation.

    Its prompts are the words of the model's taxonomy, chosen when it runs.

    For example:

    hyperbolic-seg export hyperclip-unet-cloud

    hyperbolic-seg export hyperclip-unet-cloud --out sky.onnx

    hyperbolic-seg predict sky.jpg --model sky.onnx --prompts "clear sky, cumulus"

    Exit codes: 0 written, 2 not written.
    """
    try:
        with quiet():
            import_plugin()
            from hyperbolic_seg.apis import RELEASES, HyperSegInferencer, export_promptable

            if out is None and model not in RELEASES:
                raise ValueError(f'{printable(model)} is no released model: name the file to write with --out')
            file = own_file(model) if out is None else out
            if file.exists() and not overwrite:
                raise FileExistsError(f'{printable(file)} is there: name another file with --out, or say --overwrite')
            if out is None:
                file.parent.mkdir(parents=True, exist_ok=True)
            elif not file.parent.is_dir():
                raise NotADirectoryError(f'{printable(file.parent)} is no folder to write {printable(file.name)} to')
            inferencer = HyperSegInferencer(model, weights, device='cpu')
            license = RELEASES[model].license if model in RELEASES else None
            export_promptable(inferencer, file, license=license)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        fail(error)
    print_status(f'{printable(file)}: {file.stat().st_size / 2**20:.1f} MiB')
