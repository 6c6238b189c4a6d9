"""An archive of any size, predicted by the workers of a Dask cluster; it needs the extra ``archive``."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.app.archive.clusters import connected
    from hyperbolic_seg.app.archive.recipe import Predicted, Predictor, Recipe, SkyPredictor, SkyRecipe
    from hyperbolic_seg.app.archive.results import Failure, Summary
    from hyperbolic_seg.app.archive.run import Progress, archive
    from hyperbolic_seg.app.archive.sources import Listing, Picture, list_pictures

__all__ = [
    'Failure',
    'Listing',
    'Picture',
    'Predicted',
    'Predictor',
    'Progress',
    'Recipe',
    'SkyPredictor',
    'SkyRecipe',
    'Summary',
    'archive',
    'connected',
    'list_pictures',
]
__getattr__ = attach(
    __name__,
    dict(
        Failure='results',
        Listing='sources',
        Picture='sources',
        Predicted='recipe',
        Predictor='recipe',
        Progress='run',
        Recipe='recipe',
        SkyPredictor='recipe',
        SkyRecipe='recipe',
        Summary='results',
        archive='run',
        connected='clusters',
        list_pictures='sources',
    ),
)
