"""`python -m talkpath`: the command line."""

from talkpath.cli import main

if __name__ == "__main__":
    main()
