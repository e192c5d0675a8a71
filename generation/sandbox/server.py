"""The sandbox as a running HTTP server."""

import contextlib
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from generation.sandbox import calls, control
from generation.sandbox.answers import Answer, Call, Problem, refusal
from generation.sandbox.delivery import deliver
from generation.sandbox.engine import Engine
from generation.sandbox.faults import FaultBook
from generation.sandbox.making import Studio
from generation.sandbox.state import Store
from generation.sandbox.timing import Pace, Timetable
from generation.sandbox.webhooks import LOOPBACK, Courier, new_secret

MOST_BODY_BYTES = 110_000_000
RETENTION_SECONDS = 3600.0
IDLE_SECONDS = 120

Handle = Callable[..., Answer]
# (method, path, name of the call, handler): a handler takes the sandbox, the call and the path's groups.
ROUTE_TABLE: list[tuple[str, str, str, Handle]] = [
    ("POST", r"/v1/predictions", "create", lambda sandbox, call: calls.create(sandbox, call, None)),
    ("POST", r"/v1/models/([^/]+/[^/]+)/predictions", "create", calls.create),
    ("GET", r"/v1/predictions", "list", calls.list_predictions),
    ("GET", r"/v1/predictions/([^/]+)", "get", calls.get),
    ("POST", r"/v1/predictions/([^/]+)/cancel", "cancel", calls.cancel),
    ("POST", r"/v1/files", "upload", calls.upload),
    ("GET", r"/v1/files", "file", calls.list_files),
    ("GET", r"/v1/files/([^/]+)", "file", calls.get_file),
    ("DELETE", r"/v1/files/([^/]+)", "file", calls.delete_file),
    ("GET", r"/v1/files/([^/]+)/download", "file", calls.download_file),
    ("GET", r"/v1/webhooks/default/secret", "secret", calls.webhook_secret),
    ("GET", r"/v1/account", "account", calls.account),
    ("GET", r"/v1/models/([^/]+/[^/]+)", "model", calls.get_model),
    ("GET", r"/delivery/([^/]+)/([^/]+)", "delivery", deliver),
    ("(GET|POST|DELETE)", r"/sandbox/faults", "control", control.faults),
    ("(GET|DELETE)", r"/sandbox/log", "control", control.log),
    ("POST", r"/sandbox/erase", "control", control.erase),
]
ROUTES = [(method, re.compile(path), name, handler) for method, path, name, handler in ROUTE_TABLE]
OPEN_CALLS = frozenset({"delivery", "control"})
SIGNED_PATH = re.compile(r"/v1/files/[^/]+/download")


class Sandbox:
    """The provider and its threads. `data_dir` is its own folder; `port` 0 takes a free one."""

    def __init__(
        self,
        data_dir: Path,
        *,
        speed: str = "fast",
        host: str = "127.0.0.1",
        port: int = 0,
        retention_seconds: float = RETENTION_SECONDS,
    ) -> None:
        pace = Pace(speed)
        self.store = Store(data_dir)
        self.secret = self.store.secret("webhooks", new_secret())
        self.faults = FaultBook(self.store)
        self.server = Server((host, port), self)
        self.host, self.port = host, self.server.server_address[1]
        anywhere = host in {"", "0.0.0.0"}  # noqa: S104  (looked at, not listened on)  # nosec B104
        shown = "127.0.0.1" if anywhere else f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"
        self.timetable = Timetable()
        self.courier = Courier(self.store, self.secret, self.timetable.at)
        self.studio = Studio(self.store, instant=pace.instant)
        self.engine = Engine(
            self.store,
            pace=pace,
            timetable=self.timetable,
            courier=self.courier,
            studio=self.studio,
            base=self.url,
            retention_seconds=retention_seconds,
        )
        self.serving = threading.Thread(target=self.server.serve_forever, args=(0.05,), name="sandbox", daemon=True)

    def start(self) -> None:
        """Take up what was left, then answer."""
        self.engine.resume()
        for facts in self.store.files():
            self.keep_file_until(facts["id"], facts["expires_at"])
        self.studio.start()
        self.courier.start()
        self.timetable.start()
        self.serving.start()

    def stop(self) -> None:
        """Hang up on everybody and stop at once, wherever things stand: like a crash, but tidy."""
        self.server.shutdown()
        self.server.hang_up()
        self.server.server_close()
        self.timetable.stop()
        self.courier.stop()
        self.studio.stop()
        self.store.close()

    def keep_file_until(self, id: str, moment: float) -> None:
        """Have an uploaded file forgotten at its time."""
        self.timetable.at(moment, lambda: self.drop_file(id))

    def drop_file(self, id: str) -> None:
        """Forget an uploaded file if it is still there."""
        self.forget_file(id)

    def forget_file(self, id: str) -> bool:
        """Drop an uploaded file; False when there is none."""
        if not self.store.drop_file(id):
            return False
        with contextlib.suppress(FileNotFoundError):
            (self.store.folder / "files" / id).unlink()
        return True

    def answer(self, call: Call) -> Answer:
        """The answer to a call, whatever it is."""
        try:
            return self.routed(call)
        except Problem as problem:
            return problem.answer()

    def routed(self, call: Call) -> Answer:
        """The answer of the route; raises `Problem`."""
        method = "GET" if call.method == "HEAD" else call.method
        known = False
        for wanted, path, name, handler in ROUTES:
            found = path.fullmatch(call.path)
            if not found:
                continue
            known = True
            if re.fullmatch(wanted, method):
                self.check_caller(call, name)
                return self.with_faults(call, name, handler, found.groups())
        raise Problem(405, f'Method "{call.method}" not allowed.') if known else refusal(404)

    def with_faults(self, call: Call, name: str, handler: Handle, groups: tuple[str, ...]) -> Answer:
        """The handler's answer, kept back or spoiled where a fault asks for it. Creates see to theirs themselves."""
        if name in {"create", "control"}:
            return handler(self, call, *groups)
        if name in {"cancel", "list", "get", "upload", "secret", "account", "model"}:
            subject = {"prediction": groups[0]} if name in {"cancel", "get"} else {}
            self.store.write_log(name, path=call.path, query=call.query, **subject)
        fault = self.fault_of(name, groups)
        if fault.get("kind") in {"refuse", "lost_before"}:
            return calls.spoiled(fault, None)
        answer = handler(self, call, *groups)
        return calls.spoiled(fault, answer) if fault else answer

    def fault_of(self, name: str, groups: tuple[str, ...]) -> dict[str, Any]:
        """The `answer` fault of a call that is no create."""
        if not self.faults.any:
            return {}
        prediction = self.store.get(groups[0]) if name in {"get", "cancel", "delivery"} else None
        prompts = [value for value in prediction.input.values() if isinstance(value, str)] if prediction else []
        model = prediction.model if prediction else groups[0] if name == "model" else ""
        return dict(self.faults.take(name, prompts=prompts, model=model).get("answer", {}))

    def check_caller(self, call: Call, name: str) -> None:
        """A token for the provider's calls; and only names of this machine, so that no foreign page reaches us."""
        host = urlsplit(f"//{call.headers.get('host', '')}").hostname or ""
        if self.host in LOOPBACK and host not in LOOPBACK:
            raise Problem(403, "This server answers on a loopback address only")
        if name in OPEN_CALLS or SIGNED_PATH.fullmatch(call.path):
            return
        if not re.fullmatch(r"(Bearer|Token)\s+\S+", call.headers.get("authorization", "").strip(), re.I):
            raise refusal(401)


class Server(ThreadingHTTPServer):
    """One thread a connection; knows its connections, to hang up on them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.open: set[socket.socket] = set()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the library would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection, then let a thread have it."""
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news."""

    def hang_up(self) -> None:
        """Close every connection there is."""
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """Reads calls and writes answers, over connections that are kept."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_SECONDS
    server: Server
    REASONS: ClassVar[dict[int, str]] = {status.value: status.phrase for status in HTTPStatus}

    def handle_call(self) -> None:
        """One call and its answer."""
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.read_body(headers)
        if body is None:
            self.close_connection = True
            self.write(Problem(413, "Files must be less than 100MB in size").answer())
            return
        base = f"http://{headers['host']}" if headers.get("host") else self.server.sandbox.url
        call = Call(method=self.command, path=parts.path, query=parts.query, headers=headers, body=body, base=base)
        self.write(self.server.sandbox.answer(call))

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = do_PATCH = handle_call

    def read_body(self, headers: dict[str, str]) -> bytes | None:
        """The whole body, chunked or measured; None when it is too large."""
        if "chunked" in headers.get("transfer-encoding", ""):
            return self.read_chunks()
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            return None
        return self.rfile.read(int(length))

    def read_chunks(self) -> bytes | None:
        """A chunked body put together."""
        body = bytearray()
        while (size := int(self.rfile.readline().split(b";")[0] or b"0", 16)) > 0:
            if len(body) + size > MOST_BODY_BYTES:
                return None
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def write(self, answer: Answer) -> None:
        """Send the answer, as well or as badly as it says."""
        if answer.pause:
            time.sleep(answer.pause)
        if answer.head_bytes_per_second:
            self.drip_head(answer)
        elif answer.status:
            self.write_head(answer)
            if self.command != "HEAD":
                self.write_body(answer)
            self.wfile.flush()
        if answer.broken:
            self.close_connection = True
        if answer.broken == "reset":
            # Lingering for zero seconds makes the kernel send RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def write_head(self, answer: Answer) -> None:
        """Status line and headers."""
        self.send_response_only(answer.status, self.REASONS.get(answer.status, ""))
        self.send_header("date", self.date_time_string())
        self.send_header("content-type", answer.content_type)
        length = answer.length if answer.chunks is not None else len(answer.body)
        if length is not None and answer.status != 204:
            self.send_header("content-length", str(length))
        if length is None:
            self.close_connection = True
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection or answer.broken:
            self.send_header("connection", "close")
        self.end_headers()

    def drip_head(self, answer: Answer) -> None:
        """A header that goes on for an hour, byte by byte."""
        self.wfile.write(f"HTTP/1.1 {answer.status} OK\r\nx-slow: ".encode())
        for _ in range(int(3600 * answer.head_bytes_per_second)):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(1 / answer.head_bytes_per_second)

    def write_body(self, answer: Answer) -> None:
        """The bytes; of what comes in pieces, each as soon as it is there."""
        if answer.chunks is None:
            self.wfile.write(answer.body)
            return
        for chunk in answer.chunks:
            self.wfile.write(chunk)
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: /sandbox/log tells more."""
