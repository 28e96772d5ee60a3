"""A ClickHouse server without a server: chDB behind ClickHouse's HTTP interface.

clickhouse-connect, curl and BI tools that speak HTTP use it like a server. It has no users: any
name and password is accepted, so it listens on this machine only unless told otherwise. Unsupported
features are refused by name: ClickHouse's own block compression (`compress=1`) and external tables;
sessions are tolerated but keep nothing between requests (no temporary tables).

    python -m deploy.local.clickhouse_http --data DIR [--host 127.0.0.1] [--port 8123]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cramjam
from aiohttp import web

from deploy.local.clickhouse_engine import (
    Answer,
    Engine,
    EngineUnavailable,
    Query,
    QueryFailed,
)

#: Concurrent queries.
_WORKERS = 4
#: Seconds that running queries get to end after a stop.
_SHUTDOWN_S = 3.0
#: Parameters of the HTTP interface itself; every other one is a setting.
_RESERVED = frozenset(
    {
        "query", "database", "default_format", "session_id", "session_timeout", "session_check",
        "close_session", "query_id", "user", "password", "quota_key", "compress", "decompress",
        "wait_end_of_query", "buffer_size", "stacktrace", "role", "client_protocol_version",
    }
)  # fmt: skip
_STATUS = {
    # Status codes of ClickHouse's HTTPHandler for these error codes; 500 for all others.
    **dict.fromkeys((6, 25, 26, 27, 38, 41, 43, 44, 53, 62, 72, 117, 321, 456, 457), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 81, 115), 404),
    48: 501,
    159: 408,
    516: 403,
}
_COMPRESSORS: Mapping[str, Callable[[bytes], object]] = {
    "lz4": cramjam.lz4.compress,
    "zstd": cramjam.zstd.compress,
    "br": cramjam.brotli.compress,
    "gzip": cramjam.gzip.compress,
    "deflate": cramjam.zlib.compress,
}
_DECOMPRESSORS: Mapping[str, Callable[[bytes], object]] = {
    "lz4": cramjam.lz4.decompress,
    "zstd": cramjam.zstd.decompress,
    "br": cramjam.brotli.decompress,
    "gzip": cramjam.gzip.decompress,
    "deflate": cramjam.zlib.decompress,
}
#: Smaller bodies are sent uncompressed.
_COMPRESS_FROM = 1024
_ENGINE: web.AppKey[Engine] = web.AppKey("engine", Engine)
_POOL: web.AppKey[ThreadPoolExecutor] = web.AppKey("pool", ThreadPoolExecutor)


def application(engine: Engine) -> web.Application:
    """Return the HTTP interface over an engine; the caller closes the engine."""
    # No limit on the body's size, as on a server.
    app = web.Application(client_max_size=0)
    app[_ENGINE] = engine
    app[_POOL] = ThreadPoolExecutor(_WORKERS, thread_name_prefix="clickhouse")
    app.router.add_get("/ping", _ok)
    app.router.add_get("/replicas_status", _ok)
    app.router.add_route("*", "/", _query)

    async def stop(app: web.Application) -> None:
        # Requests had their time to end; queries that still run would delay the process.
        await asyncio.to_thread(engine.cancel)
        await asyncio.to_thread(app[_POOL].shutdown, wait=True, cancel_futures=True)

    app.on_cleanup.append(stop)
    return app


async def serve(
    data_dir: Path,
    host: str = "127.0.0.1",
    port: int = 8123,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the folder until SIGTERM or SIGINT, then flush all data and return.

    `on_ready` receives the address once queries are answered; port 0 picks a free one. Raises
    `EngineUnavailable`, with a one-line message, if the folder or the port is in use.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    engine = await asyncio.to_thread(Engine, data_dir)
    try:
        # Encoded bodies are decoded here, because aiohttp knows neither lz4 nor zstd.
        runner = web.AppRunner(
            application(engine),
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            try:
                await site.start()
            except OSError as error:
                raise EngineUnavailable(
                    f"cannot listen on {host}:{port}: {error.strerror}"
                ) from error
            # After the engine, which installs signal handlers of its own.
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, stop.set)
            bound_host, bound_port = runner.addresses[0][:2]
            shown = f"[{bound_host}]" if ":" in bound_host else bound_host
            on_ready(f"http://{shown}:{bound_port}")
            await stop.wait()
        finally:
            await runner.cleanup()
    finally:
        await asyncio.to_thread(engine.close)


async def _ok(request: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


async def _query(request: web.Request) -> web.Response:
    headers = {
        "X-ClickHouse-Server-Display-Name": "touchline-local",
        "X-ClickHouse-Query-Id": request.query.get("query_id") or str(uuid.uuid4()),
        "X-ClickHouse-Timezone": request.app[_ENGINE].timezone,
    }
    try:
        query = await _read(request)
        if not query.text.strip():
            return await _ok(request)
        answer = await _run(request.app, query)
    except QueryFailed as error:
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        status = _STATUS.get(error.code, 500)
        return web.Response(status=status, text=error.text + "\n", headers=headers)
    headers["X-ClickHouse-Summary"] = _summary(answer)
    if answer.format:
        headers["X-ClickHouse-Format"] = answer.format
    body, encoding = answer.body, _encoding(request)
    if encoding and len(body) >= _COMPRESS_FROM:
        body = await asyncio.to_thread(lambda: bytes(_COMPRESSORS[encoding](answer.body)))  # type: ignore[call-overload]
        headers["Content-Encoding"] = encoding
    content_type = "application/json" if "JSON" in answer.format else "text/plain"
    if answer.format in {"Native", "RowBinary", "Parquet", "Arrow"}:
        content_type = "application/octet-stream"
    headers["Content-Type"] = f"{content_type}; charset=UTF-8"
    return web.Response(body=body, headers=headers)


async def _run(app: web.Application, query: Query) -> Answer:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(app[_POOL], app[_ENGINE].run, query)


async def _read(request: web.Request) -> Query:
    """Return the request as a query: text and body joined as ClickHouse joins them."""
    arguments = dict(request.query)
    for name in ("compress", "decompress"):
        if arguments.get(name) == "1":
            raise _unsupported(f"{name}=1; use Content-Encoding and Accept-Encoding")
    if request.content_type.startswith("multipart/"):
        arguments.update(await _form(request))
        body = b""
    else:
        body = await _body(request)
    text = arguments.get("query", "").encode()
    if body:
        text = text + b"\n" + body if text else body
    head = request.headers
    return Query(
        text=text,
        database=arguments.get("database") or head.get("X-ClickHouse-Database") or "",
        default_format=arguments.get("default_format")
        or head.get("X-ClickHouse-Format")
        or "TabSeparated",
        settings={
            name: value
            for name, value in arguments.items()
            if name not in _RESERVED and not name.startswith("param_")
        },
        parameters={
            name.removeprefix("param_"): value
            for name, value in arguments.items()
            if name.startswith("param_")
        },
        readonly=request.method in {"GET", "HEAD"},
    )


async def _body(request: web.Request) -> bytes:
    # Not `request.read`, which copies the body once more.
    body = b"".join([chunk async for chunk in request.content.iter_any()])
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding in {"identity", ""} or not body:
        return body
    if encoding not in _DECOMPRESSORS:
        raise _unsupported(f"Content-Encoding {encoding!r}")
    try:
        return await asyncio.to_thread(lambda: bytes(_DECOMPRESSORS[encoding](body)))  # type: ignore[call-overload]
    except cramjam.DecompressionError as error:
        reason = f"Cannot decompress the body as {encoding}. (CANNOT_DECOMPRESS)"
        raise QueryFailed(271, f"Code: 271. DB::Exception: {reason}") from error


async def _form(request: web.Request) -> dict[str, str]:
    """Return the fields of a multipart form, which clients use for long queries."""
    fields: dict[str, str] = {}
    async for part in await request.multipart():
        name = getattr(part, "name", None)
        if name is None or getattr(part, "filename", None):
            raise _unsupported("external tables")
        fields[name] = (await part.read(decode=True)).decode()  # type: ignore[union-attr]
    return fields


def _unsupported(what: str) -> QueryFailed:
    return QueryFailed(
        48,
        f"Code: 48. DB::Exception: the local ClickHouse does not support {what}. (NOT_IMPLEMENTED)",
    )


def _encoding(request: web.Request) -> str | None:
    """Return the first encoding that the client accepts and this server has; None if none."""
    if request.query.get("enable_http_compression", "1") != "1":
        return None
    offered = request.headers.get("Accept-Encoding", "")
    names = (part.split(";")[0].strip().lower() for part in offered.split(","))
    return next((name for name in names if name in _COMPRESSORS), None)


def _summary(answer: Answer) -> str:
    """Return the counts as strings, as ClickHouse sends them."""
    return json.dumps(
        {
            "read_rows": str(answer.read_rows),
            "read_bytes": str(answer.read_bytes),
            "written_rows": str(answer.written_rows),
            "written_bytes": str(answer.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": str(answer.written_rows),
            "result_bytes": str(answer.written_bytes or len(answer.body)),
            "elapsed_ns": str(answer.elapsed_ns),
        }
    )


def main(arguments: list[str] | None = None) -> int:
    """Serve a folder from the command line; print the address when ready."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.clickhouse_http")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123, help="0 takes a free one")
    options = parser.parse_args(arguments)

    def ready(url: str) -> None:
        print(url, flush=True)

    try:
        asyncio.run(serve(options.data, options.host, options.port, ready))
    except EngineUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
