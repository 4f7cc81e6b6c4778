"""Every objective once more, as float64 loops: the numbers that other tests compare with.

One sample at a time: crop it to its n valid steps, then

    x (n,N) --readout--> z (n,C) | (C,) | (F,N) --criterion, against y--> each () | (C,) per row
      --mean over the counted steps--> loss () | (C,) | (F,N) --reduction over the batch--> value

Each function returns its value and its derivative, written by hand; ``dz`` has the shape of z and
then that of x. Nothing here imports the library or an automatic differentiation, so that a slip
there cannot hide here. Padding needs no rule: a sample is cropped before anything is computed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Stage = tuple[str, dict[str, Any]]  # the name of a stage, and its options


# Readouts: x (n,N) -> z, dz


def every_step(x: Array) -> tuple[Array, Array]:
    """z_t = x_t."""
    n, neurons = x.shape
    z, dz = np.zeros((n, neurons)), np.zeros((n, neurons, n, neurons))
    for t in range(n):
        for i in range(neurons):
            z[t, i] = x[t, i]
            dz[t, i, t, i] = 1.0
    return z, dz


def count(x: Array) -> tuple[Array, Array]:
    """z = sum_t x_t."""
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for t in range(n):
        for i in range(neurons):
            z[i] += x[t, i]
            dz[i, t, i] = 1.0
    return z, dz


def spike_count(x: Array, *, shared: bool = False) -> tuple[Array, Array]:
    """z = sum_t x_t; dz/dx = 1, or 1 / z if ``shared``, where x is not 0, and 0 elsewhere."""
    z, dz = count(x)
    for i in range(len(z)):
        for t in range(len(x)):
            share = (1.0 / z[i] if z[i] else 0.0) if shared else 1.0
            dz[i, t, i] = share if x[t, i] != 0 else 0.0
    return z, dz


def mean(x: Array) -> tuple[Array, Array]:
    """z = sum_t x_t / n."""
    z, dz = count(x)
    return z / len(x), dz / len(x)


def maximum(x: Array) -> tuple[Array, Array]:
    """z = max_t x_t; the derivative belongs to the first step that reaches it."""
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for i in range(neurons):
        best = 0
        for t in range(1, n):
            if x[t, i] > x[best, i]:
                best = t
        z[i] = x[best, i]
        dz[i, best, i] = 1.0
    return z, dz


def last_step(x: Array) -> tuple[Array, Array]:
    """z = x_{n-1}."""
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for i in range(neurons):
        z[i] = x[n - 1, i]
        dz[i, n - 1, i] = 1.0
    return z, dz


def decided(x: Array) -> tuple[Array, Array]:
    """z = x_0, for a record of one step: the scores of a network without a time axis."""
    if len(x) != 1:
        raise ValueError(f"x: expected one step, got {len(x)}. Read it with LastStep.")
    return last_step(x)


def coded(time: float, code: str) -> tuple[float, float]:
    """The code of a time, t | -t | 1/(t+1), and its derivative with respect to t."""
    if code == "time":
        return time, 1.0
    if code == "negative":
        return -time, -1.0
    if code == "reciprocal":
        return 1.0 / (time + 1.0), -1.0 / (time + 1.0) ** 2
    if code == "exponential":
        return -math.exp(time), -math.exp(time)
    raise ValueError(f"code: expected a code of times, got {code!r}.")


def spike_times(
    x: Array,
    *,
    count: int = 1,
    code: str = "time",
    unit: float = 1.0,
    silent_delay: float = 0.0,
    silent_gradient: bool = True,
) -> tuple[Array, Array]:
    """z_f = the step of the neuron's own f-th non-zero entry; n - 1 + silent_delay if it has none.

    The derivative is an estimate: dt/dx = -1 at the step of that spike. A missing spike has its -1
    at the last step, or nowhere without silent_gradient.
    """
    n, neurons = x.shape
    z, dz = np.zeros((count, neurons)), np.zeros((count, neurons, n, neurons))
    for i in range(neurons):
        fired = [t for t in range(n) if x[t, i] != 0]
        for f in range(count):
            if f < len(fired):
                step, time, slope = fired[f], float(fired[f]), -1.0
            else:
                step, time = n - 1, n - 1 + silent_delay
                slope = -1.0 if silent_gradient else 0.0
            z[f, i], derivative = coded(time / unit, code)
            dz[f, i, step, i] = derivative * slope / unit
    return z, dz


def first_spike(
    x: Array,
    *,
    code: str = "time",
    unit: float = 1.0,
    silent_delay: float = 0.0,
    silent_gradient: bool = True,
) -> tuple[Array, Array]:
    """z = min{t : x_t != 0}: the only row of ``spike_times`` for one spike."""
    z, dz = spike_times(
        x,
        count=1,
        code=code,
        unit=unit,
        silent_delay=silent_delay,
        silent_gradient=silent_gradient,
    )
    return z[0], dz[0]


def interpolated_spike(
    x: Array,
    *,
    threshold: float = 1.0,
    silent_slope: float = 1.0,
    code: str = "time",
    unit: float = 1.0,
) -> tuple[Array, Array]:
    """z = when the membrane, joined by straight lines from 0 at step -1, first reaches threshold.

    A silent neuron: n + silent_slope (threshold - max_t x_t), the first maximum learning.
    """
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for i in range(neurons):
        crossing = [t for t in range(n) if x[t, i] >= threshold]
        slope = np.zeros(n)
        if crossing:
            t = crossing[0]
            before = x[t - 1, i] if t > 0 else 0.0
            rise = x[t, i] - before
            time = t - 1 + (threshold - before) / rise
            slope[t] = -(threshold - before) / rise**2
            if t > 0:
                slope[t - 1] = (threshold - before) / rise**2 - 1.0 / rise
        else:
            best = max(range(n), key=lambda t: x[t, i])
            time = n + silent_slope * (threshold - x[best, i])
            slope[best] = -silent_slope
        z[i], derivative = coded(time / unit, code)
        dz[i, :, i] = derivative * slope / unit
    return z, dz


def weighted_sum(x: Array, *, tau: float, shape: str = "exponential") -> tuple[Array, Array]:
    """z = sum_t w_t x_t: w_t = e^(-t/tau), max(0, 1 - t/tau), 1 / (1 + e^((t/tau - 1/2) / 0.2))."""
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for t in range(n):
        weight = {
            "exponential": math.exp(-t / tau),
            "linear": max(0.0, 1 - t / tau),
            "sigmoid": 1 / (1 + math.exp(min((t / tau - 0.5) / 0.2, 700.0))),
        }[shape]
        for i in range(neurons):
            z[i] += weight * x[t, i]
            dz[i, t, i] = weight
    return z, dz


def log_sum_exp(x: Array, *, sharpness: float = 1.0) -> tuple[Array, Array]:
    """z = log(sum_t e^(k x_t) / n) / k."""
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for i in range(neurons):
        top = max(x[:, i])
        total = sum(math.exp(sharpness * (x[t, i] - top)) for t in range(n))
        z[i] = top + math.log(total / n) / sharpness
        for t in range(n):
            dz[i, t, i] = math.exp(sharpness * (x[t, i] - top)) / total
    return z, dz


def cumulative_softmax(x: Array) -> tuple[Array, Array]:
    """z_c = sum_t softmax(x_t)_c."""
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for t in range(n):
        p = [math.exp(value) for value in log_softmax(x[t])]
        for c in range(neurons):
            z[c] += p[c]
            for k in range(neurons):
                dz[c, t, k] = p[c] * ((c == k) - p[k])
    return z, dz


def disagreement(x: Array, *, temperature: float = 1.0) -> tuple[Array, Array]:
    """z = mean over i != j of T^2 sum_c q_c (log q_c - log p_c), q of step j, p of step i.

    The derivative is that of the steps i alone. One number, 0 for a single step.
    """
    n, neurons = x.shape
    z, dz = np.zeros(1), np.zeros((1, n, neurons))
    for i in range(n):
        for j in range(n):
            if i != j:
                far, slope = distillation(x[i], x[j], n=n, temperature=temperature)
                z[0] += far / (n * (n - 1))
                dz[0, i] += slope / (n * (n - 1))
    return z, dz


def moving_window(x: Array, *, width: int) -> tuple[Array, Array]:
    """z_t = the mean of the last ``width`` steps up to t, of fewer at the start."""
    n, neurons = x.shape
    z, dz = np.zeros((n, neurons)), np.zeros((n, neurons, n, neurons))
    for t in range(n):
        steps = range(max(0, t - width + 1), t + 1)
        for i in range(neurons):
            for s in steps:
                z[t, i] += x[s, i] / len(steps)
                dz[t, i, s, i] = 1.0 / len(steps)
    return z, dz


def filtered_trace(
    x: Array, *, tau: float, order: int = 1, rise: float | None = None
) -> tuple[Array, Array]:
    """z_t = sum_{s <= t} k(t - s) x_s, the kernel summed term by term."""
    n, neurons = x.shape
    z, dz = np.zeros((n, neurons)), np.zeros((n, neurons, n, neurons))
    for t in range(n):
        for s in range(t + 1):
            d = t - s
            k = math.exp(-d / tau) * math.comb(d + order - 1, order - 1)
            if rise is not None:
                k = math.exp(-d / tau) - math.exp(-d / rise)
            for i in range(neurons):
                z[t, i] += k * x[s, i]
                dz[t, i, s, i] = k
    return z, dz


def soft_count(
    x: Array, *, count: int, tau: float = 1.0, latency: float = 0.0
) -> tuple[Array, Array]:
    """z = sum_k 1 / (1 + e^(-(n - t_k)/tau)) - latency t_1, of the first ``count`` spikes at t_k.

    The derivative is an estimate: dt_k/dx = -1 at t_k. A silent neuron has t_1 = n, which has its
    -1 at the last step, and no other time.
    """
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for i in range(neurons):
        fired = [t for t in range(n) if x[t, i] != 0]
        for t in fired[:count]:
            share = 1.0 / (1.0 + math.exp(-(n - t) / tau))
            z[i] += share
            dz[i, t, i] += share * (1.0 - share) / tau
        first, step = (fired[0], fired[0]) if fired else (n, n - 1)
        z[i] -= latency * first
        dz[i, step, i] += latency
    return z, dz


def peak_window(x: Array, *, width: int) -> tuple[Array, Array]:
    """z = the mean of x_p ... x_{p+width-1}, of fewer at the end; p is the first maximum."""
    n, neurons = x.shape
    z, dz = np.zeros(neurons), np.zeros((neurons, n, neurons))
    for i in range(neurons):
        best = 0
        for t in range(1, n):
            if x[t, i] > x[best, i]:
                best = t
        steps = range(best, min(n, best + width))
        for s in steps:
            z[i] += x[s, i] / len(steps)
            dz[i, s, i] = 1.0 / len(steps)
    return z, dz


def population(x: Array, *, of: Stage, classes: int, pool: str = "sum") -> tuple[Array, Array]:
    """z_c = sum | mean of what ``of`` gives for the c-th of ``classes`` equal contiguous groups."""
    inner, dinner = read(of, x)
    neurons = inner.shape[-1]
    if neurons % classes:
        raise ValueError(f"classes: expected a divisor of {neurons} neurons, got {classes}.")
    size = neurons // classes
    z = np.zeros((*inner.shape[:-1], classes))
    dz = np.zeros(z.shape + x.shape)
    for i in range(neurons):
        z[..., i // size] += inner[..., i]
        dz[..., i // size, :, :] += dinner[..., i, :, :]
    if pool == "mean":
        return z / size, dz / size
    if pool == "sum":
        return z, dz
    raise ValueError(f"pool: expected sum or mean, got {pool!r}.")


def temperature(x: Array, *, of: Stage, scale: float) -> tuple[Array, Array]:
    """z = (what ``of`` gives) / scale."""
    z, dz = read(of, x)
    return z / scale, dz / scale


def sigmoid(
    x: Array, *, of: Stage, slope: float = 1.0, threshold: float = 0.0
) -> tuple[Array, Array]:
    """z = 1 / (1 + e^(-slope (u - threshold))), u what ``of`` gives."""
    u, du = read(of, x)
    z, dz = np.zeros(u.shape), np.zeros(du.shape)
    for place in np.ndindex(u.shape):
        a = slope * (u[place] - threshold)
        z[place] = 1 / (1 + math.exp(-a)) if a > 0 else math.exp(a) / (1 + math.exp(a))
        dz[place] = slope * math.exp(-abs(a)) / (1 + math.exp(-abs(a))) ** 2 * du[place]
    return z, dz


def weighted(x: Array, *, of: Stage, weights: float | ArrayLike) -> tuple[Array, Array]:
    """z_c = w_c (what ``of`` gives for c), w one number for all, or one for each."""
    inner, dinner = read(of, x)
    classes = inner.shape[-1]
    w = np.asarray([weights] * classes if np.ndim(weights) == 0 else weights, np.float64)
    if len(w) != classes:
        raise ValueError(f"weights: expected one number or {classes}, got {len(w)}.")
    z, dz = np.zeros(inner.shape), np.zeros(dinner.shape)
    for c in range(classes):
        z[..., c] = w[c] * inner[..., c]
        dz[..., c, :, :] = w[c] * dinner[..., c, :, :]
    return z, dz


READOUTS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "EveryStep": every_step,
    "SumOverTime": count,
    "SpikeCount": spike_count,
    "MeanOverTime": mean,
    "Maximum": maximum,
    "LastStep": last_step,
    "Decided": decided,
    "FirstSpike": first_spike,
    "SpikeTimes": spike_times,
    "InterpolatedSpike": interpolated_spike,
    "WeightedSum": weighted_sum,
    "LogSumExp": log_sum_exp,
    "CumulativeSoftmax": cumulative_softmax,
    "Disagreement": disagreement,
    "MovingWindow": moving_window,
    "FilteredTrace": filtered_trace,
    "SoftCount": soft_count,
    "PeakWindow": peak_window,
    "Population": population,
    "Temperature": temperature,
    "Sigmoid": sigmoid,
    "Weighted": weighted,
}


def read(readout: Stage, x: Array) -> tuple[Array, Array]:
    """The value and the derivative of a named readout."""
    name, options = readout
    return READOUTS[name](x, **options)


def innermost(readout: Stage) -> Stage:
    """The readout inside all of its wrappers."""
    name, options = readout
    return innermost(options["of"]) if "of" in options else (name, options)


# Criteria: one row of z (C,) and its target -> each, and its derivative with respect to z


def log_softmax(z: Array) -> list[float]:
    """log p_c = z_c - m - log sum_k exp(z_k - m), with m = max_k z_k."""
    top = max(z)
    total = 0.0
    for value in z:
        total += math.exp(value - top)
    return [float(value - top) - math.log(total) for value in z]


def distribution(y: int | ArrayLike, classes: int) -> Array:
    """One-hot for a label, otherwise the given probabilities."""
    if np.ndim(y) == 0:
        return np.array([1.0 if c == y else 0.0 for c in range(classes)])
    return np.asarray(y, np.float64)


def cross_entropy(
    z: Array,
    y: int | ArrayLike,
    *,
    n: int = 1,
    weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
) -> tuple[float, Array]:
    """each = -sum_c q_c w_c log p_c;  d each / dz_k = p_k sum_c q_c w_c - q_k w_k.

    q is one-hot or the given probabilities, smoothed to (1 - s) q + s/C, s = label_smoothing. A
    class with q_c w_c = 0 adds nothing, even where log p_c is minus infinity.
    """
    classes = len(z)
    w = np.ones(classes) if weight is None else np.asarray(weight, np.float64)
    logs = log_softmax(z)
    q = distribution(y, classes)
    qw = [
        ((1.0 - label_smoothing) * q[c] + label_smoothing / classes) * w[c] for c in range(classes)
    ]
    each = 0.0
    for c in range(classes):
        if qw[c] != 0:
            each -= qw[c] * logs[c]
    return each, np.array([math.exp(logs[k]) * sum(qw) - qw[k] for k in range(classes)])


def squared_error(
    z: Array,
    y: ArrayLike,
    *,
    n: int,
    tolerance: float = 0.0,
    delta: float | None = None,
    steps_power: int = 0,
) -> tuple[Array, Array]:
    """each_c = e_c^2 / n^steps_power with e = z - y, and 0 where |e_c| < tolerance.

    With delta, an |e| above it costs 2 delta |e| - delta^2 for e^2. The derivative is its diagonal.
    """
    target = np.asarray(y, np.float64)
    each, slope = np.zeros(len(z)), np.zeros(len(z))
    for c in range(len(z)):
        e = z[c] - target[c]
        if abs(e) < tolerance:
            continue
        if delta is None or abs(e) <= delta:
            each[c], slope[c] = e**2, 2.0 * e
        else:
            each[c] = 2.0 * delta * abs(e) - delta**2
            slope[c] = 2.0 * delta * math.copysign(1.0, e)
    return each / n**steps_power, slope / n**steps_power


def focal(z: Array, y: int, *, n: int, gamma: float = 2.0) -> tuple[float, Array]:
    """each = -(1 - p_y)^gamma log p_y."""
    p = [math.exp(value) for value in log_softmax(z)]
    log_p, wrong = log_softmax(z)[y], sum(p[c] for c in range(len(z)) if c != y)
    if wrong == 0:
        return 0.0, np.zeros(len(z))
    slope = -(wrong**gamma) + gamma * wrong ** (gamma - 1) * p[y] * log_p
    return -(wrong**gamma) * log_p, np.array([slope * ((c == y) - p[c]) for c in range(len(z))])


def rate_nll(z: Array, y: int, *, n: int, epsilon: float = 1e-3) -> tuple[float, Array]:
    """each = -log((z_y + e) / (sum_c z_c + C e))."""
    total = 0.0
    for value in z:
        total += value + epsilon
    slope = np.full(len(z), 1.0 / total)
    slope[y] -= 1.0 / (z[y] + epsilon)
    return math.log(total / (z[y] + epsilon)), slope


def margin(z: Array, y: int, *, n: int, margin: float = 1.0, power: int = 1) -> tuple[float, Array]:
    """each = sum_{c != y} max(0, margin - z_y + z_c)^power / C."""
    each, slope = 0.0, np.zeros(len(z))
    for c in range(len(z)):
        gap = margin - z[y] + z[c]
        if c != y and gap > 0:
            each += gap**power / len(z)
            slope[c] += power * gap ** (power - 1) / len(z)
            slope[y] -= power * gap ** (power - 1) / len(z)
    return each, slope


def desired_count(
    z: Array,
    y: int,
    *,
    n: int,
    desired: float = 10.0,
    undesired: float = 1.0,
    balance: float | None = None,
    scale: float = 1.0,
) -> tuple[float, Array]:
    """each = sum_c e_c^2 / (2 n), e_y = min(0, z_y - desired), e_c = max(0, z_c - undesired).

    ``scale`` times the derivative of the right class: what ``balance`` makes of a batch.
    """
    each, slope = 0.0, np.zeros(len(z))
    for c in range(len(z)):
        e = min(0.0, z[c] - desired) if c == y else max(0.0, z[c] - undesired)
        each += e**2 / (2 * n)
        slope[c] = e / n * (scale if c == y else 1.0)
    return each, slope


def balanced(
    zs: list[Array], labels: list[int], *, balance: float, desired: float, undesired: float
) -> float:
    """max(1, wrong / right / balance), of the counts of a batch, clipped where they cost nothing.

    As the authors' code has it, with 1e-5 added to both sums.
    """
    right = wrong = 1e-5
    for z, y in zip(zs, labels, strict=True):
        for c in range(len(z)):
            if c == y:
                right += min(z[c], desired)
            else:
                wrong += max(z[c], undesired)
    return max(1.0, wrong / right / balance)


def count_entropy(z: Array, y: int, *, n: int, silent: float = -20.0) -> tuple[float, Array]:
    """each = -(n / 2) log softmax(v)_y, v_c = 2 z_c / n, or ``silent`` where z_c = 0.

    The derivative is an estimate, as if dv/dz were 1; 0 where z_c or z_y is 0.
    """
    v = np.array([2.0 * value / n if value != 0 else silent for value in z])
    logs, slope = log_softmax(v), np.zeros(len(z))
    for c in range(len(z)):
        if z[c] != 0 and z[y] != 0:
            slope[c] = n / 2 * (math.exp(logs[c]) - (c == y))
    return -n / 2 * logs[y], slope


def distillation(
    z: Array, y: ArrayLike, *, n: int, temperature: float = 1.0
) -> tuple[float, Array]:
    """each = T^2 sum_c q_c log(q_c / p_c), q and p softmax(y / T) and softmax(z / T)."""
    target = np.asarray(y, np.float64)
    log_p, gap = log_softmax(z / temperature), (target - z) / temperature
    p = [math.exp(value) for value in log_p]
    if max(abs(gap)) < 1:  # log sum_c p_c e^gap_c, without cancellation
        shift = math.log1p(sum(p[c] * math.expm1(gap[c]) for c in range(len(z))))
    else:
        shift = gap[0] + log_p[0] - log_softmax(target / temperature)[0]
    each, slope = 0.0, np.zeros(len(z))
    for c in range(len(z)):
        log = gap[c] - shift  # log(q / p): q log(q / p) - q + p sums to the same, and is not < 0
        each += temperature**2 * p[c] * surplus(log)
        slope[c] = -temperature * p[c] * math.expm1(log)
    return each, slope


def surplus(a: float) -> float:
    """a e^a - e^a + 1, which is a^2 / 2 near 0."""
    if abs(a) > 1e-2:
        return a * math.exp(a) - math.expm1(a)
    return a * a * (1 / 2 + a * (1 / 3 + a * (1 / 8 + a * (1 / 30 + a * (1 / 144 + a / 840)))))


def log_cosh(z: Array, y: ArrayLike, *, n: int, delta: float = 1.0) -> tuple[Array, Array]:
    """each_c = delta^2 log cosh((z_c - y_c) / delta)."""
    target = np.asarray(y, np.float64)
    each, slope = np.zeros(len(z)), np.zeros(len(z))
    for c in range(len(z)):
        e = z[c] - target[c]
        a = abs(e) / delta
        cosh_less_1 = 2 * math.sinh(a / 2) ** 2 if a < 1 else 0.0
        log = math.log1p(cosh_less_1) if a < 1 else a + math.log1p(math.exp(-2 * a)) - math.log(2)
        each[c], slope[c] = delta**2 * log, delta * math.tanh(e / delta)
    return each, slope


def binary_cross_entropy(
    z: Array, y: ArrayLike, *, n: int, slope: float = 1.0, threshold: float = 0.0
) -> tuple[Array, Array]:
    """each_c = -(y log p + (1 - y) log(1 - p)), p = 1 / (1 + e^-a), a = slope (z - threshold)."""
    each, grad = np.zeros(len(z)), np.zeros(len(z))
    for c, target in enumerate(np.asarray(y, np.float64)):
        a = slope * (z[c] - threshold)
        log_p, log_not = -math.log1p(math.exp(-a)), -math.log1p(math.exp(a))
        each[c] = -(target * log_p + (1 - target) * log_not)
        grad[c] = slope * (math.exp(log_p) - target)
    return each, grad


def poisson_nll(z: Array, y: ArrayLike, *, n: int) -> tuple[Array, Array]:
    """each_c = e^z_c - y_c z_c."""
    target = np.asarray(y, np.float64)
    each = np.array([math.exp(z[c]) - target[c] * z[c] for c in range(len(z))])
    return each, np.array([math.exp(z[c]) - target[c] for c in range(len(z))])


def zero_inflated_poisson(
    z: Array, y: ArrayLike, *, n: int, share: float = 0.5
) -> tuple[Array, Array]:
    """each_c = -log(share [y_c = 0] + (1 - share) e^(-r) r^y_c), r = e^z_c."""
    each, slope = np.zeros(len(z)), np.zeros(len(z))
    for c, count in enumerate(np.asarray(y, np.float64)):
        rate = math.exp(z[c])
        if count == 0 and share > 0:
            none = (1 - share) * math.exp(-rate)
            each[c] = -math.log(share + none)
            slope[c] = rate * none / (share + none)
        else:
            each[c] = rate - count * z[c] - math.log(1 - share)
            slope[c] = rate - count
    return each, slope


def relative_time(z: Array, y: int, *, n: int, delay: float) -> tuple[float, Array]:
    """each = sum_{c != y} (z_c - z_y - delay)^2."""
    each, slope = 0.0, np.zeros(len(z))
    for c in range(len(z)):
        if c != y:
            late = z[c] - z[y] - delay
            each += late**2
            slope[c] += 2.0 * late
            slope[y] -= 2.0 * late
    return each, slope


def tempotron(z: Array, y: ArrayLike, *, n: int, threshold: float = 1.0) -> tuple[Array, Array]:
    """each_c = y_c max(0, threshold - z_c) + (1 - y_c) max(0, z_c - threshold)."""
    each, slope = np.zeros(len(z)), np.zeros(len(z))
    for c, target in enumerate(np.asarray(y, np.float64)):
        if z[c] < threshold:
            each[c], slope[c] = target * (threshold - z[c]), -target
        elif z[c] > threshold:
            each[c], slope[c] = (1 - target) * (z[c] - threshold), 1 - target
    return each, slope


def bounds(
    z: Array,
    y: ArrayLike,
    *,
    n: int,
    lower: float | None = None,
    upper: float | None = None,
    power: float = 2,
    pool: str = "mean",
) -> tuple[float, Array]:
    """each = mean | sum over c of max(0, lower - z_c)^power + max(0, z_c - upper)^power."""
    each, slope = 0.0, np.zeros(len(z))
    for c in range(len(z)):
        if lower is not None and z[c] < lower:
            each += (lower - z[c]) ** power
            slope[c] -= power * (lower - z[c]) ** (power - 1)
        if upper is not None and z[c] > upper:
            each += (z[c] - upper) ** power
            slope[c] += power * (z[c] - upper) ** (power - 1)
    if pool == "mean":
        return each / len(z), slope / len(z)
    if pool == "sum":
        return each, slope
    raise ValueError(f"pool: expected sum or mean, got {pool!r}.")


def deviation(
    z: Array,
    y: ArrayLike,
    *,
    n: int,
    value: float,
    power: float = 2,
    pool: str = "mean",
    steps_power: int = 0,
) -> tuple[float, Array]:
    """each = mean | sum over c of |e_c|^power, e_c = z_c - value / n^steps_power.

    The derivative is 0 where e_c = 0.
    """
    each, slope = 0.0, np.zeros(len(z))
    for c in range(len(z)):
        e = z[c] - value / n**steps_power
        if e != 0:
            each += abs(e) ** power
            slope[c] = power * abs(e) ** (power - 1) * math.copysign(1.0, e)
    if pool == "mean":
        return each / len(z), slope / len(z)
    if pool == "sum":
        return each, slope
    raise ValueError(f"pool: expected sum or mean, got {pool!r}.")


def quantised(
    z: Array,
    y: ArrayLike,
    *,
    n: int,
    levels: tuple[float, ...] = (0.0, 1.0),
    power: float = 2,
) -> tuple[float, Array]:
    """each = sum_c |z_c - q|^power / C, q the nearest level, the lower of two as near."""
    each, slope = 0.0, np.zeros(len(z))
    for c in range(len(z)):
        nearest = min(levels)
        for level in sorted(levels):
            if abs(z[c] - level) < abs(z[c] - nearest):
                nearest = level
        e = z[c] - nearest
        if e != 0:
            each += abs(e) ** power / len(z)
            slope[c] = power * abs(e) ** (power - 1) * math.copysign(1.0, e) / len(z)
    return each, slope


def early_spike(z: Array, y: int, *, n: int, tau: float) -> tuple[float, Array]:
    """each = e^min(z_y / tau, 80) - 1."""
    slope = np.zeros(len(z))
    if z[y] / tau > 80:
        return math.expm1(80.0), slope
    slope[y] = math.exp(z[y] / tau) / tau
    return math.expm1(z[y] / tau), slope


def time_proximity(z: Array, y: ArrayLike, *, n: int, tau: float) -> tuple[Array, Array]:
    """each_c = -log(1 + e^(-|z_c - y_c| / tau)), with the derivative 0 where z_c = y_c."""
    target = np.asarray(y, np.float64)
    each, slope = np.zeros(len(z)), np.zeros(len(z))
    for c in range(len(z)):
        e = z[c] - target[c]
        near = math.exp(-abs(e) / tau)
        each[c] = -math.log1p(near)
        if e != 0:
            slope[c] = math.copysign(near / (1.0 + near) / tau, e)
    return each, slope


def level(
    z: Array, y: ArrayLike, *, n: int, level: float = 1.0, others: bool = False
) -> tuple[float, Array]:
    """each = sum_c m_c (z_c - level)^2 / sum_c m_c, m = y or 1 - y for ``others``; 0 without m."""
    each, total, slope = 0.0, 0.0, np.zeros(len(z))
    for c, target in enumerate(np.asarray(y, np.float64)):
        m = 1.0 - target if others else target
        total += m
        each += m * (z[c] - level) ** 2
        slope[c] = 2.0 * m * (z[c] - level)
    if total == 0:
        return 0.0, np.zeros(len(z))
    return each / total, slope / total


@dataclass(frozen=True)
class Criterion:
    """A criterion: its function of a row, called with n steps, and what the user gives it."""

    each: Callable[..., tuple[Any, Array]]
    """(z, y, *, n, **options) -> each () | (C,), and its derivative (C,), the diagonal for (C,)."""
    of_labels: bool = False
    """Whether an integer target without an encoding is made of class labels."""
    by_class: bool = False
    """Whether it takes the weights of all classes itself, as ``weight``; else a row has one."""

    def __call__(self, *args: Any, **options: Any) -> tuple[Any, Array]:
        return self.each(*args, **options)


CRITERIA: dict[str, Criterion] = {
    "CrossEntropy": Criterion(cross_entropy, of_labels=True, by_class=True),
    "SquaredError": Criterion(squared_error),
    "Focal": Criterion(focal, of_labels=True),
    "RateNLL": Criterion(rate_nll, of_labels=True),
    "Margin": Criterion(margin, of_labels=True),
    "DesiredCount": Criterion(desired_count, of_labels=True),
    "CountEntropy": Criterion(count_entropy, of_labels=True),
    "Distillation": Criterion(distillation),
    "BinaryCrossEntropy": Criterion(binary_cross_entropy),
    "LogCosh": Criterion(log_cosh),
    "PoissonNLL": Criterion(poisson_nll),
    "ZeroInflatedPoisson": Criterion(zero_inflated_poisson),
    "RelativeTime": Criterion(relative_time, of_labels=True),
    "Tempotron": Criterion(tempotron),
    "Bounds": Criterion(bounds),
    "Deviation": Criterion(deviation),
    "Quantised": Criterion(quantised),
    "EarlySpike": Criterion(early_spike, of_labels=True),
    "TimeProximity": Criterion(time_proximity),
    "Level": Criterion(level),
}


# Targets: a label -> what the squared error compares with


def on_off(
    label: int, classes: int, n: int, scale: float, *, on: float = 1.0, off: float = 0.0
) -> Array:
    """y_c = on for the class of the label, off for the others."""
    return np.array([on if c == label else off for c in range(classes)], np.float64)


def on_off_rate(
    label: int, classes: int, n: int, scale: float | Array, *, on: float = 1.0, off: float = 0.0
) -> Array:
    """y_c = scale * (on | off), scale being what a neuron gives that fires at every step."""
    return np.asarray(scale) * on_off(label, classes, n, 1.0, on=on, off=off)


def times(label: int, classes: int, n: int, on: Any, off: Any) -> Array:
    """y_c = on | off in steps, of n steps, a negative one counted from the end."""
    y = on_off(label, classes, n, 1.0, on=on, off=off)
    return np.array([time + n if time < 0 else time for time in y])


def given_time(time: Array, n: int) -> Array:
    """y = t, of n steps, a negative one counted from the end."""
    return np.array([t + n if t < 0 else t for t in time.flat]).reshape(time.shape)


def on_off_time(
    label: int,
    classes: int,
    n: int,
    scale: float,
    *,
    on: int | tuple[int, ...] = 0,
    off: int | tuple[int, ...] = -1,
) -> Array:
    """y_c = on | off in steps, -1 being the last: (C,), or (F,C) for a tuple of F times each."""
    if isinstance(on, tuple) and isinstance(off, tuple):
        return np.array([times(label, classes, n, *each) for each in zip(on, off, strict=True)])
    return times(label, classes, n, on, off)


TARGETS: dict[str, Callable[..., Array]] = {
    "OnOff": on_off,
    "OnOffRate": on_off_rate,
    "OnOffTime": on_off_time,
}


def full_rate(readout: Stage, x: Array) -> Array:
    """What the readout gives for neurons that fire at every step of x (C,), in its first row."""
    z, _ = read(readout, np.ones(x.shape))
    return z if z.ndim == 1 else z[0]


# Objectives


@dataclass(frozen=True)
class Objective:
    """A readout, a criterion and a target encoding, each by its name and its options."""

    readout: Stage
    criterion: Stage
    target: Stage = ("Given", {})


def has_labels(objective: Objective, target: Any) -> bool:
    """Whether the user's target is made of class labels; otherwise it is compared as it is."""
    if objective.target[0] in TARGETS:
        return True
    integers = np.issubdtype(np.asarray(target).dtype, np.integer)
    return CRITERIA[objective.criterion[0]].of_labels and bool(integers)


def label_at(objective: Objective, target: Any, s: int) -> int | None:
    """The label at row s of the decision, None for a target without labels."""
    if not has_labels(objective, target):
        return None
    labels = np.asarray(target)
    return int(labels) if labels.ndim == 0 else int(labels[s])


def target_at(objective: Objective, target: Any, s: int, classes: int, x: Array) -> int | Array:
    """What the criterion compares row s of the decision with: a label, or numbers (C,)."""
    label = label_at(objective, target, s)
    encoding, options = objective.target
    if label is None:
        y = np.asarray(target, np.float64)
        y = given_time(y, len(x)) if encoding == "GivenTime" else y
    elif encoding == "Given":
        return label
    else:
        scale = full_rate(objective.readout, x)
        y = TARGETS[encoding](label, classes, len(x), scale, **options)
    return y if y.ndim == 1 else y[s]


def row_loss(
    objective: Objective,
    x: Array,
    z: Array,
    dz: Array,
    target: Any,
    s: int,
    class_weight: ArrayLike | None,
) -> tuple[Array, Array, float]:
    """The weighted loss of row s, () or (C,), its gradient, and the weight of its label."""
    name, options = objective.criterion
    label = label_at(objective, target, s)
    if label is not None and not 0 <= label < len(z):
        raise ValueError(f"target: expected labels from 0 to {len(z) - 1}, got {label}.")
    y = target_at(objective, target, s, len(z), x)
    weighted = class_weight is not None and label is not None
    weight = float(np.asarray(class_weight)[label]) if weighted else 1.0
    criterion = CRITERIA[name]
    options = {key: value for key, value in options.items() if key != "ignore_index"}
    if criterion.by_class:
        loss, pull = criterion.each(z, y, n=len(x), weight=class_weight, **options)
        return np.asarray(loss), np.tensordot(pull, dz, 1), weight
    if class_weight is not None and label is None:
        raise ValueError("class_weight: expected a target with labels, got numbers.")
    each, slope = criterion.each(z, y, n=len(x), **options)
    if np.ndim(each) == 0:
        return np.asarray(weight * each), weight * np.tensordot(slope, dz, 1), weight
    return weight * each, np.array([weight * slope[k] * dz[k] for k in range(len(z))]), weight


def sample(
    objective: Objective, x: Array, target: Any, *, class_weight: ArrayLike | None = None
) -> tuple[Any, Array, float, bool]:
    """The loss of one cropped sample, its gradient, its element weight, and whether it counts.

    The loss is the mean over the steps whose label is not ignored; spike times keep their rows.
    """
    z, dz = read(objective.readout, x)
    per_row = np.ndim(target) == (1 if has_labels(objective, target) else 2)
    if per_row and z.shape[:-1] != np.shape(target)[:1]:
        raise ValueError(f"target: expected one row, got {np.shape(target)}. Use EveryStep.")
    if z.ndim == 1:
        z, dz = z[None], dz[None]
    ignore = objective.criterion[1].get("ignore_index")
    rows = [
        row_loss(objective, x, z[s], dz[s], target, s, class_weight)
        for s in range(len(z))
        if ignore is None or label_at(objective, target, s) != ignore
    ]
    if not rows:
        return 0.0, np.zeros(x.shape), 0.0, False
    losses, grads, weights = zip(*rows, strict=True)
    weight = sum(weights) / len(rows)
    if innermost(objective.readout)[0] == "SpikeTimes":
        if objective.criterion[0] == "CrossEntropy":
            raise ValueError("readout: expected one row of scores, got SpikeTimes. Use FirstSpike.")
        return np.stack(losses), np.stack(grads), weight, True
    loss = sum(losses) / len(rows)
    grad = sum(grads) / len(rows)
    return (float(loss) if loss.ndim == 0 else loss), grad, weight, True


def sample_target(objective: Objective, target: Any, b: int, n: int) -> Any:
    """The target of sample b, cropped to n steps, out of the target of the batch.

    Labels are (B,) or (T,B). Numbers are (N,) for every sample, (B,C), (T,B,C), or (F,B,N) for
    spike times, which have no steps to crop.
    """
    y = np.asarray(target)
    if has_labels(objective, y):
        return int(y[b]) if y.ndim == 1 else y[:n, b]
    if y.ndim == 1:
        return y
    if y.ndim == 2:
        return y[b]
    return y[:, b] if innermost(objective.readout)[0] == "SpikeTimes" else y[:n, b]


def loss_shape(objective: Objective, steps: int, neurons: int) -> tuple[int, ...]:
    """The shape of one sample's loss: () or (C,), as the criterion gives it; (F,N) for F spikes."""
    name, options = objective.criterion
    options = {key: value for key, value in options.items() if key != "ignore_index"}
    z, _ = read(objective.readout, np.zeros((steps, neurons)))
    row = z if z.ndim == 1 else z[0]
    label = CRITERIA[name].of_labels
    each, _ = CRITERIA[name].each(row, 0 if label else np.zeros(len(row)), n=steps, **options)
    if np.ndim(each) == 0:
        return ()
    return z.shape if innermost(objective.readout)[0] == "SpikeTimes" else z.shape[-1:]


def batch(
    objective: Objective,
    record: ArrayLike,
    target: Any,
    *,
    lengths: ArrayLike | None = None,
    reduction: str = "samples",
    class_weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """The loss of a record (T,B,N), and the gradient (T,B,N) of its sum.

    samples: sum(w l) / number of counted elements; weights: sum(w l) / sum(w); sum: sum(w l);
    none: w l, (B,) | (B,C) | (F,B,N). A sample that does not count has the loss 0.
    """
    record = np.asarray(record, np.float64)
    steps, size, neurons = record.shape
    shape = loss_shape(objective, steps, neurons)
    losses, grad, counted, weights = [], np.zeros(record.shape), 0, 0.0
    for b in range(size):
        n = steps if lengths is None else int(np.asarray(lengths)[b])
        own = 1.0 if sample_weight is None else float(np.asarray(sample_weight)[b])
        y = sample_target(objective, target, b, n)
        loss, dloss, weight, counts = sample(objective, record[:n, b], y, class_weight=class_weight)
        losses.append(own * np.asarray(loss))
        grad[:n, b] = own * dloss.reshape(-1, n, neurons).sum(0)
        counted += counts
        weights += own * weight
    axis = max(len(shape) - 1, 0)  # samples stand before the neurons
    empty = np.zeros((*shape[:axis], 0, *shape[axis:]))
    value = np.stack(losses, axis) if losses else empty
    if reduction == "none":
        return value, grad
    total = np.asarray(value.sum())
    if reduction == "sum":
        return total, grad
    elements = math.prod(shape) * {"samples": counted, "weights": weights}[reduction]
    if elements == 0:
        return np.asarray(np.nan), np.zeros(record.shape)
    return total / elements, grad / elements


# Decisions


def scores(objective: Objective, x: Array) -> Array:
    """One number per class: the readout, its mean over the steps, or its first spike."""
    z, _ = read(objective.readout, x)
    if z.ndim == 1:
        return z
    rows = z[:1] if innermost(objective.readout)[0] == "SpikeTimes" else z
    total = np.zeros(z.shape[1])
    for row in rows:
        total += row
    return total / len(rows)


def smaller_is_better(readout: Stage) -> bool:
    """Whether the readout gives times, of which the earliest wins."""
    name, options = innermost(readout)
    timed = name in ("FirstSpike", "SpikeTimes", "InterpolatedSpike")
    return timed and options.get("code", "time") == "time"


def predict(
    objective: Objective, record: ArrayLike, lengths: ArrayLike | None = None
) -> NDArray[np.int64]:
    """The best class of each sample, the lowest of equals; -1 where every valid step is zero."""
    record = np.asarray(record, np.float64)
    steps, size, _ = record.shape
    classes = np.full(size, -1)
    for b in range(size):
        x = record[: steps if lengths is None else int(np.asarray(lengths)[b]), b]
        if not np.any(x != 0):
            continue
        z = scores(objective, x)
        if smaller_is_better(objective.readout):
            z = -z
        best = 0
        for c in range(1, len(z)):
            if z[c] > z[best]:
                best = c
        classes[b] = best
    return classes


# Presets: options -> the objective, and the name of its usual reduction


def grouped(name: str, classes: int | None) -> Stage:
    """The readout, summed over the neurons of each class where ``classes`` is given."""
    plain: Stage = (name, {})
    return plain if classes is None else ("Population", {"of": plain, "classes": classes})


def ce_rate(classes: int | None = None) -> tuple[Objective, str]:
    """Cross-entropy at every step, averaged over the steps."""
    return Objective(grouped("EveryStep", classes), ("CrossEntropy", {})), "samples"


def ce_count(classes: int | None = None) -> tuple[Objective, str]:
    """Cross-entropy of the spike counts."""
    return Objective(grouped("SumOverTime", classes), ("CrossEntropy", {})), "samples"


def ce_max_membrane() -> tuple[Objective, str]:
    """Cross-entropy of the largest membrane potentials."""
    return Objective(("Maximum", {}), ("CrossEntropy", {})), "samples"


def mse_count(
    on: float = 1.0, off: float = 0.0, classes: int | None = None
) -> tuple[Objective, str]:
    """(count - n rate)^2 / n, rates times the size of a group in a population code."""
    criterion = ("SquaredError", {"steps_power": 1})
    target = ("OnOffRate", {"on": on, "off": off})
    return Objective(grouped("SumOverTime", classes), criterion, target), "samples"


def mse_membrane(on: float = 1.0, off: float = 0.0) -> tuple[Objective, str]:
    """(u_t - level)^2 at every step, averaged over the steps."""
    target = ("OnOff", {"on": on, "off": off})
    return Objective(("EveryStep", {}), ("SquaredError", {}), target), "samples"


def mse_temporal(
    on: int | tuple[int, ...] = 0, off: int | tuple[int, ...] = -1, tolerance: float = 0.0
) -> tuple[Objective, str]:
    """(t/n - time/n)^2, 0 for less than ``tolerance`` steps; tuples of times are for F spikes."""
    readout: Stage = ("FirstSpike", {})
    if isinstance(on, tuple):
        readout = ("SpikeTimes", {"count": len(on)})
    criterion = ("SquaredError", {"steps_power": 2, "tolerance": tolerance})
    return Objective(readout, criterion, ("OnOffTime", {"on": on, "off": off})), "samples"


def ce_temporal(code: str = "negative") -> tuple[Objective, str]:
    """Cross-entropy of the first spike times, negated or as 1/(t+1)."""
    return Objective(("FirstSpike", {"code": code}), ("CrossEntropy", {})), "weights"


def cross_entropy_preset(
    label_smoothing: float = 0.0, ignore_index: int | None = None
) -> tuple[Objective, str]:
    """Cross-entropy of scores, a record of one step."""
    options = {"label_smoothing": label_smoothing, "ignore_index": ignore_index}
    return Objective(("Decided", {}), ("CrossEntropy", options)), "weights"


def ce_of(readout: str, **options: Any) -> tuple[Objective, str]:
    """Cross-entropy of a readout."""
    return Objective((readout, options), ("CrossEntropy", {})), "samples"


def ce_logsumexp(sharpness: float = 1.0) -> tuple[Objective, str]:
    """Cross-entropy of a smooth maximum of the membrane."""
    return ce_of("LogSumExp", sharpness=sharpness)


def weighted_integral_ce(tau: float = 25.0, shape: str = "exponential") -> tuple[Objective, str]:
    """Cross-entropy of the membrane, summed with weights that fall with time."""
    return ce_of("WeightedSum", tau=tau, shape=shape)


def focal_max_membrane(gamma: float = 2.0) -> tuple[Objective, str]:
    """Focal loss of the largest membrane."""
    return Objective(("Maximum", {}), ("Focal", {"gamma": gamma})), "samples"


def integral_ce(label_smoothing: float = 0.0) -> tuple[Objective, str]:
    """Cross-entropy of the summed membrane."""
    criterion = ("CrossEntropy", {"label_smoothing": label_smoothing})
    return Objective(("SumOverTime", {}), criterion), "samples"


def rate(width: int | None) -> Stage:
    """The mean over time, or over the last ``width`` steps at every step."""
    return ("MeanOverTime", {}) if width is None else ("MovingWindow", {"width": width})


def spike_rate(
    on: float = 1.0, off: float = 0.0, width: int | None = None
) -> tuple[Objective, str]:
    """(rate - target)^2."""
    target = ("OnOff", {"on": on, "off": off})
    return Objective(rate(width), ("SquaredError", {}), target), "samples"


def spikemax(width: int | None = None, epsilon: float = 0.01) -> tuple[Objective, str]:
    """The negative logarithm of the share of the right class in the rates."""
    return Objective(rate(width), ("RateNLL", {"epsilon": epsilon})), "samples"


def spikemoid(
    width: int | None = None, slope: float = 10.0, threshold: float = 0.5
) -> tuple[Objective, str]:
    """Binary cross-entropy of every rate."""
    criterion = ("BinaryCrossEntropy", {"slope": slope, "threshold": threshold})
    return Objective(rate(width), criterion, ("OnOff", {})), "samples"


def ttfs_ce(tau: float = 1.0, silent_delay: float = 0.0) -> tuple[Objective, str]:
    """Cross-entropy of -t / tau."""
    return ce_of("FirstSpike", code="negative", unit=tau, silent_delay=silent_delay)


def ttfs_z_ce(tau: float = 10.0) -> tuple[Objective, str]:
    """Cross-entropy of -e^(t / tau)."""
    return ce_of("FirstSpike", code="exponential", unit=tau)


def relative_ttfs_mse(delay: float = 10.0) -> tuple[Objective, str]:
    """(t_c - t_y - delay)^2 of the wrong classes."""
    return Objective(("FirstSpike", {}), ("RelativeTime", {"delay": delay})), "samples"


def tempotron_preset(threshold: float = 1.0) -> tuple[Objective, str]:
    """How much the largest membranes miss the threshold, or exceed it."""
    criterion = ("Tempotron", {"threshold": threshold})
    return Objective(("Maximum", {}), criterion, ("OnOff", {})), "samples"


def margin_count(margin: float = 1.0, power: int = 1) -> tuple[Objective, str]:
    """The margin of the spike counts."""
    criterion = ("Margin", {"margin": margin, "power": power})
    return Objective(("SumOverTime", {}), criterion), "samples"


def count_plus(
    desired: float = 10.0,
    undesired: float = 1.0,
    balance: float | None = 10.0,
    shared: bool = True,
) -> tuple[Objective, str]:
    """How much the counts miss what is desired, or exceed what is not."""
    criterion = {"desired": desired, "undesired": undesired, "balance": balance}
    return Objective(("SpikeCount", {"shared": shared}), ("DesiredCount", criterion)), "samples"


def ce_plus(silent: float = -20.0) -> tuple[Objective, str]:
    """Cross-entropy of twice the rates, in steps."""
    criterion = ("CountEntropy", {"silent": silent})
    return Objective(("SpikeCount", {"shared": True}), criterion), "samples"


def kd(readout: str, temperature: float = 1.0) -> tuple[Objective, str]:
    """Distillation of a readout."""
    return Objective((readout, {}), ("Distillation", {"temperature": temperature})), "samples"


def follows(readout: str, criterion: str, **options: Any) -> tuple[Objective, str]:
    """A criterion of given numbers."""
    return Objective((readout, {}), (criterion, options)), "samples"


def poisson_steps(zeros: float = 0.0) -> tuple[Objective, str]:
    """The likelihood of given counts at every step."""
    if zeros:
        return follows("EveryStep", "ZeroInflatedPoisson", share=zeros)
    return follows("EveryStep", "PoissonNLL")


def target_time(on: int = 0, off: int = -1, tau: float = 25.0) -> tuple[Objective, str]:
    """Proximity of the first spikes to their times."""
    target = ("OnOffTime", {"on": on, "off": off})
    return Objective(("FirstSpike", {}), ("TimeProximity", {"tau": tau}), target), "samples"


def rate_latency(count: int = 8, tau: float = 1.0, latency: float = 0.1) -> tuple[Objective, str]:
    """Cross-entropy of soft counts less latencies."""
    readout = ("SoftCount", {"count": count, "tau": tau, "latency": latency})
    return Objective(readout, ("CrossEntropy", {})), "samples"


PRESETS: dict[str, Callable[..., tuple[Objective, str]]] = {
    "ce_rate": ce_rate,
    "ce_count": ce_count,
    "ce_max_membrane": ce_max_membrane,
    "mse_count": mse_count,
    "mse_membrane": mse_membrane,
    "mse_temporal": mse_temporal,
    "ce_temporal": ce_temporal,
    "cross_entropy": cross_entropy_preset,
    "ce_mean": partial(ce_of, "MeanOverTime"),
    "ce_last_step": partial(ce_of, "LastStep"),
    "ce_logsumexp": ce_logsumexp,
    "ce_sum_softmax": partial(ce_of, "CumulativeSoftmax"),
    "focal_max_membrane": focal_max_membrane,
    "integral_ce": integral_ce,
    "weighted_integral_ce": weighted_integral_ce,
    "spike_rate": spike_rate,
    "spikemax": spikemax,
    "spikemoid": spikemoid,
    "ttfs_ce": ttfs_ce,
    "ttfs_z_ce": ttfs_z_ce,
    "relative_ttfs_mse": relative_ttfs_mse,
    "target_time": target_time,
    "rate_latency": rate_latency,
    "tempotron": tempotron_preset,
    "margin_count": margin_count,
    "count_plus": count_plus,
    "ce_plus": ce_plus,
    "kd_logits": partial(kd, "MeanOverTime"),
    "kd_steps": partial(kd, "EveryStep"),
    "mse_signal": partial(follows, "EveryStep", "SquaredError"),
    "huber_signal": partial(follows, "EveryStep", "SquaredError", delta=1.0),
    "log_cosh_signal": partial(follows, "EveryStep", "LogCosh"),
    "poisson_steps": poisson_steps,
    "mse_mean": partial(follows, "MeanOverTime", "SquaredError"),
    "bce_mean": partial(follows, "MeanOverTime", "BinaryCrossEntropy"),
}
