"""The command `spikeloss`; the commands themselves are in `spikeloss.lab.commands`."""

import sys

TERMINAL = {"typer", "click", "rich"}


def main() -> None:
    """Run the command line; without the extra it runs on, say how to install it."""
    try:
        from spikeloss.lab.commands import app
    except ModuleNotFoundError as missing:
        if missing.name not in TERMINAL:
            raise
        from spikeloss._install import hint

        print(
            f"error: spikeloss: expected the packages of its command line, got no {missing.name}. "
            f"{hint('lab')}",
            file=sys.stderr,
        )
        sys.exit(2)
    app(prog_name="spikeloss")


if __name__ == "__main__":
    main()
