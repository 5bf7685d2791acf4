"""A real nginx with the configuration that we hand out, for as long as a test lasts."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template

import httpx
import pytest

from tests.label_studio import die_with_parent, free_port

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
ABSENT = "nginx is not installed here. Get it with: apt-get install nginx"
TEMPLATE = Path(__file__).resolve().parent.parent.parent / "deploy" / "labelling.conf.template"
MAIN = """\
daemon off;
user root;
worker_processes 2;
pid $folder/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    include $folder/labelling.conf;
}
"""


@contextlib.contextmanager
def nginx(folder: Path, *, likeness: str, label_studio: str, port: int = 0) -> Iterator[str]:
    """Its address; `likeness` and `label_studio` are `host:port`."""
    if NGINX is None:
        pytest.skip(ABSENT)
    host = f"127.0.0.1:{port or free_port()}"
    filled = {"LISTEN": host, "LABELLING_HOST": host, "LIKENESS": likeness, "LABEL_STUDIO": label_studio}
    (folder / "labelling.conf").write_text(Template(TEMPLATE.read_text()).safe_substitute(filled))
    (folder / "nginx.conf").write_text(Template(MAIN).substitute(folder=folder))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=log, preexec_fn=die_with_parent
        )
    try:
        wait_until_open(process, f"http://{host}/gateway/carrier", folder / "log")
        yield f"http://{host}"
    finally:
        process.terminate()
        process.wait()


def wait_until_open(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """`url` is one that nginx answers itself."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(url, timeout=5)
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError(log.read_text())
