"""What the server must hear from the active path without delay (RFC 9000 sections 9.2 and 13.2).

After a move a packet that is no probe shows the server where the client is, and what was received
is said again: the last ACK may have gone out into nothing. When the first packet comes in on the
new path, that is acknowledged with a PING: what the server had under way on the old path may be
lost, and it can know that only from the acknowledgement of something newer, such as this (section
13.2.1 allows no bare ACK of an ACK).
"""


class Announcements:
    def __init__(self) -> None:
        self.ping_needed = False
        self.ack_needed = False
        # the first packet after a move has not come yet
        self.arriving = False

    def ask(self) -> None:
        """A sign of life is wanted."""
        self.ping_needed = True

    def on_moved(self) -> None:
        """The connection moved, or its path is there again."""
        self.ping_needed = self.ack_needed = self.arriving = True

    def on_heard(self) -> None:
        """Something came in on the active path."""
        if self.arriving:
            self.arriving = False
            self.ping_needed = self.ack_needed = True

    def on_ping_sent(self) -> None:
        """A packet that elicits an acknowledgement is made."""
        self.ping_needed = False

    def on_ack_sent(self) -> None:
        """An ACK is in the packet that is being made."""
        self.ack_needed = False
