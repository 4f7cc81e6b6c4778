"""How calls are drawn, spoiled and made: see `fuzzing.py`, which knows what they must answer."""

import itertools
import math
from contextlib import nullcontext
from typing import Any

import jax
import numpy as np
import torch
from fuzzing import (
    AT_ONCE,
    CATALOGUE,
    COUNTED,
    COUNTS,
    MOVED,
    NUMBERS,
    OPTIONS,
    PAIRED,
    PENALTIES,
    REDUCTIONS,
    SHARES,
    SOFT,
    TIMED,
    TRAINS,
    UNLABELLED,
    Call,
    stepped,
)
from hypothesis import strategies as st
from libraries import JAX, NUMPY, TORCH, Array, Library, rounded

from spikeloss.records import Events, Packed

SHAPES = (
    (6, (4,), 5),
    (5, (3,), 4),
    (7, (2,), 6),
    (4, (4,), 3),
    (5, (3,), 3),
    (3, (3,), 3),
    (1, (3,), 4),
    (5, (1,), 3),
    (4, (3,), 1),
    (4, (2, 3), 3),
    (5, (), 3),
    (4, (0,), 3),
    (1, (), 2),
    (9, (2,), 3),
    (3, (2,), 12),
)
JAX_SHAPES = ((4, (3,), 3), (5, (3,), 4))
SPIKES = ("random", "random", "sparse", "silent", "always", "tied")
MEMBRANES = ("normal", "normal", "graded", "negative", "steps")
EXTREME = ("huge", "tiny", "hot")
FLOATS = {
    NUMPY: ("float64", "float32", "float16"),
    TORCH: ("float64", "float32", "float32", "float16", "bfloat16"),
    JAX: ("float32", "float32", "bfloat16"),
}
INTEGERS = {
    NUMPY: ("bool", "uint8", "int8", "int32", "int64"),
    TORCH: ("bool", "uint8", "int8", "int32", "int64"),
    JAX: ("bool", "uint8", "int32"),
}
LABELS = {
    NUMPY: ("int64", "int32", "uint8", "uint16", "int8", "uint64"),
    TORCH: ("int64", "int32", "uint8", "int8", "int16"),
    JAX: ("int32", "uint8", "int8"),
}


ENTROPIES = ("ce_temporal", "ttfs_ce", "ttfs_z_ce", "rate_latency", "tet")
"""Other cross-entropies, which take probabilities too."""


class As:
    """Something that is passed as it is."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"As({self.value!r})"


def pattern(word: str, shape: tuple[int, ...], rng: np.random.Generator, dtype: str) -> Array:
    """A record (..., N) of float64 numbers."""
    if word in ("random", "sparse"):
        return (rng.random(shape) < (0.4 if word == "random" else 0.08)) * 1.0
    if word == "silent":
        return np.zeros(shape)
    if word == "always":
        return np.ones(shape)
    if word == "tied":
        return np.repeat(rng.random((*shape[:-1], 1)) < 0.4, shape[-1], -1) * 1.0
    normal = rng.normal(size=shape)
    if word == "graded":
        return np.round(4 * np.abs(normal)) / 4
    if word == "negative":
        return -np.round(4 * np.abs(normal)) / 4
    if word == "steps":
        return np.round(normal)
    if word == "hot":
        return 30 * normal
    if word == "huge":
        return normal * (1e20 if dtype in ("float32", "float64") else 100.0)
    if word == "tiny":
        return normal * {"float64": 1e-310, "float32": 1e-40}.get(dtype, 1e-4)
    return normal


@st.composite
def calls(
    draw: Any,
    libraries: tuple[Library, ...] = (NUMPY, TORCH),
    names: Any = None,
    shapes: Any = SHAPES,
    spoil: bool = False,
) -> Call:
    """A call that is right, or with `spoil` one that was and is not any more."""
    name = draw(st.sampled_from(sorted(names or CATALOGUE)))
    library = draw(st.sampled_from(libraries))
    steps, batch, neurons = draw(st.sampled_from(shapes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    words = (*SPIKES, *MEMBRANES, *EXTREME)
    if name in ("spikemax", "count_plus", "ce_plus"):
        words = (*SPIKES, "graded")
    if name in ("mse_count", "spike_rate"):
        words = SPIKES
    if name in MOVED and name != "spike_similarity":
        words = (*SPIKES, "graded")
    if name in ("ctc", "membrane_distribution"):  # not 1e20: nan in PyTorch's, and a square of it
        words = (*SPIKES, *MEMBRANES, "tiny", "hot")
    word = draw(st.sampled_from(words))
    kinds = (*FLOATS[library], *FLOATS[library])
    kinds += INTEGERS[library] if word in SPIKES or word == "steps" else ()
    dtype = draw(st.sampled_from(kinds))
    if word == "steps" and dtype in ("bool", "uint8"):
        dtype = FLOATS[library][0]
    shape = (*batch, neurons) if name == "cross_entropy" else (steps, *batch, neurons)
    record = rounded(pattern(word, shape, rng, dtype), dtype)
    call = Call(name, {}, library, dtype, record)
    call.options = draw(options_of(name, neurons))
    if name == "spike_similarity" and word not in (*SPIKES, "graded"):
        call.options.pop("kernel", None)  # no membranes are moved
    if call.options.get("axes") and not batch:
        call.options["axes"] = None
    if name == "ctc":
        call.options["blank"] = call.options.get("blank", 0) % neurons
    if not call.timeless:
        draw_layout(draw, call, rng)
    draw_times(draw, call)
    if name not in PENALTIES:
        call.target = draw_target(draw, call, rng)
        draw_class_weight(draw, call, rng)
    if draw(st.integers(0, 2)) == 0:
        dtype = draw(st.sampled_from(("float64", "float32", "int32")))
        weight = np.round(4 * np.abs(rng.normal(size=batch))) / 2
        call.weights["sample_weight"] = np.asarray(weight).astype(dtype)
    draw_feed(draw, call, word)
    if spoil:
        spoiled(draw, call, rng)
    return call


@st.composite
def options_of(draw: Any, name: str, neurons: int) -> dict[str, Any]:
    """Options of a preset or penalty that are right together."""
    made = {}
    for option, (valid, _) in OPTIONS.get(name, {}).items():
        if draw(st.booleans()):
            made[option] = draw(valid)
    if made.get("classes") and neurons % made["classes"]:
        made["classes"] = 1
    if "lower" in OPTIONS.get(name, {}):
        usual = CATALOGUE[name].options
        lower, upper = (made.get(key, usual[key]) for key in ("lower", "upper"))
        if lower is None and upper is None:
            made["upper"] = 1.0
        elif lower is not None and upper is not None and lower > upper:
            made["lower"], made["upper"] = upper, lower
    if name == "synaptic_operations" and draw(st.booleans()):
        fans = (1.0, 0.0, 2.5, 7.0, 3.0, 0.5, 2.0, 1.0, 1.0, 4.0, 2.0, 8.0)[:neurons]
        made["fan_out"] = draw(st.sampled_from((fans, list(fans))))
    if draw(st.integers(0, 2)) == 0:
        made["reduction"] = draw(st.sampled_from(sorted(REDUCTIONS)))
    return made


def draw_layout(draw: Any, call: Call, rng: np.random.Generator) -> None:
    """Lengths or a mask; where the axes of the record are."""
    kind = draw(st.sampled_from(("whole", "whole", "lengths", "valid")))
    if kind == "lengths":
        dtype = draw(st.sampled_from(LABELS[call.library]))
        call.layout["lengths"] = rng.integers(1, call.steps + 1, call.batch).astype(dtype)
    elif kind == "valid":
        mask = rng.random((call.steps, *call.batch)) < 0.6
        mask[rng.integers(0, call.steps)] |= ~mask.any(0)  # at least one step of each sample
        call.layout["valid"] = mask
    if draw(st.integers(0, 3)) == 0 and call.name not in TRAINS:
        axes = range(-call.record.ndim, call.record.ndim)
        time, classes = draw(st.sampled_from(axes)), draw(st.sampled_from(axes))
        if (time - classes) % call.record.ndim:
            call.layout |= {"time_axis": time, "class_axis": classes}
    if (  # no target tells which axes are neurons
        call.name in (*PENALTIES, "tet", "etc")
        and len(call.batch) > 1
        and "time_axis" not in call.layout
    ):
        call.layout |= {"time_axis": 0, "class_axis": -1}


def draw_times(draw: Any, call: Call) -> None:
    """Target times within the shortest sample."""
    if call.name not in ("mse_temporal", "target_time"):
        return
    counts = call.valid.sum(0)
    least = int(counts.min()) if counts.size else call.steps
    least = max(least, 1)
    step = st.integers(-least, least - 1)
    call.options["on"], call.options["off"] = draw(step), draw(step)
    if call.name == "mse_temporal" and draw(st.integers(0, 3)) == 0:
        many = draw(st.integers(1, 3))
        for key in ("on", "off"):
            call.options[key] = tuple(draw(st.lists(step, min_size=many, max_size=many)))


def draw_target(draw: Any, call: Call, rng: np.random.Generator) -> Array:
    """A target that fits the call."""
    batch, steps = call.batch, (call.steps, *call.batch)
    floating = draw(st.sampled_from(("float64", "float32")))
    integer = draw(st.sampled_from(LABELS[call.library]))
    if call.name == "ctc":
        return label_sequences(call, rng).astype(integer if "u" not in integer else "int64")
    if call.name in COUNTS:
        axes = steps if draw(st.booleans()) else batch
        return rng.integers(0, 4, (*axes, call.neurons)).astype(floating)
    if call.name in TRAINS:
        return ((rng.random(call.record.shape) < 0.4) * 1.0).astype(floating)
    if call.name in SHARES:
        return rng.integers(0, 2, (*batch, call.neurons)).astype(floating)
    if call.name in NUMBERS:
        axes = steps if call.keeps_time and draw(st.booleans()) else batch
        return rng.normal(size=(*axes, call.neurons)).astype(floating)
    if call.name in PAIRED:
        return rng.integers(0, 3, batch).astype(integer)
    axes = steps if call.keeps_time and draw(st.booleans()) else batch
    soft = call.name in SOFT and draw(st.integers(0, 2)) == 0
    if soft and not call.timeless_ignoring:
        return (rng.integers(0, 9, (*axes, call.classes)) / 8).astype(floating)
    labels = rng.integers(0, call.classes, axes)
    ignored = call.options.get("ignore_index")
    if ignored is not None and "u" not in integer:
        labels = np.where(rng.random(axes) < 0.3, ignored, labels)
    return np.asarray(labels).astype(integer)


def label_sequences(call: Call, rng: np.random.Generator) -> Array:
    """Labels (*B, L) that are not the blank, and have an alignment within the steps."""
    rows, most = [], 3
    blank = call.options.get("blank", 0)
    others = [k for k in range(call.neurons) if k != blank]
    for n in call.valid.sum(0).reshape(-1):
        row: list[int] = []
        for _ in range(rng.integers(0, most + 1) if others else 0):
            row.append(int(rng.choice(others)))
            needed = len(row) + sum(a == b for a, b in itertools.pairwise(row))
            if needed > n:
                row.pop()
                break
        rows.append(row + [-1] * (most - len(row)))
    return np.array(rows, int).reshape(*call.batch, most)


def draw_class_weight(draw: Any, call: Call, rng: np.random.Generator) -> None:
    kind = draw(st.sampled_from(("none", "none", "option", "argument")))
    if kind == "none" or call.name in UNLABELLED:
        return
    if np.issubdtype(call.target.dtype, np.floating) and call.name not in SOFT:
        return
    weight = np.round(4 * np.abs(rng.normal(size=call.classes))) / 2
    if kind == "option":
        call.options["class_weight"] = tuple(weight.tolist())
    else:
        call.weights["class_weight"] = weight.astype("float32")


def draw_feed(draw: Any, call: Call, word: str) -> None:
    """How the record comes: whole, in chunks, as events, packed, ragged or one of a mapping."""
    feeds = ["dense"] * 4
    if not call.timeless:
        moved = "time_axis" in call.layout
        if call.name not in AT_ONCE:
            feeds += ["stream"] * 2
        if not moved and call.library is not JAX:
            if np.all((call.record == 0) | (call.record == 1)):
                feeds += ["packed"]
            if word not in EXTREME and (call.name in COUNTED or call.name in TIMED):
                feeds += ["events"]
            if (
                call.library is TORCH
                and "valid" not in call.layout
                and len(call.batch) == 1
                and (call.batch[0])
            ):
                feeds += ["ragged"]
    feeds += ["mapping"]
    call.feed = draw(st.sampled_from(feeds))
    if call.feed == "ragged" and "lengths" in call.layout:
        call.layout["lengths"][0] = call.steps  # a packed sequence ends with its longest
    lists = math.prod(call.batch) and call.feed in ("dense", "mapping", "packed", "events")
    call.listed = bool(lists) and draw(st.integers(0, 5)) == 0
    if call.feed in ("stream", "packed") and call.options.get("width") == 2**31:
        call.options["width"] = 50  # so many steps would be kept
    if call.feed == "stream":
        ends = draw(st.lists(st.integers(0, call.steps), max_size=3))
        call.chunks = tuple(sorted({*ends, call.steps} - {0}))
        forgets = (
            "valid" in call.layout
            and call.name not in (*PENALTIES, "dice")
            and "on" not in call.options
        )
        if forgets and math.prod(call.batch) and draw(st.integers(0, 4)) == 0:
            call.layout["valid"][:, *[0] * len(call.batch)] = False  # a sample that does not count


# Making the call


def loss_of(call: Call) -> Any:
    options = {k: v.value if isinstance(v, As) else v for k, v in call.options.items()}
    if isinstance(call.options.get("reduction"), str):
        options["reduction"] = REDUCTIONS[options["reduction"]]
    if isinstance(options.get("fan_out"), list):
        options["fan_out"] = call.library.array(np.array(options["fan_out"]))
    return CATALOGUE[call.name].build(**options)


def given(call: Call, value: Any, dtype: str | None = None) -> Any:
    """An array of the library; anything else as it is."""
    if isinstance(value, As):
        return value.value
    if call.listed and isinstance(value, np.ndarray):
        return value.tolist()
    return call.library.array(value, dtype) if isinstance(value, np.ndarray) else value


def laid_out(call: Call, record: Array) -> Array:
    if "time_axis" not in call.layout or call.timeless:
        return record
    places = call.layout["time_axis"], call.layout.get("class_axis", -1)
    try:
        return np.ascontiguousarray(np.moveaxis(record, (0, -1), places))
    except (ValueError, TypeError):  # a spoiled layout
        return record


def arguments(call: Call) -> tuple[Any, dict[str, Any]]:
    target = given(call, call.target)
    keywords = {k: given(call, v) for k, v in (call.layout | call.weights).items()}
    return target, keywords


def ask(call: Call, x: Any, loss: Any, target: Any, keywords: dict[str, Any]) -> Any:
    """The loss of a record that is an array of the library, by the call's feed."""
    first = () if target is None else (target,)
    if call.feed == "stream":
        return streamed(call, x, loss, target, dict(keywords))
    if call.feed == "mapping":
        return loss({"out": x}, *first, **keywords)
    if call.feed == "packed":
        x = Packed.pack(x)
    if call.feed == "events":
        x = events(call)
    if call.feed == "ragged":
        lengths = keywords.pop("lengths", None)
        counts = torch.full(call.batch, call.steps) if lengths is None else lengths
        x = torch.nn.utils.rnn.pack_padded_sequence(
            x, counts.to(torch.int64).cpu(), enforce_sorted=False
        )
    return loss(x, *first, **keywords)


def streamed(call: Call, x: Any, loss: Any, target: Any, keywords: dict[str, Any]) -> Any:
    mask = keywords.pop("valid", None)
    axis = call.layout.get("time_axis", 0)
    by_step = target is not None and stepped(call)
    stream = loss.stream(*(() if target is None or by_step else (target,)), **keywords)
    start = 0
    for end in call.chunks:
        index = [slice(None)] * x.ndim
        index[axis] = slice(start, end)
        chunk = {} if mask is None else {"valid": mask[start:end]}
        if by_step:
            chunk["target"] = target[start:end]
        stream.steps(x[tuple(index)], **chunk)
        start = end
    return stream.value()


def events(call: Call) -> Events:
    flat = call.record.reshape(call.steps, -1, call.neurons)
    place = np.nonzero(flat)
    order = np.random.default_rng(0).permutation(len(place[0]))
    t, b, i = (call.library.array(axis[order].astype("int64")) for axis in place)
    amplitude = call.library.array(flat[place][order], call.result)
    return Events(t, b, i, amplitude, shape=(call.steps, *call.batch, call.neurons))


def answer(call: Call, gradient: bool = False) -> tuple[Array, Array | None]:
    """The loss, as NumPy, and its gradient in the order (T,*B,N); no warning passes."""
    loss = loss_of(call)
    target, keywords = arguments(call)
    record = (
        given(call, call.record)
        if isinstance(call.record, As)
        else call.library.array(laid_out(call, call.record), call.dtype)
    )
    given_arrays = [v for v in (record, target, *keywords.values()) if is_array(v)]
    before = [copied(v) for v in given_arrays]

    def fn(x: Any) -> Any:  # NumPy warns where numbers leave their dtype
        with np.errstate(over="ignore", invalid="ignore") if call.wide else nullcontext():
            return ask(call, x, loss, target, dict(keywords))

    if gradient:
        value, grad = call.library.value_and_grad(fn, record)
        if "time_axis" in call.layout:
            places = call.layout["time_axis"], call.layout["class_axis"]
            grad = np.moveaxis(grad, places, (0, -1))
    else:
        value, grad = call.library.value(fn, record) if is_array(record) else fn(record), None
    for old, new in zip(before, map(copied, given_arrays), strict=True):
        assert np.array_equal(old, new, equal_nan=old.dtype.kind == "f"), "an argument was changed"
    return value, grad


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | torch.Tensor | jax.Array)


def copied(value: Any) -> Array:
    library = TORCH if isinstance(value, torch.Tensor) else JAX
    return np.array(value if isinstance(value, np.ndarray) else library.to_numpy(value))


# Spoiling


def spoiled(draw: Any, call: Call, rng: np.random.Generator) -> None:
    """Make one thing wrong, and note which argument is to blame."""
    ways = [way for way in SPOILS if way(None, call, rng)]
    way = draw(st.sampled_from(ways))
    call.spoiled = way.__name__
    call.refused = frozenset(way(draw, call, rng))


def bad_option(draw: Any, call: Call, rng: Any) -> Any:
    table = OPTIONS.get(call.name, {})
    if draw is None:
        return bool(table)
    option = draw(st.sampled_from(sorted(table)))
    call.options[option] = draw(st.sampled_from(table[option][1]))
    pairs = {"on": "off", "off": "on", "lower": "upper", "upper": "lower"}
    return {option, pairs.get(option, option)} if call.options[option] is None else {option}


def unknown_option(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return True
    option = draw(st.sampled_from(("correct_rate", "temperatur", "lengths", "readout", "target_")))
    call.options[option] = 0.8
    return {option, "options"}


def bad_reduction(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return True
    call.options["reduction"] = As(
        draw(st.sampled_from(("max", "Mean", None, NoReduction, 1, "avg")))
    )
    return {"reduction"}


class NoReduction:
    """Not a reduction."""


def bad_classes(draw: Any, call: Call, rng: Any) -> Any:
    fits = "classes" in OPTIONS.get(call.name, {}) and call.feed != "packed"
    if draw is None:
        return fits and call.neurons > 2
    call.options["classes"] = draw(
        st.sampled_from((call.neurons - 1 or 2, call.neurons + 1, 2**31))
    )
    call.options.pop("class_weight", None)
    call.weights.pop("class_weight", None)
    return {"classes"}


def bad_record(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return call.feed == "dense" and "time_axis" not in call.layout
    shape = call.record.shape
    whole = call.library.array(call.record, "float32")
    call.record = As(
        draw(
            st.sampled_from(
                (  # type: ignore[assignment]
                    None,
                    "spikes",
                    1.0,
                    call.record.tolist(),
                    whole * 1j if call.library is not JAX else 3,
                    whole[:0] if not call.timeless else whole[..., :0],
                    whole[..., :0],
                    whole.reshape(-1)[:1].reshape(()) if math.prod(shape) else None,
                    object(),
                    call.record.astype("U") if call.library is NUMPY else None,
                )
            )
        )
    )
    return {"record"}


def diverged(draw: Any, call: Call, rng: Any) -> Any:
    fits = call.name in TIMED and call.feed == "dense" and "float" in call.dtype
    steps = np.argwhere(call.valid) if isinstance(call.record, np.ndarray) else ()
    if draw is None:
        return fits and len(steps) > 0
    place = tuple(steps[rng.integers(0, len(steps))])
    call.record = call.record.copy()
    call.record[(*place, 0)] = draw(st.sampled_from((math.nan, math.inf, -math.inf)))
    return {"record"}


def bad_layout(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        plain = call.name not in PENALTIES or len(call.batch) < 2
        return plain and call.feed in ("dense", "mapping", "packed") and not call.timeless
    axes = call.record.ndim
    name, value = draw(
        st.sampled_from(
            (
                ("time_axis", axes),
                ("time_axis", -axes - 1),
                ("class_axis", axes),
                ("time_axis", 0.0),
                ("class_axis", "neurons"),
                ("time_axis", True),
                ("time_axis", axes - 1),
                ("length", 3),
                ("axis", 0),
                ("class_axis", 2**40),
            )
        )
    )
    call.layout.pop("time_axis", None)
    call.layout.pop("class_axis", None)
    call.layout[name] = value
    return {"time_axis", "class_axis"} if name == "time_axis" else {name, "layout"}


def bad_lengths(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return call.feed in ("dense", "packed", "mapping", "events") and not call.timeless
    T, batch = call.steps, call.batch
    most = np.full(batch, T)
    one = most.copy()
    if one.size:
        one.reshape(-1)[rng.integers(0, one.size)] = draw(
            st.sampled_from((0, -1, T + 1, 2**31 - 1))
        )
    other = NUMPY if call.library is TORCH else TORCH  # JAX takes arrays of NumPy
    call.layout.pop("valid", None)
    call.layout["lengths"] = draw(
        st.sampled_from(
            (
                *((one, one, one, one.astype("int32")) if one.size else ()),
                np.full((*batch, 2), T),
                most.astype("float32"),
                most.astype("float32") * math.nan,
                np.ones(batch, bool),
                As("3"),
                As(other.array(most)),
                np.full((*batch[:-1], (batch[-1] if batch else 0) + 1), T),
            )
        )
    )
    return {"lengths"}


def bad_valid(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return call.feed in ("dense", "packed", "mapping", "events") and not call.timeless
    T, batch = call.steps, call.batch
    call.layout.pop("lengths", None)
    other = NUMPY if call.library is TORCH else TORCH
    full = np.ones((T, *batch), bool)
    call.layout["valid"] = draw(
        st.sampled_from(
            (
                full.astype("int64"),
                full.astype("float32"),
                np.ones((T + 1, *batch), bool),
                np.ones((T - 1, *batch), bool),
                np.ones((T, *batch, 2), bool),
                As("yes"),
                As(other.array(full)),
                As(True),
                np.ones((20, *batch), bool),
                *((np.ones((*batch, T), bool),) if batch and batch[0] not in (T,) else ()),
            )
        )
    )
    return {"valid"}


def empty_sample(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return call.feed != "stream" and not call.timeless and math.prod(call.batch) > 0
    call.layout.pop("lengths", None)
    mask = np.array(call.valid if call.feed != "ragged" else call.valid | True)
    mask.reshape(call.steps, -1)[:, rng.integers(0, math.prod(call.batch))] = False
    call.layout["valid"] = mask
    return {"valid"}


def both_masks(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return call.feed in ("dense", "packed", "mapping", "events") and not call.timeless
    call.layout["lengths"] = np.full(call.batch, call.steps)
    call.layout["valid"] = np.ones((call.steps, *call.batch), bool)
    return {"valid", "lengths"}


def bad_sample_weight(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return True
    batch = call.batch
    one = np.ones(batch)
    if one.size:
        wrong = draw(st.sampled_from((-5.0, math.nan, math.inf, -math.inf, -1e-3)))
        one.reshape(-1)[rng.integers(0, one.size)] = wrong
    other = NUMPY if call.library is TORCH else TORCH
    call.weights["sample_weight"] = draw(
        st.sampled_from(
            (
                *((one, one, one.astype("float32")) if one.size else ()),
                np.ones((*batch, 2)),
                np.ones((*batch[:-1], (batch[-1] if batch else 0) + 1)),
                As("2"),
                As(other.array(np.ones(batch))),
                *((np.ones(batch) * 1j,) if call.library is NUMPY else ()),
            )
        )
    )
    return {"sample_weight"}


def bad_class_weight(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        labels = call.target is not None and np.issubdtype(call.target.dtype, np.integer)
        return call.name not in UNLABELLED and labels
    one = np.ones(call.classes)
    one[rng.integers(0, call.classes)] = draw(
        st.sampled_from((-5.0, math.nan, math.inf, -math.inf, -1e-3))
    )
    wrong = (one.tolist(), [1.0] * (call.classes + 1), [[1.0] * call.classes], "w", 2.0, [])
    if draw(st.booleans()):
        call.options["class_weight"] = draw(st.sampled_from((*wrong, ["a"] * call.classes)))
        call.weights.pop("class_weight", None)
    else:
        call.weights["class_weight"] = draw(
            st.sampled_from(
                (
                    one,
                    one,
                    np.ones(call.classes + 1),
                    np.ones((call.classes, 2)),
                    As("w"),
                    As(wrong[0]),
                )
            )
        )
    return {"class_weight"}


def needless_class_weight(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return call.name in UNLABELLED
    weight = [1.0] * call.neurons
    if draw(st.booleans()):
        call.options["class_weight"] = tuple(weight)
    else:
        call.weights["class_weight"] = np.array(weight)
    return {"class_weight"}


def bad_target(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return call.name not in PENALTIES and call.feed != "stream"
    y, other = call.target, NUMPY if call.library is TORCH else TORCH
    ways = [
        None,
        As("y"),
        As(other.array(y)),
        As(3.5),
        As({}),
        y[..., None, None] if call.classes == 1 else y[..., None],
        np.concatenate([y, y[:1]]) if y.ndim and len(y) else As(()),
    ]
    if call.library is NUMPY:
        ways += [y.astype("U"), y * 1j]
    labels = y.dtype.kind in "iu"
    ignoring = call.options.get("ignore_index")
    if labels and call.name not in ("ctc", *PAIRED):
        ways += [y.astype("float32"), y.astype("float64"), y.astype(bool)]
        ways += [
            wrong_labels(y.astype("int64"), k, rng)
            for k in (call.classes, -1, -100, 10**9)
            if k != ignoring and y.size
        ] * 2
        if call.library is NUMPY and y.size:
            ways += [wrong_labels(y.astype("uint64"), 2**64 - 1, rng)] * 2
            ways += [wrong_labels(y.astype("uint64"), 2**63, rng)]
        soft = np.eye(max(call.classes, 1), dtype=int)[np.clip(y, 0, call.classes - 1).astype(int)]
        if (
            call.name not in (*SOFT, *ENTROPIES)
            and soft.shape[:-1] != (call.steps, *call.batch)[: soft.ndim - 1]
            and soft.shape != (call.steps, *call.batch)
        ):
            ways += [soft]
    if labels and call.name == "ctc":
        blank = call.options.get("blank", 0)
        ways += [wrong_labels(y, k, rng) for k in (call.neurons, -2, blank) if y.size] * 2
        ways += [y.astype("float32")]
        if call.library is NUMPY and y.size:
            ways += [wrong_labels(y.astype("uint64"), 2**64 - 1, rng)] * 2
    if not labels and y.size:
        bad = [math.nan]
        if call.name in (*SOFT, *COUNTS):
            bad += [-0.25, -5.0, math.inf]
        if call.name in SHARES:
            bad += [-0.5, 1.5, math.inf]
        padded = y.shape == call.record.shape and {"lengths", "valid"} & set(call.layout)
        if call.name in (*NUMBERS, *TRAINS) or padded:  # at a step that does not exist
            bad = []
        ways += [wrong_labels(y, k, rng) for k in bad] * 2
        if call.name not in (*TRAINS, *SOFT):
            ways += [y[..., :-1] if y.shape[-1] > 2 else As("y")]
    call.target = draw(st.sampled_from(ways))
    return (
        {"target", "valid"} if call.name in ("mse_trace", "earth_mover") else {"target"}
    )  # both are (T, B)


def wrong_labels(y: Array, value: Any, rng: np.random.Generator) -> Array:
    y = np.array(y)
    y.reshape(-1)[rng.integers(0, y.size)] = value
    return y


def bad_time(draw: Any, call: Call, rng: Any) -> Any:
    if draw is None:
        return (
            call.name in ("mse_temporal", "target_time")
            and math.prod(call.batch) > 0
            and bool(call.valid.any(0).all())
        )
    key = draw(st.sampled_from(("on", "off")))
    least = int(call.valid.sum(0).min())
    wrong = draw(st.sampled_from((least, -least - 1, 2**31, -(2**31))))
    old = call.options[key]
    call.options[key] = (wrong, *old[1:]) if isinstance(old, tuple) else wrong
    return {key}


SPOILS = (
    bad_option,
    bad_option,
    unknown_option,
    bad_reduction,
    bad_classes,
    bad_record,
    diverged,
    bad_layout,
    bad_lengths,
    bad_valid,
    empty_sample,
    both_masks,
    bad_sample_weight,
    bad_class_weight,
    needless_class_weight,
    bad_target,
    bad_target,
    bad_time,
)
