"""Safe descriptions of exceptions for logs: never their text, which might hold customers' data."""

from __future__ import annotations


def error_location(error: BaseException) -> str:
    """Return the module and line where an exception was raised."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "unknown"
    return f"{frame.tb_frame.f_globals.get('__name__', '?')}:{frame.tb_lineno}"
