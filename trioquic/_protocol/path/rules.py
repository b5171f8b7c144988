"""Where packets may go (RFC 9000 sections 9, 9.5, 9.6 and 18.2).

Pure rules over plain facts. Every refusal has a reason that a person can read.
"""

from ..cid.ids import ConnectionIds
from ..facts import ConnectionFacts
from .path import Address, NetworkPath
from .preferred import PreferredAddress
from .refusal import PathRefusedError, Refusal
from .state import PathValidation


class PathRules:
    def __init__(
        self, facts: ConnectionFacts, ids: ConnectionIds, preferred: PreferredAddress
    ) -> None:
        self._facts = facts
        self._ids = ids
        self._preferred = preferred
        self._handshake_local: Address | None = None
        self.handshake_remote: Address | None = None
        # server addresses that have answered us
        self._proven_remotes: set[Address] = set()

    def on_first_path(self, local: Address | None, remote: Address) -> None:
        """The handshake is made between these addresses."""
        self._handshake_local = local
        self.handshake_remote = remote
        self._proven_remotes.add(remote)

    def on_answer_from(self, remote: Address) -> None:
        """This address of the server has answered us."""
        self._proven_remotes.add(remote)

    def is_proven(self, remote: Address) -> bool:
        """Whether this address of the server has answered us."""
        return remote in self._proven_remotes

    @property
    def _disabled(self) -> bool:
        # Section 9: on the preferred address migration is allowed even where it was disabled.
        peer = self._facts.peer
        disabled = peer is not None and peer.disable_active_migration
        return disabled and not self._preferred.reached

    @property
    def migration_allowed(self) -> bool:
        """Whether the server lets us use new local addresses to reach where it is now."""
        return self._facts.confirmed and not self._disabled and not self._ids.peer.zero_length

    @property
    def obstacle(self) -> Refusal | None:
        """Why no path can be added as long as the server does nothing about it; None as well before
        that is known."""
        if not self._facts.confirmed:
            return None
        if self._ids.peer.zero_length:
            return Refusal.ZERO_LENGTH_ID
        if self._disabled:
            return Refusal.DISABLED_BY_PEER
        return None if self._ids.peer.had_spare else Refusal.NO_SPARE_ID

    def check_confirmed(self) -> None:
        """Section 9: nothing goes out on another path before."""
        if not self._facts.confirmed:
            raise PathRefusedError(Refusal.NOT_CONFIRMED)

    def check_new_path(self, local: Address | None, remote: Address) -> None:
        """Raise PathRefusedError unless packets may go from `local` to `remote`."""
        self.check_confirmed()
        if self._ids.peer.zero_length:
            raise PathRefusedError(Refusal.ZERO_LENGTH_ID)
        elsewhere = local is None or local != self._handshake_local
        if self._disabled and remote == self.handshake_remote and elsewhere:
            raise PathRefusedError(Refusal.DISABLED_BY_PEER)

    def check_id(self, path: NetworkPath) -> None:
        """Section 9.5: a path has a connection ID of its own, unless the server withdrew it."""
        if self._ids.peer.for_path(path.path_id) is None:
            raise PathRefusedError(Refusal.NO_SPARE_ID)

    def check_move(self, path: NetworkPath, unvalidated: bool) -> None:
        """Raise PathRefusedError unless the connection may move to this path (section 9.2).

        Section 9.2 allows to move to a known address of the server before the path is validated, if
        that is wanted (`unvalidated`); section 9.6.2 does not for a new one."""
        self.check_confirmed()
        known = self.is_proven(path.remote)
        if path.life.validation is not PathValidation.VALIDATED and not (unvalidated and known):
            raise PathRefusedError(Refusal.NOT_VALIDATED)
        self.check_id(path)
        if path.life.doubtful and self._ids.own.unused < 1:
            # Section 5.1.1: it could not answer there. On a proven path it has already answered.
            raise PathRefusedError(Refusal.NO_SPARE_OWN_ID)
