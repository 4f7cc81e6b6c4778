"""Not of this package."""

raise ImportError(
    "spikeloss stands in for the losses, accuracies and the regulariser of snnTorch. "
    "Keep importing `quant` from snntorch.functional."
)
