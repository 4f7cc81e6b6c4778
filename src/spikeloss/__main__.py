"""`python -m spikeloss` is the command `spikeloss`."""

from .cli import main

if __name__ == "__main__":
    main()
