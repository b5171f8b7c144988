"""The arguments of `open_connection` and `connect`, checked before anything is sent.

Plain misuse is TypeError or ValueError. What only the system can tell (does the interface exist?)
is asked of it by binding a socket, in `opening.py`.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import idna

from ... import _checks
from ..._application_code import guarded, guarded_congestion, guarded_store
from ..._deprecation import deprecated
from ..._protocol.config import MOST_DATAGRAM, CoreConfig
from ..._protocol.connection import ClientConnection
from ..._protocol.streams.config import StreamConfig
from ..._protocol.tls.config import TlsClientConfig, is_address
from ...config import VERSIONS, TLSConfig, TransportConfig
from ...networks import NetworkSource
from ...policy import MigrationPolicy
from ...sessions import SessionKey, SessionStore
from ..endpoints import PORT, check_local, ip_version
from ..networks.system_networks import system_networks
from .credentials import load_tls, trust_of
from .session_keeper import FirstFlight, SessionKeeper

_LONGEST_ALPN = 255  # RFC 7301 section 3.1
_NO_ALPN = "alpn must name at least one application protocol, such as alpn=['h3']"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked wish for a connection."""

    host: str
    port: int
    tls: TlsClientConfig
    transport: TransportConfig
    migration: MigrationPolicy
    networks: NetworkSource
    interface: str | None
    local: str | None
    addresses: tuple[str, ...]
    sessions: SessionStore | None
    early_data: bool

    @property
    def named(self) -> bool:
        """Whether the application says where the connection starts."""
        return self.interface is not None or self.local is not None

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions to offer, best first."""
        return tuple([VERSIONS[name] for name in self.transport.versions])

    def core_config(self, first: FirstFlight) -> CoreConfig:
        """The same for the core."""
        transport = self.transport
        streams = StreamConfig(
            initial_max_data=transport.initial_max_data,
            initial_max_stream_data=transport.initial_max_stream_data,
            max_data_window=transport.max_data,
            max_stream_window=transport.max_stream_data,
            initial_max_streams_bidi=transport.max_streams_bidi,
            initial_max_streams_uni=transport.max_streams_uni,
            send_buffer=transport.send_buffer,
        )
        return CoreConfig(
            tls=self.tls,
            streams=streams,
            idle_timeout=transport.idle_timeout,
            keep_alive=transport.keep_alive,
            max_ack_delay=transport.max_ack_delay,
            max_datagram_size=transport.max_datagram_size or MOST_DATAGRAM,
            degraded_after=self.migration.degraded_after,
            spin_bit=transport.spin_bit,
            use_preferred_address=self.migration.use_preferred_address,
            congestion=guarded_congestion(transport.congestion),
            versions=self.versions,
            first_version=first.version,
            renegotiated=first.renegotiated,
            datagrams=transport.datagrams,
            datagram_buffer=transport.datagram_buffer,
            keep_tickets=self.sessions is not None,
            resumption=first.taken.ticket,
            early_data=first.early_data,
            token=b"" if first.taken.token is None else first.taken.token.token,
        )

    def new_keeper(self) -> SessionKeeper | None:
        """Who takes from the store and puts into it: one for each attempt. None: nobody."""
        if self.sessions is None:
            return None
        name = (self.tls.server_name or self.host).lower()
        new_key = partial(SessionKey, server_name=name, port=self.port, trust=trust_of(self.tls))
        return SessionKeeper(self.sessions, self.networks, new_key)

    def new_core(self, config: CoreConfig, now: float) -> ClientConnection:
        """A fresh core: one for each attempt."""
        return ClientConnection(config, rng=os.urandom, wall_time=time.time(), now=now)


def make_plan(
    host: str,
    port: int,
    *,
    alpn: Sequence[str],
    server_name: str | None,
    tls: TLSConfig,
    transport: TransportConfig,
    migration: MigrationPolicy,
    networks: NetworkSource | None,
    interface: str | None,
    local: str | None,
    addresses: Sequence[str] | None,
    sessions: SessionStore | None,
    early_data: bool,
) -> Plan:
    """Check everything that can be checked without the network."""
    _checks.instance(TLSConfig)("tls", tls)
    _checks.instance(TransportConfig)("transport", transport)
    _checks.instance(MigrationPolicy)("migration", migration)
    _check_methods("networks", networks, NetworkSource)
    _check_methods("sessions", sessions, SessionStore)
    _checks.flag("early_data", early_data)
    if early_data and sessions is None:
        raise ValueError("early_data needs sessions, as it is sent with what an earlier one left")
    _checks.check(PORT, "port", port)
    check_local(interface, local)
    only = migration.only_interfaces
    if interface is not None and only and interface not in only:
        raise ValueError(f"interface {interface!r} is not among only_interfaces: {', '.join(only)}")
    name = to_ascii("host", host)
    if local is not None and is_address(name) and ip_version(name) != ip_version(local):
        raise ValueError(f"local {local} and host {name} differ in IP version")
    server = name if server_name is None else to_ascii("server_name", server_name)
    return Plan(
        host=name,
        port=port,
        tls=load_tls(tls, server, _check_alpn(alpn)),
        transport=transport,
        migration=migration,
        networks=guarded(system_networks() if networks is None else networks),
        interface=interface,
        local=local,
        addresses=_check_addresses(addresses, local),
        sessions=None if sessions is None else guarded_store(sessions),
        early_data=early_data,
    )


def either_local(local: str | None, local_address: str | None) -> str | None:
    """`local`, by its name or by the older one of `open_connection` alone."""
    if local_address is None:
        return local
    if local is not None:
        raise TypeError("local and local_address are the same argument: give one of them")
    deprecated("open_connection(local_address=...)", "local=...")
    return local_address


def _check_addresses(addresses: Sequence[str] | None, local: str | None) -> tuple[str, ...]:
    """The server's addresses, where the caller knows them; those of the wrong family left out."""
    if addresses is None:
        return ()
    for address in _checks.texts("addresses", addresses, "address", "IP addresses"):
        if not is_address(address):
            raise ValueError(f"{address!r} in addresses is no IP address")
    usable = [a for a in addresses if local is None or ip_version(a) == ip_version(local)]
    if not usable:
        raise ValueError("addresses has none that could be used")
    return tuple(usable)


def to_ascii(what: str, name: str) -> str:
    """A host name as it goes over the wire (IDNA 2008); ASCII stays as it is."""
    _checks.instance(str)(what, name)
    shown = _checks.without_password(name)
    if not name or "\0" in name:
        raise ValueError(f"{what} {shown!r} is no host name")
    if (":" in name and not is_address(name)) or any(mark in name for mark in "/@[]?#"):
        raise ValueError(f"{what} must be a name or an IP address alone, not {shown!r}")
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{what} {name!r} is no host name: {error}") from error


def _check_alpn(alpn: Sequence[str]) -> tuple[str, ...]:
    chosen = _checks.texts("alpn", alpn)
    if not chosen:
        raise ValueError(_NO_ALPN)
    for name in chosen:
        if not 1 <= len(name.encode()) <= _LONGEST_ALPN:
            raise ValueError(f"each name in alpn must have 1 to {_LONGEST_ALPN} bytes")
    return chosen


def _check_methods(what: str, value: object, protocol: type) -> None:
    if value is not None and not isinstance(value, protocol):
        wanted, given = protocol.__name__, type(value).__name__
        raise TypeError(f"{what} must have the methods of {wanted}; {given} has not")
    _checks.made(what, value)
