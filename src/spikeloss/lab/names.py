"""The names of networks and of their layers, whatever library they are written in."""

MODELS = ("feedforward",)


def hidden_names(layers: int) -> tuple[str, ...]:
    """The names of hidden layers: "hidden", or "hidden1", "hidden2", ..."""
    return ("hidden",) if layers == 1 else tuple(f"hidden{i}" for i in range(1, layers + 1))
