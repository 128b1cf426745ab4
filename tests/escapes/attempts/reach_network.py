"""Attempts to talk to somebody: every family of sockets, and what makes sockets without asking for them."""

from __future__ import annotations

import ctypes
import socket
from pathlib import Path
from typing import Any

from tests.escapes.attempts.arena import attempt, system_call

PATIENCE_SECONDS = 1.0
INTERNET = (socket.AF_INET, socket.AF_INET6)
KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


@attempt
def tcp_over_ipv4(targets: dict[str, Any]) -> object:
    return socket.create_connection(("127.0.0.1", targets["tcp4"]), PATIENCE_SECONDS).recv(16)


@attempt
def tcp_over_ipv6(targets: dict[str, Any]) -> object:
    return socket.create_connection(("::1", targets["tcp6"]), PATIENCE_SECONDS).recv(16)


@attempt
def udp_datagram(targets: dict[str, Any]) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"exfiltrated", ("127.0.0.1", targets["udp"]))
    return None  # whether it arrived is for the receiver to say


@attempt
def unix_socket_in_a_folder(targets: dict[str, Any]) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_SECONDS)
        client.connect(targets["unix"])
        return client.recv(16)


@attempt
def abstract_unix_socket(targets: dict[str, Any]) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_SECONDS)
        client.connect("\0" + targets["tag"])
        return client.recv(16)


@attempt
def listening_for_the_machine(targets: dict[str, Any]) -> object:
    with socket.create_server(("127.0.0.1", targets["free_port"])) as server:
        server.settimeout(PATIENCE_SECONDS)
        return server.accept()[1]


@attempt
def virtual_machine_socket(targets: dict[str, Any]) -> object:
    return socket.socket(socket.AF_VSOCK).fileno()


@attempt
def kernel_socket(targets: dict[str, Any]) -> object:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).fileno()


@attempt
def packet_socket(targets: dict[str, Any]) -> object:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).fileno()


@attempt
def crypto_socket(targets: dict[str, Any]) -> object:
    return socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0).fileno()


@attempt
def internet_socket_at_all(targets: dict[str, Any]) -> object:
    return [socket.socket(family, kind).fileno() for family in INTERNET for kind in KINDS]


@attempt
def raw_internet_socket(targets: dict[str, Any]) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).fileno()


@attempt
def interfaces_of_the_machine(targets: dict[str, Any]) -> object:
    with Path("/proc/net/dev").open() as stream:
        names = [line.split(":")[0].strip() for line in stream if ":" in line]
    return [name for name in names if name != "lo"] or [name for name in names if targets["is_lonely"]]


@attempt
def sockets_by_the_kernels_own_queue(targets: dict[str, Any]) -> object:
    parameters = ctypes.create_string_buffer(120)
    result = system_call(425, 1, ctypes.addressof(parameters))
    return "io_uring" if result >= 0 else None
