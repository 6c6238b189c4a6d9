"""Compiled kernel of dense layers on a CPU; it is built and loaded on request only."""

import math
import os
import platform
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

_SOURCE = Path(__file__).with_name('kernel.cpp')
_FLAGS = {
    'AVX512': ('-DCPU_CAPABILITY_AVX512', '-mavx512f', '-mavx512dq', '-mavx512vl', '-mavx512bw', '-mfma'),
    'AVX2': ('-DCPU_CAPABILITY_AVX2', '-mavx2', '-mfma', '-mf16c'),
}
_loaded = False  # as the library itself, once for the process


def load_cpu_kernel(*, verbose: bool = False) -> None:
    """Build the kernel of dense layers with the C++ compiler of this machine, and use it from then on in this process.

    :func:`mlr_logits`, :func:`pairwise_distance`, :func:`pairwise_exterior_angle` and the classifiers take it for
    float32 on a CPU, outside of compilers, exporters and transforms of ``torch.func``. It is built once for a version
    of PyTorch, in about a minute, in the folder of ``torch.utils.cpp_extension`` (``TORCH_EXTENSIONS_DIR``).

    Args:
        verbose: Print what the compiler does.

    Raises:
        RuntimeError: There is no C++ compiler, no ninja, or the compiler failed.
    """
    global _loaded
    if _loaded:
        return
    compiler = os.environ.get('CXX', 'c++')
    for program, mend in (
        (compiler, "install g++ or name one by the environment's CXX"),
        ('ninja', 'pip install ninja'),
    ):
        if shutil.which(program) is None:
            raise RuntimeError(f'the kernel of dense layers is built with {program!r}, which was not found: {mend}')
    from torch.utils import cpp_extension

    capability = torch.backends.cpu.get_cpu_capability() if platform.machine() in ('x86_64', 'AMD64') else 'DEFAULT'
    flags = _FLAGS.get(capability, ())
    cpp_extension.load(
        re.sub(r'\W', '_', f'hyperbolic_seg_kernel_{torch.__version__}_{capability if flags else "DEFAULT"}'),
        [str(_SOURCE)],
        extra_cflags=['-O2', '-fopenmp', f'-DCPU_CAPABILITY={capability if flags else "DEFAULT"}', *flags],
        extra_ldflags=['-fopenmp'],
        is_python_module=False,
        with_cuda=False,
        verbose=verbose,
    )
    _loaded = True


def kernel_loaded() -> bool:
    """Return whether :func:`load_cpu_kernel` has loaded the kernel in this process."""
    return _loaded


def takes(*tensors: Tensor) -> bool:
    """Return whether the kernel is loaded and has code for these tensors."""
    return _loaded and all(x.dtype == torch.float32 and x.device.type == 'cpu' for x in tensors)


class Order:
    """Order of memory of pairs of vectors and classes, shape (..., K, ...), for the kernel."""

    def __init__(self, pairs: Tensor, dim: int) -> None:
        self.dim, self.in_rows = dim, pairs.movedim(dim, -1).is_contiguous()

    def flat(self, x: Tensor) -> Tensor:
        """Return (..., k, ...) as (P, k) or (B, k, P), contiguous."""
        if self.in_rows:
            return x.movedim(self.dim, -1).reshape(-1, x.shape[self.dim]).contiguous()
        before, after = x.shape[: self.dim], x.shape[self.dim + 1 :]
        return x.reshape(math.prod(before), x.shape[self.dim], math.prod(after)).contiguous()

    def like(self, flat: Tensor, x: Tensor) -> Tensor:
        """Return (P, k), (B, k, P) or (P,) in the shape of ``x``."""
        if self.in_rows:
            return flat.view(x.movedim(self.dim, -1).shape).movedim(-1, self.dim)
        return flat.view(x.shape)

    def of_vectors(self, numbers: Sequence[Tensor]) -> Tensor:
        """Return numbers of the vectors, (n, P), each given as (..., 1, ...)."""
        return torch.stack([self.flat(x).view(-1) for x in numbers])


def order_of(inputs: Sequence[Tensor]) -> Order | None:
    """Return the order of pairs in the inputs of a closed form, or None where the kernel does not take them.

    Args:
        inputs: Numbers of the vectors (..., 1, ...), pairs (..., K, ...), numbers of the classes (1, K, 1), a scalar.
    """
    if not takes(*inputs) or inputs[0].ndim != inputs[1].ndim or not inputs[1].numel():
        return None
    vectors, pairs, *classes, _ = inputs
    differing = [dim for dim in range(pairs.ndim) if vectors.shape[dim] != pairs.shape[dim]]
    if len(differing) != 1 or vectors.shape[differing[0]] != 1:
        return None
    shape = [1] * pairs.ndim
    shape[differing[0]] = pairs.shape[differing[0]]
    return Order(pairs, differing[0]) if all(list(x.shape) == shape for x in classes) else None
