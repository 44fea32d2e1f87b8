"""What hypernetworks and their targets cost compared with PyTorch and DeepXDE.

    python benchmarks/hypernet.py --out benchmarks/results/hypernet.json

1. `encoder`: five grids of a boundary value problem and its coefficients through an embedding, a
   Swin Transformer with FiLM, attention pooling and a head for each of the 14 tensors of a target
   network (HyPINO's blocks at a small size), forward, and forward with backward; compared with
   `torch.nn` modules of the same blocks.
2. `pinn`: the target network's residual of a linear equation of second order at 2048 points, its
   derivatives alone and a step of Adam on its mean square; and other ways to take derivatives
   in JAX, PyTorch's autograd and DeepXDE (backend pytorch) in both of its modes.

All sides start from the same weights and see the same arrays, and what they compute must agree
before anything is timed. Then they take turns in one process on one thread, in float32; CPU
seconds count, compared round by round. PyTorch is needed (exits with 2 without it); DeepXDE is
left out where it is missing, and may lie in a folder by itself (PYTHONPATH=FOLDER):

    pip install --no-deps --target FOLDER deepxde scikit-optimize pyaml
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import (
    import_torch,
    interleaved,
    interval,
    layer_norm,
    linear,
    parameter,
    shown,
    use_one_thread,
    write_result,
)
from jax.experimental import jet

from metajax.core import Network, Params, count
from metajax.hypernet import generator
from metajax.nn import (
    attention_pool,
    fourier_features,
    grid_embedding,
    grid_positions,
    mlp,
    modified_mlp,
    swin,
)
from metajax.nn.vision.windows import relative_positions, window_mask, windows_of

TOLERANCE = 1e-4  # largest difference of what the sides compute, relative to its largest
BATCH, GRID = 4, 112
WIDTH, DEPTHS, HEADS, WINDOW, RATIO, HIDDEN = 64, (2, 2, 2), (2, 4, 8), 7, 2, 64
COEFFICIENTS = 5
POINTS, RATE = 2048, 1e-3
OPERATOR = (1.0, 0.5, -1.0, 0.7, 1.3)  # of u, u_x, u_y, u_xx, u_yy
DEEPXDE_GOAL = 2.5
OURS = "metajax"

Run = Callable[[], Any]


# the encoder and its heads


def make_hypernet() -> Network:
    """Compose the blocks: ``(coefficients, grids) -> params of the target``, batched."""
    target = modified_mlp()

    def start(key):
        return target.init(key, jnp.zeros((1, 2)))

    tensors = len(jax.tree.leaves(jax.eval_shape(start, jax.random.key(0))))
    condition = mlp((), WIDTH)
    embed = grid_embedding(WIDTH)
    backbone = swin(depths=DEPTHS, heads=HEADS, window=WINDOW, mlp_ratio=RATIO)
    pools = [attention_pool(tensors, heads=heads) for heads in HEADS]
    heads = generator(start, latents="per_tensor", hidden=(HIDDEN,))

    def run(call: Callable[..., Any], coefficients: Any, grids: Any) -> Any:
        z = jax.nn.gelu(call("condition", condition, fourier_features(coefficients)))
        maps = call("backbone", backbone, call("embed", embed, grids), z)
        latents = [
            call(f"pool_{i}", pool, x.reshape(*x.shape[:-3], -1, x.shape[-1]))
            for i, (pool, x) in enumerate(zip(pools, maps, strict=True))
        ]
        return call("heads", heads, jnp.concatenate(latents, axis=-1))

    def init(key: Any, *inputs: Any) -> Params:
        params: Params = {}

        def call(name: str, network: Network, *args: Any) -> Any:
            params[name] = network.init(jax.random.fold_in(key, len(params)), *args)
            return network.apply(params[name], *args)

        run(call, *inputs)
        return params

    def apply(params: Params, *inputs: Any) -> Params:
        return run(lambda name, network, *args: network.apply(params[name], *args), *inputs)

    return Network(init, apply)


def torch_hypernet(torch: Any, params: Params, approximate: str) -> Any:
    """The same blocks of `torch.nn` modules, with our weights; returns a module.

    `approximate` is "tanh", the GELU that ours computes, or "none", with erf: another function, but
    the one that PyTorch is fastest at.
    """
    nn, functional = torch.nn, torch.nn.functional

    def fourier(x: Any) -> Any:
        factors = torch.tensor((2 * np.pi * 0.1 * 2.0 ** np.arange(5)).astype(np.float32))
        angles = (x[..., None] * factors).flatten(-2)
        return torch.cat([angles.sin(), angles.cos(), x], -1)

    norm = functools.partial(layer_norm, torch)

    def conv(weights: Params) -> Any:
        kernel = weights["kernel"].transpose(3, 2, 0, 1)
        layer = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, 2, padding=1)
        layer.weight.data = torch.from_numpy(kernel.copy())
        layer.bias.data = torch.from_numpy(weights["bias"].copy())
        return layer

    def gelu():
        return nn.GELU(approximate=approximate)

    class Embedding(nn.Module):
        def __init__(self, weights: Params):
            super().__init__()

            def stem(name, last):
                return nn.Sequential(
                    conv(weights[name]["Conv_0"]), gelu(), conv(weights[name]["Conv_1"]), last
                )

            self.gate, self.mask = stem("gate", nn.Tanh()), stem("mask", gelu())
            self.value, self.source = stem("value", gelu()), stem("source", gelu())
            kernel = weights["out"]["kernel"]
            self.out = nn.Conv2d(*kernel.shape, 1)
            self.out.weight.data = torch.from_numpy(kernel.T[:, :, None, None].copy())
            self.out.bias.data = torch.from_numpy(weights["out"]["bias"].copy())
            self.norm = nn.GroupNorm(max(WIDTH // 32, 1), WIDTH, eps=1e-6)
            self.norm.weight.data = torch.from_numpy(weights["norm"]["scale"].copy())
            self.norm.bias.data = torch.from_numpy(weights["norm"]["bias"].copy())
            side = -(-GRID // 4)
            positions = grid_positions(side, side, WIDTH).transpose(2, 0, 1)
            self.positions = torch.from_numpy(positions.copy())

        def forward(self, grids: Any) -> Any:
            masks, values, sources = grids.split([2, 2, 1], -1)

            def first(x):
                return x.movedim(-1, 1)

            masks = first(masks)
            boundary = self.mask(masks) + self.gate(masks) * self.value(first(fourier(values)))
            x = torch.cat([boundary, self.source(first(fourier(sources)))], 1) + self.positions
            return self.norm(self.out(x)).movedim(1, -1)

    class Block(nn.Module):
        def __init__(self, weights: Params, heads: int, side: int, shifted: bool):
            super().__init__()
            attention = weights["attention"]
            self.norm1, self.norm2 = norm(weights["norm1"]), norm(weights["norm2"])
            self.qkv, self.out = (linear(torch, attention[name]) for name in ("qkv", "out"))
            self.up, self.down = (linear(torch, weights[name]) for name in ("up", "down"))
            self.table = parameter(torch, attention["positions"])
            windows = windows_of(side, side, WINDOW, shifted=shifted)
            self.index = torch.from_numpy(relative_positions(windows, WINDOW).copy())
            mask = window_mask(windows)
            self.mask = None if mask is None else torch.from_numpy(np.where(mask, 0, -1e30))
            self.heads, self.windows = heads, windows
            self.act = gelu()

        def attention(self, x: Any) -> Any:
            n, height, width, channels = x.shape
            (rows, columns), shift = self.windows.window, self.windows.shift
            if shift != (0, 0):
                x = x.roll((-shift[0], -shift[1]), (1, 2))
            x = x.view(n, height // rows, rows, width // columns, columns, channels)
            x = x.transpose(2, 3).reshape(-1, rows * columns, channels)
            qkv = self.qkv(x).view(len(x), rows * columns, 3, self.heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            bias = self.table[self.index].permute(2, 0, 1)[None]
            if self.mask is not None:
                bias = (bias + self.mask.float()[:, None]).repeat(n, 1, 1, 1)
            found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            x = self.out(found.transpose(1, 2).flatten(-2))
            x = x.view(n, height // rows, width // columns, rows, columns, channels)
            x = x.transpose(2, 3).reshape(n, height, width, channels)
            return x if shift == (0, 0) else x.roll(shift, (1, 2))

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.norm1(x))
            return x + self.down(self.act(self.up(self.norm2(x))))

    class Merge(nn.Module):
        def __init__(self, weights: Params):
            super().__init__()
            self.norm = norm(weights["norm"])
            self.out = linear(torch, {**weights["reduction"], "bias": np.zeros(1, np.float32)})
            self.out.bias = None

        def forward(self, x: Any) -> Any:
            parts = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
            return self.out(self.norm(torch.cat(parts, -1)))

    class Pool(nn.Module):
        def __init__(self, weights: Params, heads: int):
            super().__init__()
            width = weights["queries"].shape[-1]
            self.norm = norm(weights["norm"])
            self.queries = parameter(torch, weights["queries"])
            self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
            kernels = [weights["query"]["kernel"]]
            kernels += [weights[name].reshape(width, width) for name in ("key", "value")]
            zeros = np.zeros(2 * width, np.float32)
            biases = np.concatenate([weights["query"]["bias"], zeros])
            stacked = np.concatenate([kernel.T for kernel in kernels])
            self.attention.in_proj_weight.data = torch.from_numpy(stacked)
            self.attention.in_proj_bias.data = torch.from_numpy(biases)
            self.attention.out_proj = linear(torch, weights["out"])

        def forward(self, x: Any) -> Any:
            x = self.norm(x.flatten(1, 2))
            queries = self.queries.expand(len(x), -1, -1)
            return self.attention(queries, x, x, need_weights=False)[0]

    class Head(nn.Module):
        def __init__(self, weights: Params, shape: tuple[int, ...]):
            super().__init__()
            out = {"kernel": weights["out"]["kernel"], "bias": weights["out"]["offset"]}
            self.hidden, self.out = linear(torch, weights["hidden_0"]), linear(torch, out)
            self.norm = nn.RMSNorm(HIDDEN, eps=1e-6)
            self.norm.weight.data = torch.from_numpy(weights["norm"]["scale"].copy())
            self.act, self.shape = gelu(), shape

        def forward(self, z: Any) -> Any:
            return self.out(self.norm(self.act(self.hidden(z)))).view(-1, *self.shape)

    class Hypernet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.condition = linear(torch, params["condition"]["Dense_0"])
            self.embed = Embedding(params["embed"])
            weights, side = params["backbone"], -(-GRID // 4)
            self.blocks, self.films = nn.ModuleList(), nn.ModuleList()
            self.merges, self.pools = nn.ModuleList([nn.Identity()]), nn.ModuleList()
            for stage, (depth, heads) in enumerate(zip(DEPTHS, HEADS, strict=True)):
                if stage:
                    self.merges.append(Merge(weights[f"merge_{stage}"]))
                    side = -(-side // 2)
                self.blocks.append(
                    nn.Sequential(
                        *(
                            Block(weights[f"stage_{stage}_block_{n}"], heads, side, n % 2 == 1)
                            for n in range(depth)
                        )
                    )
                )
                film = weights[f"film_{stage}"]
                self.films.append(linear(torch, {"kernel": film["weight"], "bias": film["bias"]}))
                self.pools.append(Pool(params[f"pool_{stage}"], heads))
            shapes = jax.eval_shape(
                lambda key: modified_mlp().init(key, jnp.zeros((1, 2))), jax.random.key(0)
            )
            self.heads = nn.ModuleList(
                Head(
                    params["heads"][jax.tree_util.keystr(path, simple=True, separator="/")],
                    leaf.shape,
                )
                for path, leaf in jax.tree.leaves_with_path(shapes)
            )
            self.act = gelu()

        def forward(self, coefficients: Any, grids: Any) -> list[Any]:
            z = self.act(self.condition(fourier(coefficients)))
            x, latents = self.embed(grids), []
            for merge, blocks, film, pool in zip(
                self.merges, self.blocks, self.films, self.pools, strict=True
            ):
                scale, shift = film(z)[:, None, None].chunk(2, -1)
                x = blocks(merge(x)) * (1 + scale) + shift
                latents.append(pool(x))
            latent = torch.cat(latents, -1)
            return [head(latent[:, i]) for i, head in enumerate(self.heads)]

    return Hypernet()


def encoder(torch: Any, rounds: int) -> dict[str, Any]:
    """Compare forward passes, and losses with their gradients."""
    draw = np.random.default_rng(0)

    def normal(*shape):
        return draw.standard_normal(shape).astype(np.float32)

    inputs = (normal(BATCH, COEFFICIENTS), normal(BATCH, GRID, GRID, 5))
    network = make_hypernet()
    params = jax.jit(network.init)(jax.random.key(0), *inputs)
    # none of them zero or one, so that each is seen to be where it belongs
    params = jax.tree.map(lambda p: np.asarray(p + 0.05 * normal(*p.shape)), params)
    targets = jax.tree.map(
        lambda leaf: normal(*leaf.shape), jax.eval_shape(network.apply, params, *inputs)
    )

    def loss(made: Any, wanted: Any) -> Any:
        pairs = zip(jax.tree.leaves(made), jax.tree.leaves(wanted), strict=True)
        return sum(((a - b) ** 2).mean() for a, b in pairs)

    def mapped(params: Params, *inputs: Any) -> Any:
        return jax.vmap(network.apply, (None, 0, 0))(params, *inputs)

    forward: dict[str, Run] = {}
    backward: dict[str, Run] = {}
    seconds = {}
    arrays = jax.tree.map(jnp.asarray, (params, inputs, targets))
    for side, apply in ((OURS, mapped), (f"{OURS}, one batch", network.apply)):
        begin = time.process_time()
        run = jax.jit(lambda p, x, y, apply=apply: apply(p, *x)).lower(*arrays).compile()
        seconds[f"{side}, forward"] = time.process_time() - begin
        forward[side] = lambda run=run: run(*arrays)
        begin = time.process_time()
        run = jax.jit(jax.value_and_grad(lambda p, x, y, apply=apply: loss(apply(p, *x), y)))
        run = run.lower(*arrays).compile()
        seconds[f"{side}, with backward"] = time.process_time() - begin
        backward[side] = lambda run=run: run(*arrays)

    tensors = [torch.from_numpy(x) for x in inputs]
    wanted = [torch.from_numpy(y) for y in jax.tree.leaves(targets)]
    modules = {
        "PyTorch": torch_hypernet(torch, params, "tanh"),
        "PyTorch, GELU by erf": torch_hypernet(torch, params, "none"),
    }

    def torch_forward(module: Any) -> Any:
        with torch.no_grad():
            return [x.numpy() for x in module(*tensors)]

    def torch_backward(module: Any) -> Any:
        module.zero_grad(set_to_none=True)
        value = loss(module(*tensors), wanted)
        value.backward()
        return value.item()

    for side, module in modules.items():
        forward[side] = functools.partial(torch_forward, module)
        backward[side] = functools.partial(torch_backward, module)

    theirs = forward["PyTorch"]()
    values = {side: run() for side, run in backward.items()}
    differences = {}
    for side in (OURS, f"{OURS}, one batch"):
        pairs = list(zip(jax.tree.leaves(forward[side]()), theirs, strict=True))
        worst = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
        value, grads = values[side]
        film = np.asarray(grads["backbone"]["film_0"]["weight"]).T
        other = modules["PyTorch"].films[0].weight.grad.numpy()
        gradient = float(np.abs(film - other).max() / np.abs(other).max())
        apart = abs(float(value) / values["PyTorch"] - 1)
        differences[side] = {"outputs": worst, "loss": apart, "a gradient": gradient}
        print(f"encoder, {side} against PyTorch, relative: {differences[side]}")
        if not max(worst, apart, gradient) <= TOLERANCE:
            raise SystemExit(f"encoder: {side} differs by more than {TOLERANCE}")
    return {
        "parameters": count(params),
        "differences": differences,
        "compile_cpu_seconds": seconds,
        "forward": table("encoder, forward", forward, rounds),
        "with_backward": table("encoder, forward and backward", backward, rounds),
    }


# the target's residual


def nested(apply: Any, params: Params, points: Any) -> tuple[Any, ...]:
    """`jax.grad` of the sum over points, and again."""

    def u(x):
        return apply(params, x)[:, 0]

    slope = jax.grad(lambda x: jnp.sum(u(x)))
    second = [jax.grad(lambda x, i=i: jnp.sum(slope(x)[:, i]))(points)[:, i] for i in (0, 1)]
    first = slope(points)
    return u(points), first[:, 0], first[:, 1], *second


def hessian(apply: Any, params: Params, points: Any) -> tuple[Any, ...]:
    """`jax.hessian` of each point."""

    def u(x):
        return apply(params, x)[0]

    values, first, second = jax.vmap(lambda x: (u(x), jax.grad(u)(x), jax.hessian(u)(x)))(points)
    return values, first[:, 0], first[:, 1], second[:, 0, 0], second[:, 1, 1]


def along(rule: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """Take first and second derivatives along x and y by ``rule(function, points, tangents)``."""

    def derivatives(apply: Any, params: Params, points: Any) -> tuple[Any, ...]:
        def u(x):
            return apply(params, x)[:, 0]

        def one(e):
            return rule(u, points, jnp.broadcast_to(e, points.shape))

        values, first, second = jax.vmap(one, out_axes=(None, 0, 0))(jnp.eye(2))
        return values, *first, *second

    return derivatives


def jvp_of_jvp(function: Any, points: Any, tangents: Any) -> tuple[Any, Any, Any]:
    """Forward mode twice."""

    def slope(x):
        return jax.jvp(function, (x,), (tangents,))

    (values, first), (_, second) = jax.jvp(slope, (points,), (tangents,))
    return values, first, second


def by_jet(function: Any, points: Any, tangents: Any) -> tuple[Any, Any, Any]:
    """JAX's own Taylor mode."""
    values, terms = jet.jet(function, (points,), ((tangents, jnp.zeros_like(tangents)),))
    return values, *terms


def pinn(torch: Any, rounds: int) -> dict[str, Any]:
    """Compare the derivatives, and steps of Adam on a residual."""
    network = modified_mlp()
    draw = np.random.default_rng(0)
    points = draw.uniform(-1, 1, (POINTS, 2)).astype(np.float32)
    source = np.sin(np.pi * points[:, 0]) * np.sin(4 * np.pi * points[:, 1])
    params = jax.jit(network.init)(jax.random.key(0), points)
    params = jax.tree.map(
        lambda p: np.asarray(p + 0.1 * draw.standard_normal(p.shape).astype(np.float32)), params
    )
    optimizer = optax.adam(RATE)

    def taylor(_: Any, params: Params, points: Any) -> tuple[Any, ...]:
        u, _ = network.derivatives(params, points)
        return tuple(x[:, 0] for x in (u.u, u.x, u.y, u.xx, u.yy))

    ways = {
        OURS: taylor,
        "JAX, nested grad": nested,
        "JAX, jvp of jvp": along(jvp_of_jvp),
        "JAX, jet": along(by_jet),
        "JAX, hessian": hessian,
    }
    seconds, alone, steps = {}, {}, {}
    for side, way in ways.items():

        def residual_loss(params, points, source, way=way):
            terms = way(network.apply, params, points)
            residual = sum(c * term for c, term in zip(OPERATOR, terms, strict=True)) - source
            return jnp.mean(jnp.square(residual))

        def step(state, points, source, loss=residual_loss):
            params, memory = state
            value, grads = jax.value_and_grad(loss)(params, points, source)
            updates, memory = optimizer.update(grads, memory, params)
            return (optax.apply_updates(params, updates), memory), value

        arrays = tuple(map(jnp.asarray, (points, source)))
        state = jax.tree.map(jnp.asarray, (params, optimizer.init(params)))
        begin = time.process_time()
        derivatives = jax.jit(lambda params, points, way=way: way(network.apply, params, points))
        derivatives = derivatives.lower(state[0], arrays[0]).compile()
        compiled = jax.jit(step, donate_argnums=0).lower(state, *arrays).compile()
        seconds[side] = time.process_time() - begin
        start = jax.tree.map(jnp.asarray, params)
        alone[side] = lambda run=derivatives, start=start, x=arrays[0]: run(start, x)
        held = [jax.tree.map(jnp.array, state)]

        def run(compiled=compiled, held=held, arrays=arrays):
            held[0], value = compiled(held[0], *arrays)
            return value

        steps[side] = run

    def torch_module() -> Any:
        nn = torch.nn

        class Target(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.gates = nn.ModuleList(
                    linear(torch, params[name]) for name in ("gate_u", "gate_v", "layer_0")
                )
                self.layers = nn.ModuleList(linear(torch, params[f"layer_{n}"]) for n in (1, 2, 3))
                self.head = linear(torch, params["head"])
                factors = 2 * np.pi * 0.1 * 2.0 ** np.arange(5)
                self.factors = torch.from_numpy(factors.astype(np.float32))
                self.regularizer = None  # DeepXDE asks for it, and for the next
                self.auxiliary_vars = None

            def forward(self, x: Any) -> Any:
                angles = (x[..., None] * self.factors).flatten(-2)
                x = torch.cat([angles.sin(), angles.cos(), x], -1)
                u, v, h = (gate(x).tanh() for gate in self.gates)
                for layer in self.layers:
                    h = layer(u * h + v * (1 - h)).tanh()
                return self.head(h)

        return Target()

    def combine(terms: Any) -> Any:
        return sum(c * term for c, term in zip(OPERATOR, terms, strict=True))

    x_torch, f_torch = torch.from_numpy(points), torch.from_numpy(source)

    def by_autograd() -> Run:
        module = torch_module()
        adam = torch.optim.Adam(module.parameters(), RATE)

        def run() -> Any:
            x = x_torch.clone().requires_grad_()
            u = module(x)
            (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
            second = [
                torch.autograd.grad(first[:, i].sum(), x, create_graph=True)[0][:, i]
                for i in (0, 1)
            ]
            residual = combine((u[:, 0], first[:, 0], first[:, 1], *second)) - f_torch
            adam.zero_grad(set_to_none=True)
            loss = residual.square().mean()
            loss.backward()
            adam.step()
            return loss.item()

        return run

    steps["PyTorch, autograd"] = by_autograd()
    left_out = None
    try:
        os.environ["DDE_BACKEND"] = "pytorch"
        import deepxde
    except ImportError as error:
        left_out = f"{error}; pip install --no-deps --target FOLDER deepxde scikit-optimize pyaml"
        print(f"DeepXDE is left out ({left_out})", flush=True)
    else:
        for mode in ("reverse", "forward"):
            steps[f"DeepXDE, {mode} mode"] = by_deepxde(
                deepxde, mode, torch_module(), points, source
            )
    values = {side: [float(run()) for _ in range(5)] for side, run in steps.items()}
    differences = {
        side: float(np.max(np.abs(np.array(found) / values[OURS] - 1)))
        for side, found in values.items()
    }
    print("pinn: losses of the first steps:", *(f"{x:.5f}" for x in values[OURS]))
    for side, difference in differences.items():
        print(f"  {side:24} largest relative difference {difference:.1e}")
    if not max(differences.values()) <= TOLERANCE:
        raise SystemExit(f"pinn: losses differ by more than {TOLERANCE}")
    return {
        "losses": values[OURS],
        "differences": differences,
        "left_out": left_out,
        "compile_cpu_seconds": seconds,
        "derivatives": table("pinn, derivatives alone", alone, rounds),
        "step": table(
            "pinn, a step of Adam",
            steps,
            rounds,
            {f"DeepXDE, {mode} mode": DEEPXDE_GOAL for mode in ("reverse", "forward")},
        ),
    }


def by_deepxde(deepxde: Any, mode: str, module: Any, points: Any, source: Any) -> Run:
    """DeepXDE's own training step; all points lie within its geometry."""
    import torch

    deepxde.config.autodiff = mode  # set_default_autodiff does this and prints
    wanted = torch.from_numpy(source)[:, None]

    def equation(x: Any, u: Any) -> Any:
        first = [deepxde.grad.jacobian(u, x, i=0, j=j) for j in (0, 1)]
        second = [deepxde.grad.hessian(u, x, i=j, j=j) for j in (0, 1)]
        # in forward mode each is a pair of the values and of the function that they are of
        terms = [term[0] if mode == "forward" else term for term in (u, *first, *second)]
        return sum(c * term for c, term in zip(OPERATOR, terms, strict=True)) - wanted

    last = [np.nan]

    def mean_square(_: Any, residual: Any) -> Any:
        loss = residual.square().mean()
        last[0] = loss.item()
        return loss

    square = deepxde.geometry.Rectangle([-1, -1], [1, 1])
    data = deepxde.data.PDE(square, equation, [], num_domain=0, anchors=points)
    model = deepxde.Model(data, module)
    model.compile("adam", lr=RATE, loss=mean_square, verbose=0)
    if not np.array_equal(data.train_x, points):
        raise SystemExit("DeepXDE has put the points into another order")

    def run() -> float:
        deepxde.config.autodiff = mode
        model.train_step(data.train_x, None, None)
        return last[0]

    return run


def table(
    name: str, sides: dict[str, Run], rounds: int, goals: dict[str, float] | None = None
) -> dict[str, Any]:
    """Time the sides in turn and compare them with ours."""
    times = interleaved(sides, rounds)
    print(f"\n{name}, {rounds} rounds{'':16} CPU ms   over ours")
    rows = {}
    for side, values in times.items():
        row: dict[str, Any] = {
            "cpu_ms": interval(values * 1e3),
            "over_metajax": interval(values / times[OURS]),
        }
        text = ""
        if goals and side in goals:
            row["goal"] = goals[side]
            row["goal_met"] = row["over_metajax"]["median"] >= goals[side]
            text = f"   goal {goals[side]:g}, {'met' if row['goal_met'] else 'missed'}"
        rows[side] = row
        print(f"  {side:36} {row['cpu_ms']['median']:9.2f}   {shown(row['over_metajax'])}{text}")
    return rows


def main() -> int:
    """Run the comparisons, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("encoder", "pinn")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    options = parser.parse_args()
    torch = import_torch()
    result = use_one_thread(torch)
    result["rounds"] = options.rounds
    if "encoder" in options.parts:
        result["encoder"] = encoder(torch, options.rounds)
    if "pinn" in options.parts:
        result["pinn"] = pinn(torch, options.rounds)
        if result["pinn"]["left_out"] is None:
            result["versions"]["deepxde"] = importlib.metadata.version("deepxde")
    write_result(options.out, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
