"""Not of this package."""

raise ImportError(
    "spikeloss stands in for the losses, accuracies and the regulariser of snnTorch. "
    "Keep importing `stdp_learner` from snntorch.functional."
)
