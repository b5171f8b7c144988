"""The server's preferred addresses in every order of events (RFC 9000 sections 9.6 and 9.6.3)."""
