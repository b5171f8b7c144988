"""A server on qh3, the one at hand whose TLS speaks X25519MLKEM768.

    python tests/servers/mlkem_server.py --certificate cert.pem --key key.pem --port 4433 [--retry]

ALPN is hq-interop. Every stream gets back what it has sent.
"""

import argparse
import asyncio
from pathlib import Path

from qh3.asyncio.protocol import QuicConnectionProtocol
from qh3.asyncio.server import serve
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.events import QuicEvent, StreamDataReceived


class Echo(QuicConnectionProtocol):
    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived):
            self._quic.send_stream_data(event.stream_id, event.data, event.end_stream)
            self.transmit()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--retry", action="store_true")
    options = parser.parse_args()
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["hq-interop"])
    configuration.load_cert_chain(options.certificate, options.key)
    await serve(
        "127.0.0.1",
        options.port,
        configuration=configuration,
        create_protocol=Echo,
        retry=options.retry,
    )
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
