"""The methods that the command calls on a model, whether PyTorch or ONNX Runtime computes its predictions."""

from collections.abc import Sequence
from typing import Any, Protocol

from hyperbolic_seg.text import Taxonomy, Vocabulary

__all__ = ['Inferencer']


class Inferencer(Protocol):
    """A model that segments images by prompts: with PyTorch, or with ONNX Runtime.

    Members are those of :class:`~hyperbolic_seg.apis.HyperSegInferencer`.
    """

    @property
    def takes_arrays(self) -> bool:
        """Whether :meth:`prepare` takes an image in memory."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The concepts that images are segmented by."""

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the labels."""

    @property
    def palette(self) -> list[list[int]]:
        """RGB colors of the classes."""

    @property
    def taxonomy(self) -> Taxonomy:
        """Taxonomy of predictions with a threshold."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on prompts that the model does not know."""

    @property
    def identity(self) -> dict[str, str | None]:
        """The ``name`` of the model, the ``sha256`` of its weights if they are in a file, and its ``adaptation``."""

    def set_prompts(self, prompts: str | Sequence[str] | Vocabulary | None) -> None:
        """Segment by these prompts from now on; ``None`` goes back to the vocabulary of the training."""

    def prepare(self, image: Any) -> Any:
        """Return an image, or the image in a file, as the model sees it."""

    def predict_prepared(
        self,
        batch: Any,
        *,
        threshold: float | None = None,
        with_probabilities: bool = False,
        reduced: bool = False,
        reduced_labels: bool = False,
    ) -> dict[str, Any]:
        """Segment the image of :meth:`prepare`."""
