"""What the kernels compute, in plain operations of JAX: record (T, B, N), lengths (B) or None."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any


class Kernel(NamedTuple):
    """A kernel, its options, its composed form, and what it reads."""

    op: str
    options: tuple[float, ...]
    form: Callable[..., Any]
    record: str = "numbers"
    target: str = ""
    differs: tuple[int, ...] = (0,)


def computed(x: Array) -> Array:
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


def valid(x: Array, lengths: Array | None) -> Array:
    """(T, B, 1)"""
    t, held = jnp.arange(x.shape[0])[:, None, None], jnp.full(x.shape[1], x.shape[0])
    return t < (held if lengths is None else lengths)[:, None]


def at(x: Array, step: Array) -> Array:
    """The entries at steps (B, N), 0 where there is none."""
    found = jnp.take_along_axis(x, jnp.maximum(step, 0)[None], axis=0)[0]
    return jnp.where(step < 0, 0, found)


def first(where: Array) -> Array:
    """The first step of each neuron, -1: none."""
    return jnp.where(where.any(0), jnp.argmax(where, axis=0), -1).astype(jnp.int32)


def added(value: Array, x: Array, lengths: Array | None) -> Array:
    return jnp.sum(jnp.where(valid(x, lengths), value, 0), axis=0)


def weighted(tau: float) -> Callable[..., Any]:
    def form(x: Array, lengths: Array | None) -> Any:
        x = computed(x)
        weight = (
            jnp.exp(-jnp.arange(x.shape[0], dtype=x.dtype) / tau) if tau else 1 + 0 * x[:, 0, 0]
        )
        return (added(weight[:, None, None] * x, x, lengths),)

    return form


def highest(x: Array, lengths: Array | None) -> Any:
    x = computed(x)
    held = jnp.where(valid(x, lengths), x, -jnp.inf)
    top = jax.lax.stop_gradient(held).max(0)
    step = first((held == top) & valid(x, lengths))
    return jnp.where(step < 0, -jnp.inf, at(x, step)), step


def log_sum(k: float) -> Callable[..., Any]:
    def form(x: Array, lengths: Array | None) -> Any:
        x = k * computed(x)
        top = jax.lax.stop_gradient(jnp.where(valid(x, lengths), x, -jnp.inf).max(0))
        return top, added(jnp.exp(x - jnp.where(jnp.isinf(top), 0, top)), x, lengths)

    return form


def votes(x: Array, lengths: Array | None) -> Any:
    x = computed(x)
    return (added(jax.nn.softmax(x), x, lengths),)


def last(x: Array, lengths: Array | None) -> Any:
    x = computed(x)
    step = jnp.broadcast_to(valid(x, lengths).sum(0) - 1, x.shape[1:]).astype(jnp.int32)
    return at(x, step), step


def spikes(count: int) -> Callable[..., Any]:
    def form(x: Array, lengths: Array | None) -> Any:
        x = computed(x)
        fired, (ends, end) = (x != 0) & valid(x, lengths), last(x, lengths)
        order = jnp.cumsum(fired, axis=0)
        steps = jnp.stack([first(fired & (order == k + 1)) for k in range(count)])
        entries = jnp.stack([jnp.where(s < 0, ends, at(x, s)) for s in steps])
        times = jnp.where(steps < 0, jnp.inf, steps).astype(x.dtype)
        return times, entries, jnp.where(steps < 0, end, steps)

    return form


def first_spike(sign: float, delay: float) -> Callable[..., Any]:
    def form(x: Array, lengths: Array | None) -> Any:
        (time,), (entry,), (step,) = spikes(1)(x, lengths)
        time = sign * (jnp.where(step < 0, 0, step) + jnp.where(jnp.isinf(time), delay, 0))
        return time - sign * (entry - jax.lax.stop_gradient(entry)), step

    return form


def soft_count(count: int, tau: float, latency: float) -> Callable[..., Any]:
    def form(x: Array, lengths: Array | None) -> Any:
        time, entry, _ = spikes(count)(x, lengths)
        silent, n = jnp.isinf(time), jnp.maximum(valid(x, lengths).sum(0), 1)
        time = jnp.where(silent, n, time) - (entry - jax.lax.stop_gradient(entry))
        each = jax.nn.sigmoid((n - time) / tau)
        return (jnp.sum(jnp.where(silent, 0, each), axis=0) - latency * time[0],)

    return form


def crossing(h: float) -> Callable[..., Any]:
    def form(x: Array, lengths: Array | None) -> Any:
        x = computed(x)
        step = first((x >= h) & valid(x, lengths))
        b, a = at(x, step), jnp.where(step > 0, at(x, step - 1), 0)
        rise = jnp.where((step >= 0) & (b > a), b - a, 1)
        top, peak = highest(x, lengths)
        return jnp.where(step < 0, jnp.inf, step - 1 + (h - a) / rise), top, step, peak

    return form


def peak(width: int) -> Callable[..., Any]:
    def form(x: Array, lengths: Array | None) -> Any:
        x = computed(x)
        top, step = highest(x, lengths)
        t = jnp.arange(x.shape[0])[:, None, None]
        window = (t >= step) & (t < step + width) & (step >= 0) & valid(x, lengths)
        total = jnp.sum(jnp.where(window, x, 0), axis=0)
        return jax.lax.stop_gradient(top), total, window.sum(0).astype(x.dtype), step

    return form


def decaying(tau: float, order: int = 1, rise: float = 0.0) -> Callable[..., Any]:
    def filtered(x: Array, tau: float) -> Array:
        t = jnp.arange(x.shape[0])
        back = t[:, None] - t
        kernel = jnp.where(back < 0, 0, jnp.exp(-back.clip(0) / tau)).astype(x.dtype)
        return jnp.einsum("ts,sbn->tbn", kernel, x, precision="highest")

    def form(x: Array, lengths: Array | None) -> Array:
        held = jnp.where(valid(x, lengths), computed(x), 0)
        z = held
        for _ in range(order):
            z = filtered(z, tau)
        z = z - filtered(held, rise) if rise else z
        return jnp.where(valid(x, lengths), z, 0)

    return form


def moving(width: int) -> Callable[..., Any]:
    def form(x: Array, lengths: Array | None) -> Array:
        held = jnp.where(valid(x, lengths), computed(x), 0)
        t = jnp.arange(x.shape[0])
        back = t[:, None] - t
        kernel = ((back >= 0) & (back < width)).astype(held.dtype)
        kernel = kernel / kernel.sum(1, keepdims=True)
        z = jnp.einsum("ts,sbn->tbn", kernel, held, precision="highest")
        return jnp.where(valid(x, lengths), z, 0)

    return form


def cross_entropy(e: float, ignore: int | None) -> Callable[..., Any]:
    def form(x: Array, y: Array, lengths: Array | None) -> Any:
        x = computed(x)
        y = jnp.broadcast_to(y, x.shape[:2])
        counts = valid(x, lengths) & (True if ignore is None else (y != ignore)[..., None])
        log_p = jax.nn.log_softmax(x)
        right = jnp.take_along_axis(log_p, jnp.maximum(y, 0)[..., None], axis=-1)
        value = -(1 - e) * right - e * log_p.mean(-1, keepdims=True)
        return jnp.sum(jnp.where(counts, value, 0), axis=0), counts.sum(0).astype(jnp.int32)

    return form


def soft_cross_entropy(e: float) -> Callable[..., Any]:
    def form(x: Array, y: Array, lengths: Array | None) -> Any:
        x = computed(x)
        q = (1 - e) * y + e / x.shape[-1]
        value = -jnp.sum(q * jax.nn.log_softmax(x), axis=-1, keepdims=True)
        return (added(value, x, lengths),)

    return form


def squared(tolerance: float, delta: float) -> Callable[..., Any]:
    def form(x: Array, y: Array, lengths: Array | None) -> Any:
        error = computed(x) - y
        size, value = jnp.abs(error), error * error
        if delta:
            value = jnp.where(size <= delta, value, delta * (2 * size - delta))
        return (added(jnp.where(size < tolerance, 0, value), x, lengths),)

    return form


def binary(slope: float, threshold: float) -> Callable[..., Any]:
    def form(x: Array, y: Array, lengths: Array | None) -> Any:
        a = slope * (computed(x) - threshold)
        return (added(jax.nn.softplus(a) - y * a, x, lengths),)

    return form


def poisson(x: Array, y: Array, lengths: Array | None) -> Any:
    x = computed(x)
    return (added(jnp.exp(x) - y * x, x, lengths),)


def distilled(temperature: float) -> Callable[..., Any]:
    def form(x: Array, y: Array, lengths: Array | None) -> Any:
        log_p = jax.nn.log_softmax(computed(x) / temperature)
        log_q = jax.nn.log_softmax(y / temperature)
        value = jnp.sum(jnp.exp(log_q) * (log_q - log_p), axis=-1, keepdims=True)
        return (temperature**2 * added(value, x, lengths),)

    return form


def train(tau: float) -> Callable[..., Any]:
    def form(x: Array, y: Array, lengths: Array | None) -> Any:
        z = decaying(tau)(computed(x) - y, lengths)
        return (jnp.sum(z * z, axis=0),)

    return form


KERNELS = (
    Kernel("sum", (0.0,), weighted(0.0)),
    Kernel("sum", (3.0,), weighted(3.0)),
    Kernel("max", (), highest),
    Kernel("lse", (2.0,), log_sum(2.0), differs=(1,)),
    Kernel("votes", (), votes),
    Kernel("last", (), last),
    Kernel("spikes", (1.0, 0.0), spikes(1), "spikes", differs=(1,)),
    Kernel("spikes", (3.0, 0.0), spikes(3), "spikes", differs=(1,)),
    Kernel("first", (1.0, 0.0, 0.0), first_spike(1.0, 0.0), "spikes"),
    Kernel("first", (-1.0, 2.5, 0.0), first_spike(-1.0, 2.5), "spikes"),
    Kernel("cross", (0.7, 0.0), crossing(0.7), differs=(0, 1)),
    Kernel("peak", (3.0,), peak(3), differs=(1,)),
    Kernel("trace", (4.0, 1.0, 0.0), decaying(4.0)),
    Kernel("trace", (4.0, 2.0, 0.0), decaying(4.0, 2)),
    Kernel("trace", (4.0, 1.0, 2.0), decaying(4.0, 1, 2.0)),
    Kernel("window", (3.0,), moving(3)),
    Kernel("ce", (0.0, 0.0, 0.0), cross_entropy(0.0, None), target="label"),
    Kernel("ce", (0.1, 1.0, 2.0), cross_entropy(0.1, 2), target="labels"),
    Kernel("soft_ce", (0.1,), soft_cross_entropy(0.1), target="row"),
    Kernel("soft_ce", (0.0,), soft_cross_entropy(0.0), target="rows"),
    Kernel("se", (0.0, 0.0), squared(0.0, 0.0), target="row"),
    Kernel("se", (0.2, 1.0), squared(0.2, 1.0), target="rows"),
    Kernel("bce", (2.0, 0.5), binary(2.0, 0.5), target="rows"),
    Kernel("poisson", (), poisson, target="row"),
    Kernel("distil", (2.0,), distilled(2.0), target="rows"),
    Kernel("train", (5.0,), train(5.0), target="rows"),
    Kernel("soft", (1.0, 2.5, 0.0, 0.0), soft_count(1, 2.5, 0.0), "spikes"),
    Kernel("soft", (3.0, 2.5, 0.75, 0.0), soft_count(3, 2.5, 0.75), "spikes"),
)
