"""Measure time and memory of the classifiers beside a 1x1 convolution, geoopt and HypLL, forward and backward.

    pip install -e '.[peers]'
    python tools/benchmarks/layers.py                    # eager
    python tools/benchmarks/layers.py --compile          # with torch.compile(fullgraph=True), where possible
    python tools/benchmarks/layers.py --device cuda
    python tools/benchmarks/layers.py --kernel           # with the compiled kernel, on a CPU

The input is float32 features (N, D, H, W), as a network returns them; layers that need points on the ball include the
exponential map. In every round the layers run in turn. A ratio is the median over rounds of the time of a layer,
divided by that of the convolution in the same round; compiled, a row has the convolution in eager mode. geoopt and the
distance of HypLL broadcast to (pixels, K, D), so they run on fewer pixels, on which the convolution and our layers are
timed again. "Saved floats" are the distinct floats that autograd saves for the backward pass, without parameters,
divided by the number of pixels. On a machine that does other work as well, --cpu-time and OMP_NUM_THREADS=1 count what
this process computes.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import geoopt
import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry import load_cpu_kernel
from hyperbolic_seg.layers import EntailmentCones, HyperbolicMLR, HyperbolicPrototypes

SIZES = ((64, 32, 128), (256, 19, 128), (512, 171, 64))  # D, K, and H = W for our layers
BATCH = 2
FEW_NUMBERS = 2**25  # pixels x K x D for layers that broadcast
BASELINE = 'nn.Conv2d(D, K, 1)'


class GeooptMLR(nn.Module):
    """Hyperplane logits by ``dist2plane`` of geoopt, which broadcasts."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.ball = geoopt.PoincareBall(c=1.0)
        self.points = nn.Parameter(torch.randn(num_classes, in_channels) * 0.01)
        self.normals = nn.Parameter(torch.randn(num_classes, in_channels) * in_channels**-0.5)

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D, H, W) to (N, K, H, W)."""
        x = self.ball.expmap0(v.movedim(1, -1)).unsqueeze(-2)
        logits = self.ball.dist2plane(x, self.points, self.normals, signed=True, scaled=True)
        return logits.movedim(-1, 1)


class GeooptDistance(nn.Module):
    """Negative distance to prototypes by ``dist`` of geoopt, which broadcasts."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.ball = geoopt.PoincareBall(c=1.0)
        self.points = nn.Parameter(torch.randn(num_classes, in_channels) * in_channels**-0.5 * 0.5)

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D, H, W) to (N, K, H, W)."""
        return -self.ball.dist(self.ball.expmap0(v.movedim(1, -1)).unsqueeze(-2), self.points).movedim(-1, 1)


class HypLLMLR(nn.Module):
    """Hyperplane logits of HypLL, by a matrix product."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        from hypll.manifolds.poincare_ball import Curvature, PoincareBall

        self.ball = PoincareBall(Curvature(1.0))
        self.z = nn.Parameter(torch.randn(in_channels, num_classes) * in_channels**-0.5)
        self.r = nn.Parameter(torch.zeros(num_classes))

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D, H, W) to (N, K, H, W)."""
        from hypll.manifolds.poincare_ball.math.diffgeom import expmap0
        from hypll.manifolds.poincare_ball.math.linalg import poincare_hyperplane_dists

        x = expmap0(v.movedim(1, -1), self.ball.c())
        return poincare_hyperplane_dists(x, self.z, self.r, self.ball.c()).movedim(-1, 1)


class HypLLDistance(nn.Module):
    """Negative distance to prototypes by ``cdist`` of HypLL."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.randn(num_classes, in_channels) * in_channels**-0.5 * 0.5)

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D, H, W) to (N, K, H, W)."""
        from hypll.manifolds.poincare_ball.math.diffgeom import cdist, expmap0

        c = v.new_tensor(1.0)
        rows = expmap0(v.movedim(1, -1), c)
        distances = cdist(rows.flatten(0, 2)[None], self.points[None], c)[0]
        return -distances.unflatten(0, rows.shape[:3]).movedim(-1, 1)


OURS = {
    'HyperbolicMLR': HyperbolicMLR,
    'HyperbolicPrototypes': HyperbolicPrototypes,
    'EntailmentCones': EntailmentCones,
}
LEAN = {'HypLL hyperplanes': HypLLMLR}
BROADCASTING = {'geoopt dist2plane': GeooptMLR, 'geoopt dist': GeooptDistance, 'HypLL cdist': HypLLDistance}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--compile', action='store_true', help='compile with fullgraph=True where possible')
    parser.add_argument('--channels-last', action='store_true', help='use features in channels-last memory format')
    parser.add_argument('--forward', action='store_true', help='measure predictions, without a backward pass')
    parser.add_argument('--kernel', action='store_true', help='build and load the compiled kernel for a CPU')
    parser.add_argument('--cpu-time', action='store_true', help='measure processor time, of all threads')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--shrink', type=int, default=1, help='divide the sides of the features by this, for a trial')
    parser.add_argument('--without-libraries', action='store_true')
    args = parser.parse_args()
    if args.shrink < 1 or args.rounds < 2:
        parser.error(f'expected --shrink of at least 1 and --rounds of at least 2, got {args.shrink} and {args.rounds}')
    if torch.device(args.device).type == 'cuda' and (args.kernel or args.cpu_time):
        parser.error('--kernel and --cpu-time are for a CPU: leave out --device')
    if not args.without_libraries and find_spec('hypll') is None:
        parser.error("HypLL is not installed: pip install 'hyperbolic-seg[peers]', or add --without-libraries")
    return args


def saved_floats(layer: Callable[[Tensor], Tensor], v: Tensor) -> float:
    """Return the number of floats that autograd saves for the backward pass, by pixel."""
    pixels, seen = v.numel() // v.shape[1], {}

    def keep(x: Tensor) -> Tensor:
        if x.numel() >= pixels and x.numel() % pixels == 0:  # else a parameter, or computed from parameters only
            seen[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes() / 4
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        output = layer(v)
    del output
    return sum(seen.values()) / pixels


def now(device: torch.device, cpu_time: bool) -> float:
    """Return the time once the device has done all its work."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.process_time() if cpu_time else time.perf_counter()


def compiled_name(name: str, layer: nn.Module, v: Tensor) -> str:
    """Compile a layer and return its name; a layer that is not one graph stays eager, and its name says so."""
    try:
        torch.compile(layer, fullgraph=True, backend='eager')(v)
    except torch._dynamo.exc.TorchDynamoException:
        return f'{name}, eager: not one graph'
    layer.compile(fullgraph=True)
    return name


def time_in_turn(
    layers: dict[str, nn.Module], v: Tensor, gradient: Tensor, args: argparse.Namespace
) -> dict[str, list[float]]:
    """Return seconds by layer, run in turn; two more rounds warm up."""
    times: dict[str, list[float]] = {name: [] for name in layers}
    for step in range(args.rounds + 2):
        for name, layer in layers.items():
            v.grad = None
            layer.zero_grad()
            start = now(v.device, args.cpu_time)
            with torch.set_grad_enabled(not args.forward):
                out = layer(v)
            if not args.forward:
                out.backward(gradient)
            del out
            if step >= 2:
                times[name].append(now(v.device, args.cpu_time) - start)
    return times


def measure(names: dict[str, type[nn.Module]], size: tuple[int, int, int], args: argparse.Namespace) -> None:
    """Time layers on features of one size and print their rows of the table."""
    channels, classes, side = size
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    features = torch.randn(BATCH, channels, side, side, device=args.device) * channels**-0.5
    v = features.contiguous(memory_format=layout).requires_grad_()
    gradient = torch.randn(BATCH, classes, side, side, device=args.device).contiguous(memory_format=layout)
    layers: dict[str, nn.Module] = {BASELINE: nn.Conv2d(channels, classes, 1).to(args.device)}
    layers |= {name: make(channels, classes).to(args.device) for name, make in names.items()}
    saved = {name: saved_floats(layer, v) for name, layer in layers.items()}
    if args.compile:
        torch.compiler.reset()  # forget earlier sizes, which count towards the limit of recompilations
        layers = {compiled_name(name, layer, v): layer for name, layer in layers.items()}
        saved = dict(zip(layers, saved.values(), strict=True))
        eager = f'{BASELINE}, eager'
        layers[eager], saved[eager] = nn.Conv2d(channels, classes, 1).to(args.device), saved[BASELINE]
    times = time_in_turn(layers, v, gradient, args)
    for name, taken in times.items():
        low, middle, high = (1e3 * t for t in statistics.quantiles(taken, n=4))
        ratios = statistics.quantiles([t / b for t, b in zip(taken, times[BASELINE], strict=True)], n=4)
        ratio = '{1:.2f} ({0:.2f} to {2:.2f})'.format(*ratios)
        shown = f'{middle:.3g} ({low:.3g} to {high:.3g})'
        where = f'{channels}, {classes} | {BATCH} x {side} x {side}'
        print(f'| {where} | {name} | {shown} | {ratio} | {saved[name]:.0f} |', flush=True)


def main() -> None:
    """Print the table in Markdown."""
    args = parse_args()
    torch.manual_seed(0)
    if args.kernel:
        load_cpu_kernel(verbose=True)
    mode = 'compiled' if args.compile else 'eager'
    layout = 'channels last' if args.channels_last else 'contiguous'
    is_gpu = torch.device(args.device).type == 'cuda'
    where = torch.cuda.get_device_name(args.device) if is_gpu else f'{torch.get_num_threads()} threads'
    passes = 'forward' if args.forward else 'forward and backward'
    kernel, clock = 'with the kernel, ' if args.kernel else '', 'processor time, ' if args.cpu_time else ''
    setting = f'{where}, {mode}, {kernel}{layout}, {passes}, {clock}{args.rounds} rounds'
    print(f'torch {torch.__version__}, {setting}\n')
    print(
        '| D, K | pixels | layer | ms, median (quartiles) | time / convolution (quartiles) | saved floats per pixel |'
    )
    print('|---|---|---|---|---|---|')
    for channels, classes, side in SIZES:
        own = max(side // args.shrink, 1)
        measure(OURS if args.without_libraries else OURS | LEAN, (channels, classes, own), args)
        if not args.without_libraries:
            few = max(int((FEW_NUMBERS / (channels * classes * BATCH)) ** 0.5) // args.shrink, 1)
            measure(OURS | BROADCASTING, (channels, classes, few), args)


if __name__ == '__main__':
    main()
