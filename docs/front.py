"""Draw the figure of the front page, docs/_static/panel.png: python docs/front.py.

The scenes are rendered with seeds that no model was trained on. They are chosen among eighty (10,000,000 to 10,000,079,
by day) because the model gets 94 to 98 % of their pixels right. docs/model_cards.md has its mean over all eighty.
"""

from pathlib import Path

import matplotlib
import numpy as np

from hyperbolic_seg import Taxonomy, load_model
from hyperbolic_seg.sky.renderer import render_sky, sample_scene
from hyperbolic_seg.visualization import blend

matplotlib.use('Agg')
import matplotlib.pyplot as plt

SCENES = {10_000_005: 'planar', 10_000_042: 'planar', 10_000_061: 'planar', 10_000_030: 'fisheye'}
"""Seeds with the kind of camera."""
SIZE = 320


def main() -> None:
    """Draw images above their masks, with a legend of what occurs."""
    model, tree = load_model('hyperclip-unet-cloud', device='cpu'), Taxonomy.load('sky')
    colors = {node.name: node.color for node in tree.nodes}
    figure, grid = plt.subplots(2, len(SCENES), figsize=(12, 6.6), layout='constrained')
    found: set[str] = set()
    for (seed, camera), (above, below) in zip(SCENES.items(), grid.T, strict=True):
        image = render_sky(seed, SIZE, scene=sample_scene(seed, camera=camera, time='day')).image
        prediction = model.predict_one(np.ascontiguousarray(image))
        names, labels = prediction['classes'], prediction['labels']
        shares = np.bincount(labels.ravel(), minlength=len(names)) / labels.size
        found |= {name for name, share in zip(names, shares, strict=True) if share > 0.01}
        above.imshow(image[..., ::-1])
        below.imshow(blend(np.ascontiguousarray(image[..., ::-1]), labels, prediction['palette'], opacity=0.65))
        for axes in (above, below):
            axes.axis('off')
    shown = [name for name in tree.nodes.names if name in found]
    fields = [plt.Rectangle((0, 0), 1, 1, color=np.array(colors[name]) / 255) for name in shown]
    figure.legend(fields, shown, loc='outside lower center', ncols=len(shown), frameon=False, fontsize=12)
    figure.savefig(Path(__file__).parent / '_static' / 'panel.png', dpi=80)


if __name__ == '__main__':
    main()
