"""Endpoints behind https: whom they are taken for, and how long a handshake may take."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rlm_runtime.errors import OntologyError, QueryTimeout
from rlm_runtime.ontology import open_ontology
from tests.support.endpoints import BadServer, Seen, bad_server, json_rows, reply

QUERY = "SELECT ?x { ?x a owl:Class }"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key and a certificate for 127.0.0.1, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def tls_server(
    certificate: Path, script: Callable[[socket.socket, Seen], object]
) -> Iterator[BadServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with bad_server(script, lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        yield server


def test_a_certificate_must_be_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(certificate, lambda c, _: c.sendall(reply(json_rows("http://e/a")))) as server:
        address = f"https://127.0.0.1:{server.port}/sparql"
        with (
            open_ontology(address, token="canary") as ontology,
            pytest.raises(OntologyError, match=r"certificate is not trusted.*SSL_CERT_FILE"),
        ):
            ontology.select(QUERY)
        assert not server.seen
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with open_ontology(address) as ontology:
            assert ontology.select(QUERY).rows == [{"x": "http://e/a"}]
        with (
            open_ontology(f"https://localhost:{server.port}/sparql") as ontology,
            pytest.raises(OntologyError, match="certificate is not trusted"),
        ):
            ontology.select(QUERY)


def test_no_redirect_leads_from_https_to_http(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with bad_server(lambda c, _: c.sendall(reply(json_rows()))) as plain:
        there = reply("", "302 Found", Location=plain.url())
        with tls_server(certificate, lambda c, _: c.sendall(there)) as server:
            address = f"https://127.0.0.1:{server.port}/sparql"
            with (
                open_ontology(address, token="canary") as ontology,
                pytest.raises(OntologyError, match="from https to http"),
            ):
                ontology.select(QUERY)
        assert not plain.seen


def test_a_handshake_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with (
            open_ontology(f"https://127.0.0.1:{port}/") as ontology,
            pytest.raises(QueryTimeout, match="while connecting"),
        ):
            ontology.select(QUERY, timeout=0.5)
        assert time.monotonic() - began < 20


def test_http_at_an_https_address_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 This is http\r\n\r\n")
                connection.recv(65_536)

        threading.Thread(target=answer, daemon=True).start()
        with (
            open_ontology(f"https://127.0.0.1:{plain.getsockname()[1]}/") as ontology,
            pytest.raises(OntologyError, match="speak https at this port"),
        ):
            ontology.select(QUERY)
