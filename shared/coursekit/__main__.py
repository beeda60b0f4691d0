"""`python -m coursekit VERB` is `hw VERB`."""

from coursekit.cli import main

if __name__ == "__main__":
    main()
