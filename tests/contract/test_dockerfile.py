"""The image's health check, run as Docker would run it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading

from tests.workers import ROOT


def health(**env: str) -> int:
    """Run the health check's command and return its exit code."""
    joined = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", joined, re.MULTILINE)
    assert found is not None
    program, *arguments = json.loads(found[1])
    assert program == "python"
    inherited = {key: value for key, value in os.environ.items() if key != "POINTS_HTTP_PORT"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=inherited | env, check=False, capture_output=True).returncode


def test_a_worker_that_serves_no_pages_is_taken_to_be_well() -> None:
    assert health(POINTS_HTTP_PORT="0") == 0


def test_a_container_is_as_well_as_readyz_says() -> None:
    for status, code in ((b"200 OK", 0), (b"503 Service Unavailable", 1)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])

            def answer(server: socket.socket = server, status: bytes = status) -> None:
                connection, _ = server.accept()
                with connection:
                    assert connection.recv(1_000).startswith(b"GET /readyz ")
                    connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)

            answering = threading.Thread(target=answer)
            answering.start()
            assert health(POINTS_HTTP_PORT=port) == code
            answering.join()


def test_a_container_whose_worker_does_not_answer_is_not_well() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert health(POINTS_HTTP_PORT=str(bound.getsockname()[1])) == 1
