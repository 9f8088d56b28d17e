"""`python -m anwang` is the command `anwang`."""

from anwang.cli import main

if __name__ == "__main__":
    main()
