"""Run `python -m deploy`: the same as `touchline`."""

from deploy.cli.main import main

if __name__ == "__main__":
    main()
