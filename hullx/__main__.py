"""`python -m hullx TRAIN TEST`, as the command `hullx`."""

from hullx.command.main import main

if __name__ == "__main__":
    main()
