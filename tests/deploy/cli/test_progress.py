"""Progress: a bar in a terminal, a line at the end and at intervals elsewhere."""

from __future__ import annotations

import io

from deploy.cli.progress import bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_lines():
    log = io.StringIO()
    with bar(log, "importing customers.csv (bytes)", 2_000) as done:
        done(500)
        done(2_500)
    assert log.getvalue() == "importing customers.csv (bytes): 2,000 of 2,000 after 0 s\n"


def test_a_terminal_gets_a_bar_of_what_is_done_so_far():
    terminal = Terminal()
    with bar(terminal, "importing", 200) as done:
        done(50)
        assert "50/200" in terminal.getvalue()
        done(150)
        assert "150/200" in terminal.getvalue()
        done(900)
    assert "200/200" in terminal.getvalue()
    assert "importing" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")
