"""Functions of PyTorch with a derivative of their own: fewer operations, and less memory.

They serve plain tensors, eagerly. Tracing, `torch.func` and forward mode take plain operations
that say the same. Differentiated twice, a backward is made of functions that have derivatives
themselves; otherwise it works in the memory of the gradient. This module is imported with PyTorch
only.
"""

from typing import Any

import torch

from spikeloss._shapes import Array


def keep(x: Array, valid: Array) -> Array:
    """x, changed in place: 0 where it is not valid, whatever it holds there."""
    bits = {torch.float32: torch.int32, torch.float64: torch.int64}.get(x.dtype)
    if bits is None or not x.is_cpu:
        return x.masked_fill_(valid.logical_not(), 0.0)
    # By bits, as a selection by a mask of bools takes three times as long; a bit that is dropped is
    # 0 whatever the others were, so that nan goes too.
    x.view(bits).bitwise_and_(valid.to(bits).neg_())
    return x


def _batched(x: Any) -> bool:
    """Whether it stands for many gradients at once, with which nothing is computed in place."""
    known = torch._C._functorch
    return bool(known.is_functorch_wrapped_tensor(x) or known.is_legacy_batchedtensor(x))


class Selection(torch.autograd.Function):
    """The bits of numbers that a mask of bits has, as a linear function with its derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Array, bits: Array) -> Array:
        ctx.save_for_backward(bits)
        ctx.save_for_forward(bits)
        return (x.view(bits.dtype) & bits).view(x.dtype)

    @staticmethod
    def backward(ctx: Any, slope: Array) -> tuple[Array, None]:
        (bits,) = ctx.saved_tensors
        if _batched(slope):
            return torch.where(bits != 0, slope, 0.0), None
        return Selection.apply(slope, bits), None  # type: ignore[no-untyped-call]

    @staticmethod
    def jvp(ctx: Any, slope: Array, *_: None) -> Array:
        (bits,) = ctx.saved_tensors
        return (slope.view(bits.dtype) & bits).view(slope.dtype)


class Surprise(torch.autograd.Function):
    """-log softmax(z) at the label, and log softmax(z), along an axis of classes.

    Of `torch.nn.functional.cross_entropy` the backward makes two arrays of the size of z, this one
    the gradient alone. A row that is not valid gives 0.
    """

    @staticmethod
    def forward(
        ctx: Any, z: Array, label: Array, valid: Array | None, axis: int
    ) -> tuple[Array, Array]:
        log_p = torch.log_softmax(z.contiguous(), axis)
        if valid is not None:
            log_p = keep(log_p, valid)
        ctx.save_for_backward(log_p, label, valid)
        ctx.axis = axis
        ctx.set_materialize_grads(False)
        return log_p.gather(axis, label).neg_(), log_p

    @staticmethod
    def backward(
        ctx: Any, slope: Any, of_log_p: Array | None
    ) -> tuple[Array | None, None, None, None]:
        log_p, label, valid = ctx.saved_tensors
        if slope is None and of_log_p is None:
            return None, None, None, None
        plain = of_log_p is None and not _batched(slope) and not torch.is_grad_enabled()
        if valid is not None:
            slope = None if slope is None else torch.where(valid, slope, 0.0)
            of_log_p = None if of_log_p is None else torch.where(valid, of_log_p, 0.0)
        if not plain:
            found = _of_log_softmax(log_p, label, ctx.axis, slope, of_log_p)
            return found, None, None, None
        p = log_p.exp()
        p.scatter_(ctx.axis, label, -1.0, reduce="add")
        if not any(slope.stride()):
            slope = slope.as_strided((), ())  # one number, which is quicker than a view of it
        return p.mul_(slope), None, None, None


def _of_log_softmax(
    log_p: Array, label: Array, axis: int, slope: Array | None, of_log_p: Array | None
) -> Array:
    """The derivative, by functions that have derivatives."""
    given = torch.zeros_like(log_p) if of_log_p is None else of_log_p
    if slope is not None:
        given = given.scatter_add(axis, label, -slope)
    return given - log_p.exp() * given.sum(axis, keepdim=True)


class Softmax(torch.autograd.Function):
    """softmax(z) along an axis of classes, and 0 in a row that is not valid.

    In the memory of one array each way: the backward of `torch.softmax` copies a slope that is the
    same for all steps, that of its logarithm makes one array more.
    """

    @staticmethod
    def forward(ctx: Any, z: Array, valid: Array | None, axis: int) -> Array:
        p = torch.log_softmax(z.contiguous(), axis).exp_()
        p = p if valid is None else keep(p, valid)
        ctx.save_for_backward(p, valid)
        ctx.axis = axis
        return p

    @staticmethod
    def backward(ctx: Any, slope: Array) -> tuple[Array, None, None]:
        p, valid = ctx.saved_tensors
        given = slope * p
        if _batched(slope) or torch.is_grad_enabled():
            given = given if valid is None else torch.where(valid, given, 0.0)
            return given - p * given.sum(ctx.axis, keepdim=True), None, None
        given = given if valid is None else keep(given, valid)
        return given.addcmul_(p, given.sum(ctx.axis, keepdim=True), value=-1), None, None


class Squares(torch.autograd.Function):
    """(z - y)^2, and 0 where it is not valid, in the memory of one array each way."""

    @staticmethod
    def forward(ctx: Any, z: Array, y: Array, valid: Array) -> Array:
        ctx.save_for_backward(z, y, valid)
        error = keep(z - y, valid)
        return error.mul_(error)

    @staticmethod
    def backward(ctx: Any, slope: Array) -> tuple[Array | None, Array | None, None]:
        z, y, valid = ctx.saved_tensors
        if _batched(slope) or torch.is_grad_enabled():
            error = 2 * slope * torch.where(valid, z - y, 0.0)
        else:
            error = torch.ops.aten.mse_loss_backward(slope, z, y.expand_as(z), 0)
            error = keep(error, valid)
        of_y = error.neg().sum_to_size(y.shape) if ctx.needs_input_grad[1] else None
        return error if ctx.needs_input_grad[0] else None, of_y, None


class SpikeTime(torch.autograd.Function):
    """A step of every neuron as a time t, or -t, whose derivative dt/dx is -1 at that step."""

    @staticmethod
    def forward(ctx: Any, x: Array, step: Array, negative: bool) -> Array:
        ctx.save_for_backward(step)
        ctx.steps, ctx.negative = len(x), negative
        # No number where the spike is none: 0 times nan or infinity is nan.
        time = torch.add(step, x.gather(0, step[None])[0], alpha=0)
        return time.neg_() if negative else time

    @staticmethod
    def backward(ctx: Any, slope: Array) -> tuple[Array, None, None]:
        (step,), steps = ctx.saved_tensors, ctx.steps
        if _batched(slope) or torch.is_grad_enabled():
            given = slope if ctx.negative else -slope
            zeros = given.new_zeros((steps, *step.shape))
            return zeros.scatter(0, step[None], given[None]), None, None
        if ctx.negative:
            zeros = slope.new_zeros((steps, *step.shape))
            return zeros.scatter_(0, step[None], slope[None]), None, None
        # -slope at the step, 0 elsewhere: what the likelihood of a class has for a derivative.
        shape = slope.new_empty(()).expand(1, steps, step.numel(), 1)
        flat = (each.reshape(1, -1, 1) for each in (slope, step))
        one = slope.new_empty(())
        found = torch.ops.aten.nll_loss2d_backward(next(flat), shape, next(flat), None, 0, -1, one)
        return found.view(steps, *step.shape), None, None
