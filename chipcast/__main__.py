"""`python -m chipcast` is the command line."""

from chipcast.cli import entry

if __name__ == "__main__":
    entry()
