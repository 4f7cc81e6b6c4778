"""Kernels: what stands for the two reductions over time where a compiler made it."""
