"""Random calls of everything in the catalogues, and what each must answer.

    call = draw(calls())           # of a preset or penalty, with a record, a target and a layout
    value, grad = answer(call)     # what the library says
    known(call)                    # what the formula says, in float64, or `call.refused`

A call is drawn right, and then maybe spoiled in one place: so it is known beforehand, from the
documentation alone, whether it must work or be refused, and which argument is to blame.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import oracles
from hypothesis import strategies as st
from libraries import Array, Library
from oracles import Objective

from spikeloss import penalties, presets
from spikeloss.reductions import Each, Mean, Sum

Options = dict[str, Any]

REDUCTIONS = {"samples": Mean(), "weights": Mean("weights"), "sum": Sum(), "none": Each()}
CATALOGUE = presets.catalogue() | penalties.catalogue()
PENALTIES = tuple(penalties.catalogue())
TIMED = (
    "mse_temporal",
    "ce_temporal",
    "ttfs_ce",
    "ttfs_z_ce",
    "ttfs_early_ce",
    "relative_ttfs_mse",
    "target_time",
    "rate_latency",
)
SIGNALS = ("mse_signal", "huber_signal", "log_cosh_signal")
NUMBERS = ("kd_logits", "kd_steps", "mse_mean", *SIGNALS)  # any as a target
SHARES = ("binary_peak", "bce_mean")  # from 0 to 1
COUNTS = ("poisson_steps",)  # at least 0
STEPWISE = ("ce_rate", "mse_membrane", "tet", "kd_steps", "mse_trace", "nearest_spike")
STEPWISE += (*SIGNALS, *COUNTS)  # a target for each step
SOFT = (
    "dice",
    "ce_rate",
    "ce_count",
    "ce_max_membrane",
    "ce_mean",
    "ce_last_step",
    "ce_logsumexp",
    "ce_sum_softmax",
    "integral_ce",
    "weighted_integral_ce",
    "cross_entropy",
)
PAIRED = ("spike_similarity", "triplet", "info_nce")  # samples with each other
MOVED = ("earth_mover", *PAIRED)  # in time, of what is not negative
TEACHING = ("tks", "self_kd_steps")  # steps each other
WHOLE = ("ctc", "dice", *MOVED, *TEACHING)  # with a formula of all samples
AT_ONCE = ("ctc", *MOVED, *TEACHING, "nearest_spike")  # without streams
TRAINS = ("mse_trace", "nearest_spike", "earth_mover")  # spikes of every step as a target
UNLABELLED = (*NUMBERS, *SHARES, *COUNTS, *TRAINS, "ctc", *PAIRED)
COUNTED = (
    "ce_count",
    "mse_count",
    "ce_mean",
    "integral_ce",
    "margin_count",
    "count_plus",
    "ce_plus",
    "kd_logits",
    "mse_mean",
    "bce_mean",
    "count_bounds",
    "rate_bounds",
    "rate_target",
    "rate_percentile",
    "count_l1",
    "count_silence",
    "count_sparsity",
    "synaptic_operations",
)


@dataclass
class Call:
    """A loss, and all that it takes, as NumPy arrays; the record with time first, neurons last."""

    name: str
    options: Options
    library: Library
    dtype: str
    record: Array
    target: Any = None
    layout: Options = field(default_factory=dict)
    weights: Options = field(default_factory=dict)
    feed: str = "dense"
    chunks: tuple[int, ...] = ()
    listed: bool = False
    wide: bool = False
    refused: frozenset[str] = frozenset()
    spoiled: str = ""

    @property
    def timeless(self) -> bool:
        return self.name == "cross_entropy"

    @property
    def steps(self) -> int:
        return 1 if self.timeless else len(self.record)

    @property
    def batch(self) -> tuple[int, ...]:
        return self.record.shape[0 if self.timeless else 1 : -1]

    @property
    def neurons(self) -> int:
        return self.record.shape[-1]

    @property
    def classes(self) -> int:
        return self.options.get("classes") or self.neurons

    @property
    def keeps_time(self) -> bool:
        return self.name in STEPWISE or (
            self.options.get("width") is not None
            and self.name in ("spike_rate", "spikemax", "spikemoid")
        )

    @property
    def valid(self) -> Array:
        """(T, *B), of the steps that exist."""
        mask = np.ones((self.steps, *self.batch), bool)
        if "valid" in self.layout:
            return np.asarray(self.layout["valid"])
        if "lengths" in self.layout:
            t = np.arange(self.steps).reshape(-1, *[1] * len(self.batch))
            return np.asarray(t < self.layout["lengths"])
        return mask

    @property
    def timeless_ignoring(self) -> bool:
        """Whether a label is ignored, which a distribution cannot be."""
        return self.options.get("ignore_index") is not None

    @property
    def reduction(self) -> str:
        usual = "weights" if self.name in ("ce_temporal", "cross_entropy") else "samples"
        return self.options.get("reduction") or usual

    @property
    def result(self) -> str:
        """The dtype of the loss."""
        if self.feed == "packed" or "float" not in self.dtype:
            return "float32"
        return self.dtype


# Options: what may be given, and what must be refused


def real(*values: Any, bad: tuple[Any, ...] = ()) -> tuple[Any, tuple[Any, ...]]:
    never = ("1", None, [1.0], math.nan, math.inf, -math.inf, True, 1j)
    return st.sampled_from(values), (*never, *bad)


def whole(*values: Any, bad: tuple[Any, ...] = (), optional: bool = False) -> Any:
    never = ("2", 2.0, math.nan, True, [1], *(() if optional else (None,)))
    return st.sampled_from((None, *values) if optional else values), (*never, *bad)


def word(*values: Any) -> Any:
    return st.sampled_from(values), ("max", None, 0, 3, 1.5, ["mean"], math.nan)


FINITE = real(0.0, 1.0, -0.5, 2, 0.25)
POSITIVE = real(0.25, 0.5, 1.0, 2, 5.0, 25.0, 1e3, 2**31, bad=(0, 0.0, -1.0))
TEMPERATURE = real(0.25, 1.0, 2, 25.0, 1e3, bad=(0, 0.0, -1.0))
NONNEGATIVE = real(0, 0.0, 0.25, 1.0, 2.5, bad=(-0.5, -1))
SHARE = real(0, 1, 0.25, 0.5, bad=(-0.25, 1.5, 2**31))
WIDTH = whole(1, 2, 3, 50, 2**31, bad=(0, -2), optional=True)
CLASSES = whole(3, 2, 1, bad=(0, -3), optional=True)
BOUND = st.sampled_from((None, -0.5, 0.25, 1.0, 2)), ("1", [1.0], math.nan, math.inf, True)
LIMIT = st.sampled_from((None, 0, 0.25, 1.0, 2)), ("1", [1.0], math.nan, math.inf, True, -0.5)
SWITCH = st.booleans(), ("yes", "no", None, 0.5, 2, [True])
POWER = st.sampled_from((1, 2)), (0, 3, 1.5, "2", None, -1)
STEP = st.sampled_from((0, -1)), ("0", 0.0, None, math.nan, True)
LEVELS = (
    st.sampled_from(((0.0, 1.0), (0.5,), (2, -0.5, 0.25))),
    ((), "ab", None, (math.nan,), (0, "1")),
)
FAN_OUT = st.sampled_from((1.0, 0, 2.5, 7)), ("1", None, -1.0, math.nan, math.inf, True, (-1.0,))

OPTIONS: dict[str, dict[str, Any]] = {
    "ce_rate": {"classes": CLASSES},
    "ce_count": {"classes": CLASSES},
    "mse_count": {"on": SHARE, "off": SHARE, "classes": CLASSES},
    "mse_membrane": {"on": FINITE, "off": FINITE},
    "mse_temporal": {"on": STEP, "off": STEP, "tolerance": NONNEGATIVE},
    "ce_temporal": {"code": word("time", "negative", "reciprocal", "exponential")},
    "cross_entropy": {
        "label_smoothing": SHARE,
        "ignore_index": whole(0, 1, -1, -100, optional=True),
    },
    "ce_logsumexp": {"sharpness": real(0.25, 1, 3.0, bad=(0, -1))},
    "focal_max_membrane": {"gamma": NONNEGATIVE},
    "integral_ce": {"label_smoothing": SHARE},
    "weighted_integral_ce": {"tau": POSITIVE, "shape": word("exponential", "linear", "sigmoid")},
    "tempotron": {"threshold": FINITE},
    "tet": {"share": SHARE, "level": FINITE},
    "peak": {
        "width": whole(1, 2, 5, 2**31, bad=(0, -1)),
        "on": FINITE,
        "off": FINITE,
        "others": NONNEGATIVE,
    },
    "binary_peak": {
        "width": whole(1, 2, 5, 2**31, bad=(0, -1)),
        "on": FINITE,
        "off": FINITE,
        "others": NONNEGATIVE,
    },
    "spike_rate": {"on": real(0, 1, 0.25, 0.5), "off": real(0, 1, 0.25, 0.5), "width": WIDTH},
    "spikemax": {"width": WIDTH, "epsilon": real(0.01, 0.5, 1, bad=(0, -1.0))},
    "spikemoid": {"width": WIDTH, "slope": real(1, 10.0, 0.5, bad=(0, -1.0)), "threshold": FINITE},
    "margin_count": {"margin": real(1, 0.5, 3.0, bad=(0, -1)), "power": POWER},
    "count_plus": {
        "desired": NONNEGATIVE,
        "undesired": NONNEGATIVE,
        "balance": (
            st.sampled_from((None, 10, 1.0, 0.25)),
            ("1", 0, -1.0, math.nan, math.inf, True),
        ),
        "shared": SWITCH,
    },
    "ce_plus": {"silent": FINITE},
    "kd_logits": {"temperature": TEMPERATURE},
    "kd_steps": {"temperature": TEMPERATURE},
    "etc": {"weight": NONNEGATIVE, "temperature": TEMPERATURE},
    "tks": {"share": SHARE, "temperature": TEMPERATURE},
    "self_kd_steps": {
        "weight": NONNEGATIVE,
        "teacher": word("correct", "mean", "swapped"),
        "temperature": TEMPERATURE,
    },
    "ttfs_ce": {"tau": POSITIVE, "silent_delay": NONNEGATIVE},
    "ttfs_z_ce": {"tau": POSITIVE},
    "ttfs_early_ce": {
        "tau": POSITIVE,
        "early": NONNEGATIVE,
        "early_tau": POSITIVE,
        "silent_delay": NONNEGATIVE,
    },
    "ttfs_membrane_ce": {
        "tau": POSITIVE,
        "early": NONNEGATIVE,
        "early_tau": POSITIVE,
        "threshold": real(0.5, 1, 2.0, bad=(0, -1.0)),
        "silent_slope": NONNEGATIVE,
    },
    "relative_ttfs_mse": {"delay": POSITIVE},
    "target_time": {"on": STEP, "off": STEP, "tau": POSITIVE},
    "rate_latency": {
        "count": whole(1, 2, 8, 50, bad=(0, -1)),
        "tau": POSITIVE,
        "latency": NONNEGATIVE,
    },
    "huber_signal": {"delta": POSITIVE},
    "log_cosh_signal": {"delta": POSITIVE},
    "bce_mean": {"slope": real(1, 10.0, 0.5, bad=(0, -1.0)), "threshold": FINITE},
    "poisson_steps": {"zeros": real(0, 0.25, 0.5, 0.875, bad=(-0.25, 1, 1.5))},
    "nearest_spike": {"limit": real(0.5, 1, 2.5, 200.0, bad=(0, -1.0, 0.25)), "logarithm": SWITCH},
    "mse_trace": {"tau": POSITIVE, "order": whole(1, 2, 3, bad=(0, -1))},
    "ctc": {"blank": whole(0, 1, bad=(-1,))},
    "earth_mover": {"normalised": SWITCH},
    "triplet": {
        "margin": real(0.25, 1, 2.5, bad=(0, -1.0)),
        "distance": word("euclidean", "squared", "cosine", "earth_mover"),
    },
    "info_nce": {
        "temperature": TEMPERATURE,
        "similarity": word("cosine", "product", "squared", "earth_mover"),
    },
    "dice": {
        "smooth": NONNEGATIVE,
        "power": POWER,
        "score": word("softmax", "sigmoid", "given"),
        "axes": whole(1, bad=(0, -1), optional=True),
        "ignore_index": whole(0, 1, -1, -100, optional=True),
    },
    "spike_similarity": {
        "kernel": word("cosine", "sigmoid", "gaussian", "earth_mover"),
        "scale": real(0.5, 1, 3.0, bad=(0, -1)),
        "power": POWER,
    },
    "count_bounds": {
        "lower": LIMIT,
        "upper": LIMIT,
        "power": POWER,
        "pool": word("mean", "sum"),
        "population": SWITCH,
        "batch": SWITCH,
    },
    "rate_bounds": {
        "lower": LIMIT,
        "upper": LIMIT,
        "power": POWER,
        "pool": word("mean", "sum"),
        "population": SWITCH,
        "batch": SWITCH,
    },
    "rate_target": {
        "rate": real(0.05, 0.25, 1),
        "power": POWER,
        "population": SWITCH,
        "batch": SWITCH,
    },
    "rate_percentile": {
        "lower": LIMIT,
        "upper": LIMIT,
        "percentile": real(0, 30, 50.0, 99, 100, bad=(-1, 101)),
        "power": POWER,
    },
    "count_silence": {"least": real(1, 0.5, 3), "batch": SWITCH},
    "count_sparsity": {"most": real(10, 1, 0.5), "power": POWER},
    "membrane_bounds": {"lower": BOUND, "upper": BOUND, "power": POWER},
    "membrane_information": {"threshold": FINITE, "per_step": SWITCH},
    "membrane_distribution": {
        "threshold": FINITE,
        "width": real(0.25, 1, 3.0, bad=(0, -1.0)),
        "degeneration": NONNEGATIVE,
        "saturation": NONNEGATIVE,
        "mismatch": NONNEGATIVE,
        "channels": (st.sampled_from((None, 1)), (0, -3, 2.0, "2", True, 2**31, math.nan)),
    },
    "membrane_rectified": {"levels": LEVELS, "power": POWER},
    "synaptic_operations": {
        "fan_out": FAN_OUT,
        "target": (st.sampled_from((None, 1.0, 20)), ("1", 0, -1.0, math.nan, math.inf, True)),
    },
    "membrane_silence": {"threshold": FINITE},
    "membrane_activity": {
        "least": SHARE,
        "slope": real(1, 10.0, 0.5, bad=(0, -1.0)),
        "threshold": FINITE,
    },
    "step_consistency": {"temperature": TEMPERATURE},
}


# Formulas that `oracles.py` has no row for: samples, cropped to their steps (n,N) -> losses (B)

Samples = list[Array]


def outside(z: Array, lower: Any, upper: Any, power: int) -> Array:
    low = 0.0 * z if lower is None else np.maximum(0.0, lower - z)
    high = 0.0 * z if upper is None else np.maximum(0.0, z - upper)
    return np.asarray(low**power + high**power)


def _counts(s: Samples) -> Array:
    return np.array([x.sum(0) for x in s])


def _rates(s: Samples) -> Array:
    return np.array([x.sum(0) / len(x) for x in s])


def _bounded(
    z: Array,
    lower: Any,
    upper: Any,
    power: int = 2,
    pool: str = "mean",
    population: bool = False,
    batch: bool = False,
) -> Array:
    z = z.mean(-1, keepdims=True) if population else z
    z = np.broadcast_to(z.mean(0, keepdims=True), z.shape) if batch else z
    each = outside(z, lower, upper, power)
    return np.asarray(each.mean(-1) if pool == "mean" else each.sum(-1))


def count_bounds(s: Samples, *, lower: Any = None, upper: Any = 10.0, **options: Any) -> Array:
    return _bounded(_counts(s), lower, upper, **options)


def rate_bounds(s: Samples, *, lower: Any = None, upper: Any = 0.1, **options: Any) -> Array:
    return _bounded(_rates(s), lower, upper, **options)


def rate_target(s: Samples, *, rate: float = 0.05, batch: bool = True, **options: Any) -> Array:
    return _bounded(_rates(s), rate, rate, batch=batch, **options)


def rate_percentile(
    s: Samples, *, lower: Any = None, upper: Any = 0.2, percentile: float = 99.0, power: int = 2
) -> Array:
    q = np.percentile(_rates(s), percentile, axis=0)
    return np.full(len(s), outside(q, lower, upper, power).mean())


def count_l1(s: Samples) -> Array:
    return np.abs(_counts(s)).sum(-1)


def count_silence(s: Samples, *, least: float = 1.0, batch: bool = True) -> Array:
    return _bounded(_counts(s), least, None, batch=batch)


def count_sparsity(s: Samples, *, most: float = 10.0, power: int = 2) -> Array:
    return outside(_counts(s).mean(-1), None, most, power)


def membrane_bounds(s: Samples, *, lower: Any = -1.0, upper: Any = 1.0, power: int = 2) -> Array:
    return np.array([outside(u, lower, upper, power).mean() for u in s])


def membrane_information(s: Samples, *, threshold: float = 0.5, per_step: bool = False) -> Array:
    mean = np.mean([u.mean() for u in s])
    return np.array([(mean - threshold / (len(u) if per_step else 1)) ** 2 for u in s])


def membrane_distribution(
    s: Samples,
    *,
    threshold: float = 1.0,
    width: float = 1.0,
    degeneration: float = 1.0,
    saturation: float = 1.0,
    mismatch: float = 1.0,
    channels: int | None = None,
) -> Array:
    grouped = [u.reshape(len(u), channels or u.shape[1], -1) for u in s]
    m = np.mean([u.mean((0, 2)) for u in grouped], 0)
    square = np.mean([((u - m[:, None]) ** 2).mean((0, 2)) for u in grouped], 0)
    m, square = (m - threshold) / width, square / width**2
    each = degeneration * np.maximum(0, m**2 - square)
    each = each + saturation * np.maximum(0, np.sqrt(square) - 4) ** 2
    each = each + mismatch * np.maximum(0, 2 - np.abs(m) - np.sqrt(square)) ** 2
    return np.full(len(s), each.mean())


def membrane_rectified(s: Samples, *, levels: Any = (0.0, 1.0), power: int = 2) -> Array:
    return np.array([np.min([np.abs(u - q) ** power for q in levels], 0).mean() for u in s])


def membrane_activity(
    s: Samples, *, least: float = 0.1, slope: float = 1.0, threshold: float = 0.0
) -> Array:
    firing = [((1 + np.tanh(slope / 2 * (u - threshold))) / 2).mean(-1) for u in s]
    return np.array([np.maximum(0.0, least - z).mean() for z in firing])


def moves(u: Array, v: Array, normalised: bool = True) -> float:
    """Steps by which spikes are moved; a silent train has them after the end."""
    n = max(len(u), len(v))
    p, q = (np.cumsum(np.pad(w, ((0, n - len(w)), (0, 0))), 0) for w in (u, v))
    if normalised:
        p, q = (w / np.where(w[-1] > 0, w[-1], 1) for w in (p, q))
    return float(np.abs(p - q).sum(0).mean())


def earth_mover(s: Samples, y: list[Array], *, normalised: bool = True) -> Array:
    return np.array([moves(x, np.asarray(t, float), normalised) for x, t in zip(s, y, strict=True)])


def apart(name: str, u: Array, v: Array) -> float:
    if name == "earth_mover":
        return moves(u, v)
    u, v = u.mean(0), v.mean(0)
    if name == "cosine":
        norm = math.sqrt(u @ u) * math.sqrt(v @ v)
        return 1 - float(u @ v / norm if norm else 0.0)
    if name == "product":
        return -float(u @ v)
    gap = float(((u - v) ** 2).sum())
    return math.sqrt(gap) if name == "euclidean" else gap


def triplet(s: Samples, y: Array, *, margin: float = 0.2, distance: str = "euclidean") -> Array:
    found = []
    for i, u in enumerate(s):
        d = [apart(distance, u, v) for v in s]
        own = [d[j] for j in range(len(s)) if j != i and y[j] == y[i]]
        others = [d[j] for j in range(len(s)) if y[j] != y[i]]
        counts = bool(own and others)
        found.append(max(0.0, margin + max(own) - min(others)) if counts else math.nan)
    return np.array(found)


def info_nce(
    s: Samples, y: Array, *, temperature: float = 0.5, similarity: str = "cosine"
) -> Array:
    found = []
    for i, u in enumerate(s):
        k = [((similarity == "cosine") - apart(similarity, u, v)) / temperature for v in s]
        own = [j for j in range(len(s)) if j != i and y[j] == y[i]]
        every = np.logaddexp.reduce([k[j] for j in range(len(s)) if j != i] or [0.0])
        found.append(sum(every - k[j] for j in own) / len(own) if own else math.nan)
    return np.array(found)


def dice(
    s: Samples,
    y: Array,
    *,
    smooth: float = 1.0,
    power: int = 1,
    score: str = "softmax",
    images: list[list[int]],
    ignore_index: int | None = None,
    class_weight: Any = None,
) -> Array:
    found = np.full(len(s), math.nan)
    for pixels in images:
        there = [b for b in pixels if np.ndim(y[b]) or y[b] != ignore_index]
        if not there:
            continue
        z = np.array([s[b].mean(0) for b in there])
        p = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
        if score != "softmax":
            p = (1 + np.tanh(z / 2)) / 2 if score == "sigmoid" else z
        every = np.arange(z.shape[1])
        q = np.array([y[b] if np.ndim(y[b]) else every == y[b] for b in there], float)
        both = 2 * (p * q).sum(0) + smooth
        size = (p**power + q**power).sum(0) + smooth
        missing = 1 - np.where(size == 0, 1, both / np.where(size == 0, 1, size))
        weight = 1.0 if class_weight is None else np.asarray(class_weight)
        found[pixels] = (weight * missing).mean()
    return found


def membrane_silence(s: Samples, *, threshold: float = 1.0) -> Array:
    return np.array([np.maximum(0.0, threshold - u.max(0)).mean() for u in s])


def synaptic_operations(s: Samples, *, fan_out: Any = 1.0, target: float | None = None) -> Array:
    each = (_counts(s) * np.asarray(fan_out)).sum(-1)
    return (
        np.abs(each) if target is None else np.full(len(s), ((each.mean() - target) / target) ** 2)
    )


def ctc(s: Samples, y: Array, *, blank: int = 0) -> Array:
    """The forward recursion of Graves et al. (2006), equations 6 and 7, in logarithms."""

    def one(x: Array, labels: list[int]) -> float:
        log_p = x - np.logaddexp.reduce(x, axis=1, keepdims=True)
        path = [blank, *(k for label in labels for k in (label, blank))]
        a = [log_p[0, k] if i < 2 else -math.inf for i, k in enumerate(path)]
        for row in log_p[1:]:
            before, a = a, []
            for i, k in enumerate(path):
                ways = before[max(0, i - 1) : i + 1]
                if i > 1 and k not in (blank, path[i - 2]):
                    ways = [before[i - 2], *ways]
                a.append(np.logaddexp.reduce(ways) + row[k])
        return -float(np.logaddexp.reduce(a[-2:]))

    return np.array([one(x, [int(k) for k in row if k >= 0]) for x, row in zip(s, y, strict=True)])


def spike_similarity(
    s: Samples, y: Array, *, kernel: str = "cosine", scale: float = 1.0, power: int = 2
) -> Array:
    def alike(u: Array, v: Array) -> float:
        n = max(len(u), len(v))
        u, v = (np.pad(w, ((0, n - len(w)), (0, 0))) for w in (u, v))
        if kernel == "cosine":  # of any length: squares of tiny numbers would be 0
            u, v = (w / (np.abs(w).max(initial=0.0) or 1.0) for w in (u, v))
        dot = float((u * v).sum())
        if kernel == "cosine":
            norm = math.sqrt((u * u).sum()) * math.sqrt((v * v).sum())
            return dot / norm if norm else 0.0
        if kernel == "sigmoid":
            return float(np.exp(-np.logaddexp(0.0, -scale * dot)))
        return math.exp(-((u - v) ** 2).sum() / (2 * scale**2))

    return np.array(
        [
            np.mean([abs(alike(u, v) - float(a == b)) ** power for v, b in zip(s, y, strict=True)])
            for u, a in zip(s, y, strict=True)
        ]
    )


def logs(x: Array) -> Array:
    return np.asarray(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))


def tks(s: Samples, y: Array, *, share: float = 0.5, temperature: float = 1.0) -> Array:
    each = []
    for x, label in zip(s, y, strict=True):
        right = x[x.argmax(1) == label].sum(0)
        q = np.exp(logs(right / temperature))
        soft = -(temperature**2) * np.where(q > 0, q * logs(x).mean(0), 0).sum()
        each.append((1 - share) * -logs(x.mean(0))[label] + share * soft)
    return np.array(each)


def self_kd_steps(
    s: Samples,
    y: Array,
    *,
    weight: float = 1.0,
    teacher: str = "correct",
    temperature: float = 3.0,
    teachers: Samples | None = None,
) -> Array:
    """`teachers`: the samples that the teacher is made of, which has no derivative."""
    each = []
    for x, wise, label in zip(s, teachers or s, y, strict=True):
        right = wise[wise.argmax(1) == label]
        z = wise.mean(0)
        if teacher == "correct":
            z = right.mean(0) if len(right) else z
        elif teacher == "swapped":
            best = int(z.argmax())
            z[[best, int(label)]] = z[[int(label), best]]
        pairs = [oracles.distillation(step, z, n=len(x), temperature=temperature) for step in x]
        far = sum(value for value, _ in pairs) / len(x)
        far = 0.0 if teacher == "correct" and not len(right) else far
        each.append(-logs(x)[:, label].mean() + weight * far)
    return np.array(each)


FORMULAS: dict[str, Callable[..., Array]] = {
    f.__name__: f
    for f in (
        count_bounds,
        rate_bounds,
        rate_target,
        rate_percentile,
        count_l1,
        count_silence,
        count_sparsity,
        membrane_bounds,
        membrane_information,
        membrane_distribution,
        membrane_rectified,
        membrane_silence,
        membrane_activity,
        earth_mover,
        triplet,
        info_nce,
        dice,
        synaptic_operations,
        ctc,
        spike_similarity,
        tks,
        self_kd_steps,
    )
}


# Formulas by the stages of `oracles.py`: (factor, objective, whether it takes class weights)


def tet(share: float = 0.05, level: float = 1.0) -> list[tuple[float, Objective, bool]]:
    near = Objective(("EveryStep", {}), ("Deviation", {"value": level}))
    return [
        (1 - share, Objective(("EveryStep", {}), ("CrossEntropy", {})), True),
        (share, near, False),
    ]


def peak(
    width: int = 5, on: float = 1.0, off: float = 0.0, others: float = 1.0, target: str = "OnOff"
) -> list[tuple[float, Objective, bool]]:
    top = Objective(("PeakWindow", {"width": width}), ("Level", {"level": on}), (target, {}))
    rest = Objective(("EveryStep", {}), ("Level", {"level": off, "others": True}), (target, {}))
    return [(1.0, top, True), (others, rest, True)]


def binary_peak(**options: Any) -> list[tuple[float, Objective, bool]]:
    return peak(**options, target="Given")


def ttfs_early_ce(
    tau: float = 1.0, early: float = 0.005, early_tau: float = 5.0, silent_delay: float = 0.0
) -> list[tuple[float, Objective, bool]]:
    first = {"code": "negative", "unit": tau, "silent_delay": silent_delay}
    soon = Objective(
        ("FirstSpike", {"silent_delay": silent_delay}), ("EarlySpike", {"tau": early_tau})
    )
    return [
        (1.0, Objective(("FirstSpike", first), ("CrossEntropy", {})), True),
        (early, soon, True),
    ]


def ttfs_membrane_ce(
    tau: float = 1.0,
    early: float = 0.005,
    early_tau: float = 5.0,
    threshold: float = 1.0,
    silent_slope: float = 5.0,
) -> list[tuple[float, Objective, bool]]:
    crossing = {"threshold": threshold, "silent_slope": silent_slope}
    before = ("InterpolatedSpike", {"code": "negative", "unit": tau, **crossing})
    soon = Objective(("InterpolatedSpike", crossing), ("EarlySpike", {"tau": early_tau}))
    return [(1.0, Objective(before, ("CrossEntropy", {})), True), (early, soon, True)]


def mse_trace(tau: float = 5.0, order: int = 1) -> list[tuple[float, Objective, bool]]:
    trace = ("FilteredTrace", {"tau": tau, "order": order})
    return [(1.0, Objective(trace, ("SquaredError", {})), False)]


def step_consistency(temperature: float = 4.0) -> list[tuple[float, Objective, bool]]:
    readout = ("Disagreement", {"temperature": temperature})
    return [(1.0, Objective(readout, ("Bounds", {"upper": 0.0, "power": 1})), False)]


def nearest_spike(**options: Any) -> list[tuple[float, Objective, bool]]:
    return [(1.0, Objective(("EveryStep", {}), ("SquaredError", {})), False)]


def etc(weight: float = 1.0, temperature: float = 4.0) -> list[tuple[float, Objective, bool]]:
    mean = Objective(("MeanOverTime", {}), ("CrossEntropy", {}))
    return [(1.0, mean, True), (weight, step_consistency(temperature)[0][1], False)]


SUMS = {
    f.__name__: f
    for f in (
        *(tet, peak, binary_peak, ttfs_early_ce, ttfs_membrane_ce, mse_trace),
        *(nearest_spike, step_consistency, etc),
    )
}


def terms_of(call: Call) -> list[tuple[float, Objective, bool]]:
    own = {
        k: v for k, v in call.options.items() if k not in ("reduction", "class_weight", "layers")
    }
    if call.name in SUMS:
        return SUMS[call.name](**own)
    objective = oracles.PRESETS[call.name](**own)[0]
    if call.name == "count_plus":
        objective.criterion[1]["scale"] = balanced(call, objective.criterion[1])
    return [(1.0, objective, True)]


def balanced(call: Call, options: Options) -> float:
    """What the derivative of the right class is multiplied by, of all samples together."""
    if options["balance"] is None:
        return 1.0
    zs = [x.sum(0) for x in samples_of(call)]
    labels = [int(y) for y in targets_of(call)]
    return oracles.balanced(zs, labels, **options)


# What is known of a call


@dataclass
class Known:
    """The loss, what its rounding errors are measured in, and its gradient, (T,B,N) or None."""

    value: Array
    scale: Array
    grad: Array | None = None


def samples_of(call: Call, record: Array | None = None) -> Samples:
    """Each sample (n,N), cropped to its steps."""
    record = call.record if record is None else record
    x = record[None] if call.timeless else record
    x = x.reshape(len(x), -1, call.neurons)
    valid = call.valid.reshape(len(x), -1)
    return [x[valid[:, b], b] for b in range(x.shape[1])]


def targets_of(call: Call) -> list[Any]:
    """The target of each sample, cropped to its steps."""
    axes, size = len(call.batch), math.prod(call.batch)
    if call.target is None:
        return [None] * size
    y = np.asarray(call.target)
    if stepped(call):
        times = call.steps
        y, valid = y.reshape(times, size, *y.shape[1 + axes :]), call.valid.reshape(times, size)
        return [y[valid[:, b], b] for b in range(size)]
    return list(y.reshape(size, *y.shape[axes:]))


def stepped(call: Call) -> bool:
    """Whether the target has an axis of time."""
    axes = np.ndim(call.target) - len(call.batch)
    if call.name in TRAINS:
        return True
    floating = np.issubdtype(np.asarray(call.target).dtype, np.floating)
    return call.keeps_time and axes == (2 if floating else 1)


def nearest(spikes: Array, limit: float = 200.0, logarithm: bool = True, **others: Any) -> Array:
    """The steps to the nearest spike, a quarter at one."""
    found = np.full(spikes.shape, float(limit))
    for t, c in np.ndindex(spikes.shape):
        for s in np.flatnonzero(spikes[:, c]):
            found[t, c] = min(found[t, c], max(abs(t - s), 0.25))
    return np.log(found) if logarithm else found


def class_weight_of(call: Call) -> Any:
    own = call.weights.get("class_weight")
    return call.options.get("class_weight") if own is None else own


def elements(call: Call, objective: Objective, weighted: bool) -> tuple[list[Any], ...]:
    """Of each sample: its loss, gradient (n,N), weight, and whether it counts."""
    shape = oracles.loss_shape(objective, max(call.steps, 1), call.neurons)
    if call.name in SOFT and np.issubdtype(np.asarray(call.target).dtype, np.floating):
        shape = ()
    rows = []
    for x, y in zip(samples_of(call), targets_of(call), strict=True):
        if len(x) == 0:
            rows.append((np.zeros(shape), np.zeros(x.shape), 0.0, False))
            continue
        if call.name == "mse_trace":
            y = oracles.read(objective.readout, np.asarray(y, np.float64))[0]
        if call.name == "nearest_spike":
            y = nearest(np.asarray(y, np.float64), **call.options)
        if objective.criterion[0] in ("Deviation", "Bounds"):  # which have no target
            y = np.zeros(call.neurons)
        if oracles.has_labels(objective, call.target):
            y = int(y) if np.ndim(y) == 0 else y
        weight = class_weight_of(call) if weighted else None
        rows.append(oracles.sample(objective, x, y, class_weight=weight))
    return tuple(map(list, zip(*rows, strict=True))) if rows else ([], [], [], [])


def reduced(call: Call, losses: Any, weight: Any, counts: Any, shape: tuple[int, ...]) -> Array:
    """The losses of the samples, weighted already, by the rule of the reduction."""
    axis = max(len(shape) - 1, 0)
    value = np.stack(losses, axis) if len(losses) else np.zeros((*shape[:axis], 0, *shape[axis:]))
    if call.reduction == "none":
        return value.reshape((*shape[:axis], *call.batch, *shape[axis:]))
    if call.reduction == "sum":
        return np.asarray(value.sum())
    many = math.prod(shape) * (sum(counts) if call.reduction == "samples" else sum(weight))
    with np.errstate(invalid="ignore"):
        return np.asarray(value.sum() / many if many else np.nan)


def own_weights(call: Call) -> Array:
    size = math.prod(call.batch)
    given = call.weights.get("sample_weight")
    return np.ones(size) if given is None else np.asarray(given, np.float64).reshape(size)


def known(call: Call) -> Known:
    """The loss by the formula; OverflowError where float64 does not hold it."""
    return known_of_samples(call) if call.name in FORMULAS else known_of_stages(call)


def known_of_samples(call: Call, record: Array | None = None) -> Known:
    shared = ("reduction", "layers", "class_weight")
    options = {k: v for k, v in call.options.items() if k not in shared}
    if call.name == "self_kd_steps":
        options["teachers"] = samples_of(call)
    if call.name == "synaptic_operations" and isinstance(options.get("fan_out"), list):
        options["fan_out"] = np.array(options["fan_out"])
    samples, own = samples_of(call, record), own_weights(call)
    arguments = (targets_of(call),) if call.name in WHOLE else ()
    if call.name == "dice":
        inner = call.options.get("axes")
        size = math.prod(call.batch[len(call.batch) - inner :]) if inner else len(samples)
        options["images"] = [list(range(b, b + size)) for b in range(0, len(samples), size or 1)]
        options["class_weight"] = class_weight_of(call)
        options.pop("axes", None)
    losses = FORMULAS[call.name](samples, *arguments, **options) if samples else np.zeros(0)
    counts = ~np.isnan(losses) if call.name in ("dice", *PAIRED) else np.ones(len(own))
    losses = np.where(counts, losses, 0.0) if call.name in ("dice", *PAIRED) else losses
    by_class = class_weight_of(call) if call.name in TEACHING else None
    if by_class is not None and samples:
        own = own * np.array([by_class[int(y)] for y in targets_of(call)])
    value = reduced(call, list(own * losses), own * counts, counts, ())
    return Known(value, np.abs(value) + 1.0)


def known_of_stages(call: Call) -> Known:
    value: Any = 0.0
    scale: Any = 0.0
    grad = np.zeros((call.steps, math.prod(call.batch), call.neurons))
    valid, own = call.valid.reshape(call.steps, -1), own_weights(call)
    for factor, objective, weighted in terms_of(call):
        losses, slopes, weight, counts = elements(call, objective, weighted)
        shape = (
            np.shape(losses[0])
            if losses
            else oracles.loss_shape(objective, call.steps, call.neurons)
        )
        if not losses and call.name in SOFT:
            shape = ()
        mine = [w * loss for w, loss in zip(own, losses, strict=True)]
        weigh = [w * each for w, each in zip(own, weight, strict=True)]
        value = value + factor * reduced(call, mine, weigh, counts, shape)
        many = 1.0
        if call.reduction in ("samples", "weights"):
            many = math.prod(shape) * sum(counts if call.reduction == "samples" else weigh)
        rough = []
        for b, (x, slope) in enumerate(zip(samples_of(call), slopes, strict=True)):
            slope = own[b] * slope.reshape(slope.size // max(x.size, 1), *x.shape)
            with np.errstate(all="ignore"):
                if many:
                    grad[valid[:, b], b] += factor * slope.sum(0) / many
                rough.append(np.abs(mine[b]) + np.abs(slope * x).sum() + own[b] * max(weight[b], 1))
        scale = scale + abs(factor) * reduced(call, rough, weigh, counts, shape)
    return Known(np.asarray(value), np.asarray(scale), grad)
