"""The commands of `touchline`, a module each, loaded only when it is called.

Each module has `command`, a click command.
"""
