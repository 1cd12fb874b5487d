"""The command line as a script, for PyInstaller."""

from multiprocessing import freeze_support

from engine.cli import main

if __name__ == "__main__":
    freeze_support()  # simulations run in a process pool
    main()
