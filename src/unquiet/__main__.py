"""Run unquiet as a module."""

from unquiet.cli import main

if __name__ == "__main__":
    main()
