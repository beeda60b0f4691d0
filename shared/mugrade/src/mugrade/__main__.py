"""`python -m mugrade` is the command `mugrade`."""

from mugrade.cli import main

if __name__ == "__main__":
    main()
