"""A scripted QUIC server without sockets: an honest handshake, then whatever the test wants.

`receive` opens and records everything the client sends and reacts as far as `script` says; what
the server sends is appended to `outbox` as (path, datagram). The test adds to it with `send`, which
takes raw frame bytes and lets every field of the header be chosen. Nothing here is retransmitted:
the harness loses nothing unless the test asks for it.
"""

from collections import defaultdict

from tests.peer.wire import encode_retry, encode_version_negotiation
from trioquic._protocol.crypto.retry import retry_tag
from trioquic._protocol.errors import BadPacketError
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.packets import (
    HANDSHAKE_PACKET,
    INITIAL_PACKET,
    LongHeader,
    encode_long_header,
    encode_short_header,
    parse_long_header_untrusted,
)

from .keys import KeyStore
from .packets import (
    APPLICATION,
    HANDSHAKE,
    INITIAL,
    Datagram,
    Frame,
    Packet,
    number_from,
    parse_frames,
    seal,
    unmask,
)
from .script import ServerScript, set_parameters
from .tls_server import TlsServer

LONG_KINDS = {INITIAL_PACKET: INITIAL, HANDSHAKE_PACKET: HANDSHAKE}
LONG_TYPES = {INITIAL: INITIAL_PACKET, HANDSHAKE: HANDSHAKE_PACKET}
CHUNK = 1000  # CRYPTO bytes per packet


class ScriptedServer:
    """One connection of a server that may misbehave."""

    def __init__(self, script: ServerScript | None = None) -> None:
        self.script = script or ServerScript()
        self.keys = KeyStore()
        self.tls = TlsServer(self.script.tls)
        self.now = 0.0
        # what the client sent
        self.datagrams: list[Datagram] = []
        self.packets: list[Packet] = []
        self.undecryptable: list[tuple[int, bytes]] = []
        self.original_dcid: bytes | None = None
        self.client_ids: dict[int, tuple[bytes, bytes]] = {}
        self.streams: dict[int, bytearray] = defaultdict(bytearray)  # without gaps
        self.close: tuple[int, int | None, bytes] | None = None
        self.close_packet: Packet | None = None
        # what the server sends
        self.outbox: list[tuple[int, bytes]] = []
        self.next_number = [0, 0, 0]
        self.write_generation = 0
        self.read_generation = 0
        self.active_path = 0
        self.issued: dict[int, tuple[bytes, bytes]] = {
            0: (self.script.cid, self.script.reset_token)
        }
        self.retired: set[int] = set()
        self.path_ids: dict[int, int] = {0: 0}
        self.challenges: dict[bytes, int] = {}  # data of ours -> path it was sent on
        self.marks = [0, 0, 0]  # packets that came as ECT(0)
        self._received: list[set[int]] = [set(), set(), set()]
        self._ack_due = [False, False, False]
        self._stream_in: dict[int, dict[int, bytes]] = defaultdict(dict)
        self._crypto_in: list[dict[int, bytes]] = [{}, {}, {}]
        self._crypto_read = [0, 0, 0]
        self._crypto_sent = [0, 0, 0]
        self._newest = -1
        self._confirmed = False

    # --- what the client sends -------------------------------------------------------------

    def receive(self, path: int, data: bytes, now: float, ecn: int = 0) -> None:
        """One datagram of the client."""
        self.now = now
        record = Datagram(now, path, data, ecn)
        self.datagrams.append(record)
        start = 0
        while start < len(data):
            if data[start] & 0x80:
                try:
                    header = parse_long_header_untrusted(data, start)
                except BadPacketError:
                    break
                if not self._on_long(record, header):
                    break
                start = header.end
            else:
                self._on_short(record, start)
                break
        self._after_datagram()

    def _on_long(self, record: Datagram, header: LongHeader) -> bool:
        space = LONG_KINDS.get(header.kind, -1)
        if space == INITIAL and self.original_dcid is None:
            self.original_dcid = header.dcid
            self.client_ids[0] = (header.scid, b"")
            self.keys.set_initial(header.dcid)
            set_parameters(self.script, header.dcid)
            if self.script.retry:
                self.send_retry()
                self.keys.set_initial(self.script.retry_cid)
                return False
        if space not in self.keys.read:
            self.undecryptable.append((record.path, record.data[header.start : header.end]))
            return True
        raw = record.data[header.start : header.end]
        self._open(record, space, raw, header.pn_offset - header.start, header)
        return True

    def _on_short(self, record: Datagram, start: int) -> None:
        raw = record.data[start:]
        for cid, _ in self.issued.values():
            if raw[1 : 1 + len(cid)] == cid and APPLICATION in self.keys.read:
                self._open(record, APPLICATION, raw, 1 + len(cid), None)
                return
        self.undecryptable.append((record.path, raw))

    def _open(
        self, record: Datagram, space: int, raw: bytes, pn_offset: int, long: LongHeader | None
    ) -> None:
        header, pn_length = unmask(self.keys.read[space].generation(0), raw, pn_offset)
        largest = max(self._received[space], default=-1)
        number = number_from(header, pn_length, largest)
        sealed = raw[len(header) :]
        opened = self.keys.open(space, self.read_generation, number, header, sealed)
        if opened is None:
            self.undecryptable.append((record.path, raw))
            return
        payload, generation = opened
        if generation > self.read_generation:
            self.read_generation = generation
            self.write_generation = max(self.write_generation, generation)
        packet = Packet(
            now=self.now,
            path=record.path,
            space=space,
            number=number,
            dcid=long.dcid if long else raw[1:pn_offset],
            scid=long.scid if long else b"",
            token=long.token if long else b"",
            first_byte=header[0],
            generation=generation,
            datagram=len(self.datagrams) - 1,
            frames=parse_frames(payload),
        )
        record.packets.append(packet)
        self.packets.append(packet)
        self._on_packet(packet)

    def _on_packet(self, packet: Packet) -> None:
        if packet.number in self._received[packet.space]:
            return
        if self.script.new_paths_need_newest and self._is_overtaken(packet):
            return
        self._received[packet.space].add(packet.number)
        self.marks[packet.space] += self.datagrams[packet.datagram].ecn == 2
        if packet.ack_eliciting:
            self._ack_due[packet.space] = True
        if packet.space == APPLICATION and packet.path not in self.path_ids:
            self._new_path(packet.path)
        for frame in packet.frames:
            self._on_frame(packet, frame)
        newest = packet.space == APPLICATION and packet.number > self._newest
        if newest and not packet.probing:
            self._newest = packet.number
            moved = packet.path != self.active_path
            if self.script.follow_migration:
                self.active_path = packet.path
            if moved and self.script.challenge_new_paths:
                self.challenge(packet.path)

    def _is_overtaken(self, packet: Packet) -> bool:
        """Whether it comes from somewhere new behind a packet with a higher number, as nginx 1.30
        has it."""
        if packet.space != APPLICATION or packet.path in self.path_ids:
            return False
        return packet.number < max(self._received[APPLICATION], default=-1)

    def _new_path(self, path: int) -> None:
        """Another 4-tuple: another connection ID of the client's, if there is one."""
        unused = sorted(set(self.client_ids) - set(self.path_ids.values()))
        self.path_ids[path] = unused[0] if unused else max(self.client_ids)

    def _on_frame(self, packet: Packet, frame: Frame) -> None:
        value = frame.value
        if frame.kind == fr.CRYPTO:
            self._on_crypto(packet.space, *value)
        elif frame.kind == fr.STREAM:
            self._on_stream(*value)
        elif frame.kind == fr.NEW_CONNECTION_ID:
            self.client_ids[value.sequence] = (value.connection_id, value.reset_token)
            if self.script.obey_retire_prior_to:
                self._obey_retire_prior_to(value.retire_prior_to)
        elif frame.kind == fr.RETIRE_CONNECTION_ID:
            self.retired.add(value)
            if not self.script.hoard_ids:
                self._leave_path(self.issued[value][0])
            self._supply_ids()
        elif frame.kind == fr.PATH_CHALLENGE and self.script.answer_challenges:
            self.send(
                APPLICATION,
                fr.encode_path_data(fr.PATH_RESPONSE, value),
                path=packet.path,
                pad_to=1200,
            )
        elif frame.kind in (fr.CONNECTION_CLOSE, fr.CONNECTION_CLOSE_APP) and not self.close:
            self.close = value
            self.close_packet = packet

    def _obey_retire_prior_to(self, bound: int) -> None:
        """Go over to newer IDs first, and then retire the old ones (RFC 9000 section 5.1.2)."""
        outdated = [sequence for sequence in self.client_ids if sequence < bound]
        for sequence in outdated:
            del self.client_ids[sequence]
        for path in [p for p, sequence in self.path_ids.items() if sequence < bound]:
            del self.path_ids[path]
            if path == self.active_path:
                self._new_path(path)
        for sequence in outdated:
            self.send(APPLICATION, fr.encode_integers(fr.RETIRE_CONNECTION_ID, sequence))

    def _on_stream(self, stream_id: int, offset: int, data: bytes, _fin: bool) -> None:
        ready, waiting = self.streams[stream_id], self._stream_in[stream_id]
        waiting[offset] = max(data, waiting.get(offset, b""), key=len)
        for at in sorted(waiting):
            if at > len(ready):
                break
            piece = waiting.pop(at)
            ready += piece[len(ready) - at :]

    def _leave_path(self, dcid: bytes) -> None:
        """The client uses this ID no more: retire the one of its own that we used in return."""
        for packet in reversed(self.packets):
            path = packet.path
            if packet.dcid == dcid and path != self.active_path and path in self.path_ids:
                sequence = self.path_ids.pop(path)
                if sequence not in self.path_ids.values():
                    del self.client_ids[sequence]
                    self.send(APPLICATION, fr.encode_integers(fr.RETIRE_CONNECTION_ID, sequence))
                return

    def _on_crypto(self, space: int, offset: int, data: bytes) -> None:
        self._crypto_in[space][offset] = data
        progress = True
        while progress:
            progress = False
            for at, piece in sorted(self._crypto_in[space].items()):
                read = self._crypto_read[space]
                if at <= read < at + len(piece):
                    self._crypto_read[space] = at + len(piece)
                    self.tls.receive(space, piece[read - at :])
                    self._install_secrets()
                    progress = True

    def _install_secrets(self) -> None:
        for secrets in self.tls.secrets:
            self.keys.install(secrets.level, secrets.cipher_suite, secrets.client, secrets.server)
        self.tls.secrets.clear()

    def _supply_ids(self) -> None:
        while self.script.cid and len(self.issued) - len(self.retired) <= self.script.spare_ids - 1:
            self.issue_id()

    def _after_datagram(self) -> None:
        if self.close is not None:
            return
        for space in (INITIAL, HANDSHAKE, APPLICATION):
            if self._ack_due[space] and self.script.acknowledges(space):
                self.acknowledge(space)
        if self.script.send_crypto:
            self.send_flight()
        if self.tls.complete and not self._confirmed:
            self._confirmed = True
            if self.script.handshake_done:
                self.send(APPLICATION, bytes([fr.HANDSHAKE_DONE]))
            self._supply_ids()

    # --- what the server sends ---------------------------------------------------------------

    def seal(
        self,
        space: int,
        payload: bytes,
        *,
        number: int | None = None,
        pn_length: int = 4,
        reserved: int = 0,
        generation: int | None = None,
        key_phase: int | None = None,
        spin: int = 0,
        dcid: bytes | None = None,
        scid: bytes | None = None,
        path: int | None = None,
        pad_to: int = 0,
        token: bytes = b"",
    ) -> bytes:
        """A protected packet; `pad_to` adds PADDING until the packet has that size."""
        if number is None:
            number = self.next_number[space]
        self.next_number[space] = max(self.next_number[space], number + 1)
        if generation is None:
            generation = self.write_generation if space == APPLICATION else 0
        if dcid is None:
            dcid = self.client_id(self.active_path if path is None else path)
        if space == APPLICATION:
            phase = generation & 1 if key_phase is None else key_phase
            overhead = 1 + len(dcid) + pn_length + 16
            payload += bytes(max(0, pad_to - overhead - len(payload)))
            header = encode_short_header(dcid, number, pn_length, phase, spin)
            header = bytes([header[0] | reserved << 3]) + header[1:]
        else:
            source = self.script.cid if scid is None else scid
            kind = LONG_TYPES[space]
            header = encode_long_header(kind, dcid, source, token, number, pn_length, len(payload))
            missing = pad_to - len(header) - len(payload) - 16
            if missing > 0:
                payload += bytes(missing)
                header = encode_long_header(
                    kind, dcid, source, token, number, pn_length, len(payload)
                )
            header = bytes([header[0] | reserved << 2]) + header[1:]
        keys, mask_keys = self.keys.seal_keys(space, generation)
        return seal(keys, header, pn_length, number, payload, mask_keys)

    def send(
        self,
        space: int,
        payload: bytes,
        *,
        path: int | None = None,
        number: int | None = None,
        pn_length: int = 4,
        reserved: int = 0,
        generation: int | None = None,
        dcid: bytes | None = None,
        pad_to: int = 0,
    ) -> bytes:
        """Seal a packet and send it in a datagram of its own."""
        packet = self.seal(
            space,
            payload,
            number=number,
            pn_length=pn_length,
            reserved=reserved,
            generation=generation,
            dcid=dcid,
            path=path,
            pad_to=pad_to,
        )
        self.send_datagram(packet, path)
        return packet

    def send_datagram(self, data: bytes, path: int | None = None) -> None:
        self.outbox.append((self.active_path if path is None else path, data))

    def send_flight(self) -> None:
        """What TLS has to say, with the packets of several spaces in one datagram."""
        packets: list[bytes] = []
        for space, data in self.tls.output:
            for start in range(0, len(data), CHUNK):
                packets.append(self._crypto_packet(space, data[start : start + CHUNK]))
        self.tls.output.clear()
        datagram = b""
        for packet in packets:
            if datagram and len(datagram) + len(packet) > 1200:
                self.send_datagram(datagram)
                datagram = b""
            datagram += packet
        if datagram:
            self.send_datagram(datagram)

    def _crypto_packet(self, space: int, data: bytes) -> bytes:
        frame = fr.encode_crypto(self._crypto_sent[space], data)
        self._crypto_sent[space] += len(data)
        return self.seal(space, frame)

    def send_crypto(self, space: int, data: bytes) -> None:
        """TLS bytes in one CRYPTO frame after those sent before."""
        self.send_datagram(self._crypto_packet(space, data))

    def acknowledge(self, space: int, path: int | None = None) -> None:
        """An honest ACK of everything received in `space`."""
        self._ack_due[space] = False
        if space in self.keys.write:
            ecn = (self.marks[space], 0, 0) if self.script.report_ecn else None
            self.send(space, fr.encode_ack(self.ranges(space), 0, ecn), path=path)

    def ranges(self, space: int) -> list[tuple[int, int]]:
        """The received packet numbers as (low, high), the highest first."""
        ranges: list[tuple[int, int]] = []
        for number in sorted(self._received[space], reverse=True):
            if ranges and ranges[-1][0] == number + 1:
                ranges[-1] = (number, ranges[-1][1])
            else:
                ranges.append((number, number))
        return ranges

    def client_id(self, path: int) -> bytes:
        """The connection ID of the client's that packets on `path` carry."""
        sequence = self.path_ids.get(path, -1)
        return (self.client_ids.get(sequence) or self.client_ids[max(self.client_ids)])[0]

    def issue_id(
        self,
        sequence: int | None = None,
        retire_prior_to: int = 0,
        cid: bytes | None = None,
        token: bytes | None = None,
    ) -> None:
        """NEW_CONNECTION_ID; by default a fresh one with the next sequence number."""
        sequence = max(self.issued) + 1 if sequence is None else sequence
        if cid is None:
            cid = b"\xc0" + sequence.to_bytes(4, "big") + b"cid"
        if token is None:
            token = b"reset-token-" + sequence.to_bytes(4, "big")
        self.issued.setdefault(sequence, (cid, token))
        frame = fr.encode_new_connection_id(sequence, retire_prior_to, cid, token)
        self.send(APPLICATION, frame)

    def challenge(self, path: int, data: bytes | None = None) -> None:
        """A PATH_CHALLENGE of the server's own."""
        data = data or b"chal" + len(self.challenges).to_bytes(4, "big")
        self.challenges[data] = path
        self.send(APPLICATION, fr.encode_path_data(fr.PATH_CHALLENGE, data), path=path, pad_to=1200)

    def send_retry(
        self, tag: bytes | None = None, token: bytes | None = None, unused: int = 0
    ) -> None:
        assert self.original_dcid is not None
        token = self.script.retry_token if token is None else token
        dcid = self.client_ids[0][0]
        without_tag = encode_retry(dcid, self.script.retry_cid, token, b"", unused)
        tag = tag or retry_tag(self.original_dcid, without_tag)
        self.send_datagram(encode_retry(dcid, self.script.retry_cid, token, tag, unused))

    def send_version_negotiation(
        self, versions: tuple[int, ...], dcid: bytes | None = None, scid: bytes | None = None
    ) -> None:
        assert self.original_dcid is not None
        dcid = self.client_ids[0][0] if dcid is None else dcid
        scid = self.original_dcid if scid is None else scid
        self.send_datagram(encode_version_negotiation(dcid, scid, versions))

    def send_stateless_reset(self, token: bytes, path: int | None = None, size: int = 60) -> None:
        """RFC 9000 section 10.3: looks like a short header, ends with the token."""
        noise = bytes((37 * i + 11) & 0xFF for i in range(size - 17))
        self.send_datagram(b"\x43" + noise + token, path)

    # --- views for assertions ----------------------------------------------------------------

    def sent_on(self, path: int) -> list[Packet]:
        return [packet for packet in self.packets if packet.path == path]

    def frames(self, *kinds: int, space: int | None = None) -> list[Frame]:
        """All frames of these types that the client has sent."""
        return [
            frame
            for packet in self.packets
            if space is None or packet.space == space
            for frame in packet.frames
            if frame.kind in kinds
        ]

    def stream(self, stream_id: int) -> bytearray:
        """The contiguous start of what the client wrote into a stream."""
        return self.streams[stream_id]
