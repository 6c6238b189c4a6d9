"""Figures of the documentation, drawn into docs/_figures by every build."""

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import geoopt
import matplotlib
import numpy as np
import torch
from torch import Tensor, nn

from hyperbolic_seg.apis import RELEASES, load_model
from hyperbolic_seg.geometry import (
    exterior_angle,
    from_ball,
    geodesic,
    half_aperture,
    mlr_logits,
    pairwise_distance,
    to_ball,
)
from hyperbolic_seg.layers import EntailmentCones, HyperbolicMLR, HyperbolicPrototypes
from hyperbolic_seg.sky.renderer import (
    GENUS_NAMES,
    Drops,
    Flare,
    Flyer,
    Night,
    Overlay,
    Sun,
    Text,
    render_sky,
    sample_scene,
)
from hyperbolic_seg.text import Taxonomy
from hyperbolic_seg.visualization import blend
from hyperbolic_seg.visualization import draw_taxonomy as draw_tree

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

FOLDER = Path(__file__).parent / '_figures'


def draw_all() -> None:
    """Draw the figures that do not exist yet."""
    FOLDER.mkdir(exist_ok=True)
    for draw in (
        draw_taxonomy,
        draw_genera,
        draw_hours,
        draw_light_path,
        draw_released,
        draw_disk,
        draw_accuracy,
        draw_cost,
        draw_stages,
    ):
        path = FOLDER / f'{draw.__name__.removeprefix("draw_")}.png'
        if not path.exists():
            figure = draw()
            figure.savefig(path, dpi=130, bbox_inches='tight')
            plt.close(figure)


def draw_taxonomy() -> Figure:
    """Draw the taxonomy of the sky, each node in its color, with abbreviations."""
    return draw_tree(Taxonomy.load('sky'))


def draw_genera() -> plt.Figure:
    """Draw an image of every genus beside its labels."""
    tree = Taxonomy.load('sky')
    palette = [node.color for node in tree.nodes]
    figure, grid = plt.subplots(4, 6, figsize=(13, 9.2), layout='constrained')
    panels = iter(grid.flat)
    for number, genus in enumerate(GENUS_NAMES):
        scene = sample_scene(300 + number, camera='planar', time='day', genera=(genus,))
        sky = render_sky(300 + number, 256, scene=scene.plain())
        for image in (sky.image[..., ::-1], _painted(sky.image, sky.labels, palette)):
            axes = next(panels)
            axes.imshow(image)
            axes.set_title(genus, fontsize=10)
    for axes in grid.flat:
        axes.axis('off')
    return figure


def draw_hours() -> plt.Figure:
    """Draw day, dusk and night, through a plain lens and a fisheye lens."""
    figure, grid = plt.subplots(2, 6, figsize=(13, 4.6), layout='constrained')
    for row, camera in zip(grid, ('planar', 'fisheye'), strict=True):
        for column, axes in enumerate(row):
            hour = ('day', 'dusk', 'night')[column // 2]
            seed = 40 + column
            axes.imshow(render_sky(seed, 256, scene=sample_scene(seed, camera=camera, time=hour)).image[..., ::-1])
            axes.set_title(f'{hour}, {camera}', fontsize=10)
            axes.axis('off')
    return figure


def draw_light_path() -> plt.Figure:
    """Draw what is in the way of the light, one kind in an image."""
    day, dome = (sample_scene(5, camera=camera, time='day', genera=[]).plain() for camera in ('planar', 'fisheye'))
    veiled = sample_scene(3, camera='fisheye', time='day', genera=['cirrostratus']).plain()
    dark = sample_scene(312, camera='fisheye', time='night', genera=[]).plain()
    dark = replace(dark, city_light=0.1, sun=replace(dark.sun, glare=0.0))
    above = (day.camera.elevation, day.camera.azimuth)
    night = sample_scene(5, camera='planar', time='night', genera=[]).plain()
    clouds = sample_scene(107, camera='planar', time='day', genera=['cumulus']).plain()
    birds = tuple(Flyer('bird', 0.3 * n - 0.6, 0.2 - 0.1 * n, 0.12, 20.0 * n, 0.2) for n in range(4))
    scenes = {
        'glare, rays and ghosts': replace(dome, flare=Flare(bloom=0.6, star=1.0, ghosts=0.9)),
        'halo': replace(veiled, halo=0.5),
        'phase of the moon': replace(night, camera=day.camera, sun=Sun(*above, 3.0, 0.6, 0.3, 60.0)),
        'Milky Way and town': replace(dark, night=Night(300, 1.2, (60.0, 20.0), 0.4, 200.0, 0.8, 1)),
        'birds': replace(clouds, flyers=birds),
        'drops': replace(clouds, drops=Drops('rain', 14, 0.09, 0.95, 3.0)),
        'dew': replace(clouds, drops=Drops('dew', 250, 0.02, 0.9, 3.0)),
        'overlay': replace(dome, overlay=Overlay((Text('2024-06-21 11:00', 0.02, 0.98, 0.03, (245, 245, 245)),), 15.0)),
    }
    figure, grid = plt.subplots(2, 4, figsize=(13, 7), layout='constrained')
    for axes, (title, scene) in zip(grid.flat, scenes.items(), strict=True):
        axes.imshow(render_sky(312, 256, scene=scene).image[..., ::-1])
        axes.set_title(title, fontsize=10)
        axes.axis('off')
    return figure


def draw_released() -> plt.Figure:
    """Draw predictions of the released models beside the labels, on rendered images that neither was trained on."""
    tree = Taxonomy.load('sky')
    palette = [node.color for node in tree.nodes]
    seeds = range(10_000_000, 10_000_006)
    skies = [render_sky(seed, 256, scene=sample_scene(seed, time='day')) for seed in seeds]
    columns = {
        'image': [sky.image[..., ::-1] for sky in skies],
        'label': [_painted(sky.image, sky.labels, palette) for sky in skies],
    }
    shown = {int(node) for sky in skies for node in np.unique(sky.labels)}
    for name in RELEASES:
        model = load_model(name, device='cpu')
        predicted = [model.predict_one(sky.image, threshold=0.6)['nodes'] for sky in skies]
        shown |= {int(node) for nodes in predicted for node in np.unique(nodes)}
        columns[name] = [_painted(sky.image, nodes, palette) for sky, nodes in zip(skies, predicted, strict=True)]
    figure, grid = plt.subplots(len(seeds), len(columns), figsize=(2.6 * len(columns), 16.2), layout='constrained')
    for (title, images), column in zip(columns.items(), grid.T, strict=True):
        column[0].set_title(title, fontsize=10)
        for axes, image in zip(column, images, strict=True):
            axes.imshow(image)
            axes.axis('off')
    fields = [plt.Rectangle((0, 0), 1, 1, color=np.array(palette[node]) / 255) for node in sorted(shown)]
    figure.legend(fields, [tree.nodes.names[node] for node in sorted(shown)], loc='outside lower center', ncols=4)
    return figure


def _painted(image: np.ndarray, nodes: np.ndarray, palette: list) -> np.ndarray:
    return blend(np.ascontiguousarray(image[..., ::-1]), nodes, palette, opacity=0.7)


def draw_disk() -> plt.Figure:
    """Draw geodesics, distances to a point and entailment cones on the Poincaré disk."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.2))
    _draw_geodesics(left)
    _draw_distances(middle)
    _draw_cones(right)
    for axes in (left, middle, right):
        axes.add_patch(plt.Circle((0, 0), 1, fill=False, color='0.3'))
        axes.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), aspect='equal')
        axes.axis('off')
    return figure


def _point(length: float, degrees: float) -> Tensor:
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return length * torch.stack([angle.cos(), angle.sin()])


def _grid() -> tuple[np.ndarray, np.ndarray, Tensor, np.ndarray]:
    side = np.linspace(-0.995, 0.995, 500)
    x, y = np.meshgrid(side, side)
    outside = x**2 + y**2 > 0.99
    points = np.stack([np.where(outside, 0, x), np.where(outside, 0, y)], -1)
    return x, y, from_ball(torch.tensor(points)), outside


def _draw_geodesics(axes: plt.Axes) -> None:
    start = _point(1.2, 200)
    steps = torch.linspace(0, 1, 80, dtype=torch.float64)[:, None]
    for degrees in range(-160, 200, 30):
        end = _point(2.2, degrees)
        line = to_ball(geodesic(start.expand(80, 2), end.expand(80, 2), steps))
        axes.plot(*line.T, color='tab:blue', lw=1.2)
        axes.plot(*to_ball(end), '.', color='tab:blue')
    axes.plot(*to_ball(start), 'o', color='tab:red')
    axes.set_title('geodesics from one point to points of one radius', fontsize=9)


def _draw_distances(axes: plt.Axes) -> None:
    x, y, points, outside = _grid()
    distance = pairwise_distance(points, _point(0.9, 30)[None])[..., 0].numpy()
    distance[outside] = np.nan
    drawn = axes.contourf(x, y, distance, levels=np.arange(0, 8.1, 0.5), cmap='viridis', extend='max')
    plt.colorbar(drawn, ax=axes, shrink=0.7)
    axes.plot(*to_ball(_point(0.9, 30)), 'o', color='tab:red')
    axes.set_title('distance to one point', fontsize=9)


def _draw_cones(axes: plt.Axes) -> None:
    x, y, points, outside = _grid()
    for length, degrees, color in ((0.2, 90, 'tab:green'), (0.55, 210, 'tab:orange'), (1.0, -40, 'tab:purple')):
        apex = _point(length, degrees)
        inside = exterior_angle(apex.expand_as(points), points) <= half_aperture(apex, k=0.15)
        axes.contourf(x, y, (inside.numpy() & ~outside).astype(float), levels=[0.5, 1.5], colors=[color], alpha=0.4)
        axes.plot(*to_ball(apex), 'o', color=color)
    axes.set_title('entailment cones: the nearer to the origin, the wider', fontsize=9)


def draw_accuracy() -> plt.Figure:
    """Draw the error in float32 against rho, on the ball and in tangent coordinates."""
    torch.manual_seed(0)
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
    rhos = np.concatenate([np.logspace(-6, 0, 13), np.linspace(2, 60, 30)])
    for axes, quantity in zip(panels, (_distance_errors, _logit_errors), strict=True):
        errors = np.array([quantity(rho) for rho in rhos])
        axes.loglog(rhos, errors[:, 0].clip(1e-9), color='tab:red', label='points on the ball (geoopt)')
        axes.loglog(rhos, errors[:, 1].clip(1e-9), color='tab:blue', label='tangent coordinates')
        axes.axvline(6.2, color='0.7', lw=0.8)
        axes.set(xlabel=r'$\rho = 2\sqrt{c}\,|v|$', title=quantity.__doc__.rstrip('.'))
    panels[0].set_ylabel('median relative error in float32')
    panels[0].legend()
    return figure


def _samples(rho: float) -> tuple[Tensor, Tensor]:
    v, w = (nn.functional.normalize(torch.randn(n, 64), dim=-1) for n in (400, 8))
    return v * rho / 2, w * rho / 2


def _median_errors(of_ball: Tensor, ours: Tensor, exact: Tensor) -> tuple[float, float]:
    return tuple(((x.double() - exact) / exact).abs().median().item() for x in (of_ball, ours))  # type: ignore[return-value]


def _distance_errors(rho: float) -> tuple[float, float]:
    """Distance."""
    v, w = _samples(rho)
    ball = geoopt.PoincareBall(c=1.0)
    of_ball = ball.dist(ball.expmap0(v)[:, None], ball.expmap0(w)[None])
    return _median_errors(of_ball, pairwise_distance(v, w), pairwise_distance(v.double(), w.double()))


def _logit_errors(rho: float) -> tuple[float, float]:
    """Hyperplane logit."""
    v, z = _samples(rho)[0], torch.randn(8, 64) / 8
    r = torch.full((8,), 0.1)
    ball = geoopt.PoincareBall(c=1.0)
    p = ball.expmap0(r[:, None] * nn.functional.normalize(z, dim=-1))
    a = (1 - p.square().sum(-1, keepdim=True)) * z
    of_ball = ball.dist2plane(ball.expmap0(v)[:, None], p, a, signed=True) * ball.lambda_x(p) * a.norm(dim=-1)
    return _median_errors(of_ball, mlr_logits(v, z, r), mlr_logits(v.double(), z.double(), r.double()))


def draw_cost() -> plt.Figure:
    """Draw the time of a training step of the classifiers against the number of classes."""
    figure, axes = plt.subplots(figsize=(5.5, 3.8))
    classes = (2, 4, 8, 16, 32, 64, 128)
    names = {
        'nn.Conv2d, 1x1': lambda k: nn.Conv2d(128, k, 1),
        'HyperbolicMLR': lambda k: HyperbolicMLR(128, k),
        'HyperbolicPrototypes': lambda k: HyperbolicPrototypes(128, k),
        'EntailmentCones': lambda k: EntailmentCones(128, k),
    }
    v = torch.randn(2, 128, 64, 64).mul(0.1).requires_grad_()
    times: dict[str, list[float]] = {name: [] for name in names}
    for k in classes:
        layers = {name: make(k) for name, make in names.items()}
        for name, middle in _medians_in_turn(layers, v).items():
            times[name].append(1e3 * middle)
    for name, middles in times.items():
        axes.loglog(classes, middles, marker='.', label=name)
    axes.set(xlabel='classes K', ylabel='forward and backward, ms', title=f'D = 128, 2 x 64 x 64 pixels, {_machine()}')
    axes.legend()
    return figure


def draw_stages() -> plt.Figure:
    """Draw the time of each stage of the command ``predict``, for pictures of several sizes."""
    sys.path.insert(0, str(Path(__file__).parents[1] / 'tools/benchmarks'))
    from throughput import pictures_of
    from whole_commands.measures import time_stages

    with TemporaryDirectory() as folder:
        files = {size: pictures_of(Path(folder), size, 1) for size in (0.25, 2, 12)}
        warm = Path(files[0.25][0])
        found = {size: time_stages('hyperclip-unet-cloud', paths, warm, rounds=5) for size, paths in files.items()}
    figure, axes = plt.subplots(figsize=(9, 2.6), layout='constrained')
    labels, left = [f'{size:g} megapixels' for size in found], np.zeros(len(found))
    for stage in next(iter(found.values())):
        taken = np.array([1e3 * times[stage] for times in found.values()])
        axes.barh(labels, taken, left=left, label=stage)
        left += taken
    axes.invert_yaxis()
    axes.set(xlabel='processor time of a picture, ms', title=f'hyperclip-unet-cloud, {_machine()}')
    figure.legend(loc='outside right center', fontsize=8)
    return figure


def _medians_in_turn(layers: dict[str, nn.Module], v: Tensor) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in layers}
    for step in range(9):
        for name, layer in layers.items():
            start = time.perf_counter()
            layer(v).sum().backward()
            if step >= 2:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def _machine() -> str:
    return f'{torch.get_num_threads()} CPU threads'


if __name__ == '__main__':
    draw_all()
