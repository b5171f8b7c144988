"""`trioquic.httpx`: what httpx promises its users, kept over HTTP/3."""
