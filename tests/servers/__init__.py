"""Other people's QUIC servers on loopback, started and stopped by the tests.

    async with gtlsserver(certs.server, root=tmp_path) as server:
        await connect_to(server.host, server.port, ca_file=server.ca_file)

Entering the block waits until the server answers; leaving it ends the process.
"""

from .launch import aioquic_server, caddy, gtlsserver, mlkem_server
from .process import Server, ServerFailedError

__all__ = ["Server", "ServerFailedError", "aioquic_server", "caddy", "gtlsserver", "mlkem_server"]
