"""Which local address should talk to which server address (RFC 6724), decided without any I/O."""
