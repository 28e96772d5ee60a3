"""The proxy does what it says: the tests that stand on it are no better than it is."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.proxy import Blackhole, CutAfter, CutAnswer, Delay, Pass, Proxy, Refuse


class Echo(socketserver.ThreadingTCPServer):
    """Answers each line with itself, and remembers what arrived."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Lines)
        self.seen: list[bytes] = []
        self.ended = 0


class _Lines(socketserver.StreamRequestHandler):
    server: Echo

    def handle(self) -> None:
        try:
            for line in self.rfile:
                self.server.seen.append(line)
                self.wfile.write(line)
        except OSError:
            pass
        self.server.ended += 1


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(*echo.server_address) as proxy:
        yield proxy


class Client:
    def __init__(self, proxy: Proxy, timeout: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", proxy.port), timeout)
        self.file = self.socket.makefile("rwb")

    def say(self, line: bytes) -> bytes:
        self.send(line)
        return self.file.readline()

    def send(self, line: bytes) -> None:
        self.file.write(line)
        self.file.flush()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_bytes_pass_in_both_directions(proxy: Proxy, wait_for):
    assert proxy.address == f"127.0.0.1:{proxy.port}"
    large = b"x" * 3_000_000 + b"\n"
    with Client(proxy) as client:
        assert client.say(b"hello\n") == b"hello\n"
        assert client.say(large) == large
        # The end of one direction is not the end of the other.
        client.send(b"last\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.file.read() == b"last\n"
        wait_for(lambda: proxy.open == 0)
    assert (proxy.accepted, proxy.cuts) == (1, 0)


def test_nobody_listens_and_the_connected_are_cut(proxy: Proxy):
    with Client(proxy) as client:
        assert client.say(b"1\n") == b"1\n"
        proxy.behave(Refuse())
        with pytest.raises(ConnectionResetError):
            client.say(b"2\n")
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            Client(proxy)
    proxy.behave(Pass())
    with Client(proxy) as client:
        assert client.say(b"3\n") == b"3\n"


def test_the_present_connections_are_cut_and_new_ones_pass(proxy: Proxy):
    with Client(proxy) as one, Client(proxy) as other:
        assert [one.say(b"1\n"), other.say(b"2\n")] == [b"1\n", b"2\n"]
        proxy.cut()
        assert (proxy.open, proxy.cuts) == (0, 2)
        for client in (one, other):
            with pytest.raises(ConnectionResetError):
                client.say(b"3\n")
    with Client(proxy) as client:
        assert client.say(b"4\n") == b"4\n"


def test_a_black_hole_takes_everything_and_gives_it_back_when_it_ends(proxy: Proxy, echo: Echo):
    with Client(proxy) as before:
        assert before.say(b"1\n") == b"1\n"
        proxy.behave(Blackhole())
        with Client(proxy, timeout=0.2) as during:
            before.send(b"2\n")
            with pytest.raises(TimeoutError):
                during.say(b"3\n")
            assert echo.seen == [b"1\n"]
            proxy.behave(Pass())
            assert before.file.readline() == b"2\n"


def test_answers_are_late_and_not_fewer(proxy: Proxy):
    proxy.behave(Delay(0.3))
    with Client(proxy) as client:
        began = time.monotonic()
        for number in range(20):
            client.send(b"%d\n" % number)
        assert [client.file.readline() for _ in range(20)] == [b"%d\n" % n for n in range(20)]
        took = time.monotonic() - began
    # One after another they would take six seconds.
    assert 0.3 <= took < 3


def test_a_request_is_carried_out_and_its_answer_cut_off(proxy: Proxy, echo: Echo, wait_for):
    proxy.behave(CutAnswer())
    with Client(proxy) as client, pytest.raises(ConnectionResetError):
        client.say(b"insert\n")
    assert echo.seen == [b"insert\n"]
    wait_for(lambda: echo.ended == 1)


def test_only_the_answers_that_are_meant_are_cut_off_and_only_so_often(proxy: Proxy, echo: Echo):
    proxy.behave(CutAnswer(asked=b"INSERT", times=2))
    for _ in range(2):
        with Client(proxy) as client:
            assert client.say(b"SELECT\n") == b"SELECT\n"
            with pytest.raises(ConnectionResetError):
                client.say(b"INSERT\n")
    with Client(proxy) as client:
        assert client.say(b"INSERT\n") == b"INSERT\n"
    assert echo.seen.count(b"INSERT\n") == 3
    assert proxy.cuts == 2


def test_a_connection_is_cut_in_the_middle_of_a_request(proxy: Proxy, echo: Echo, wait_for):
    with Client(proxy) as client:
        assert client.say(b"before\n") == b"before\n"
        proxy.behave(CutAfter(7))
        client.send(b"abc\nd")
        assert client.file.readline() == b"abc\n"
        with pytest.raises(ConnectionResetError):
            client.say(b"efghij\n")
    wait_for(lambda: echo.ended == 1)
    # What was under way at the cut may or may not have been read.
    assert echo.seen[:2] == [b"before\n", b"abc\n"]
    assert b"".join(echo.seen[2:]) in {b"", b"def"}


def test_a_target_that_is_not_there_ends_the_connection(echo: Echo, wait_for):
    with Proxy("127.0.0.1", 1) as proxy, Client(proxy) as client:
        assert client.file.read() == b""
        wait_for(lambda: proxy.open == 0)
        proxy.target = echo.server_address
        with Client(proxy) as again:
            assert again.say(b"1\n") == b"1\n"


@pytest.mark.parametrize("mode", [Pass(), Refuse(), Blackhole(), Delay(60), CutAnswer()])
def test_nothing_is_left_of_it_whatever_it_was_doing(echo: Echo, mode: object):
    threads = threading.active_count()
    with Proxy(*echo.server_address) as proxy:
        clients = [Client(proxy) for _ in range(5)]
        proxy.behave(mode)
        port = proxy.port
    proxy.close()
    assert not any(thread.name == f"proxy-{port}" for thread in threading.enumerate())
    assert threading.active_count() <= threads + 5
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        probe.listen()
    for client in clients:
        client.socket.close()
