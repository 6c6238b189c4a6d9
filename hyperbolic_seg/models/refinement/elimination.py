"""Small linear systems, one at every pixel of a map."""

from torch import Tensor


def solve(matrix: list[list[Tensor]], right: list[Tensor]) -> list[Tensor]:
    """Solve positive definite systems by elimination, elementwise.

    ``torch.linalg.solve`` has no counterpart in ONNX, and is slow on many systems of three or four unknowns.

    Args:
        matrix: Rows of coefficients, tensors whose shapes broadcast; changed in place.
        right: The right-hand side; changed in place.

    Returns:
        The unknowns.
    """
    size = len(matrix)
    for i in range(size):
        for j in range(i + 1, size):
            factor = matrix[j][i] / matrix[i][i]
            matrix[j] = [x - factor * y for x, y in zip(matrix[j], matrix[i], strict=True)]
            right[j] = right[j] - factor * right[i]
    solution: list[Tensor] = []
    for i in reversed(range(size)):
        known = sum(matrix[i][j] * x for j, x in zip(range(i + 1, size), solution, strict=True))
        solution.insert(0, (right[i] - known) / matrix[i][i])
    return solution
