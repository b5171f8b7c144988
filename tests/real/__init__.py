"""trioquic against other people's servers, over real sockets on loopback."""
