"""Which candidates a policy would use, and which of them now."""

from ._actions import MissConnectionID, OpenPath
from ._knobs import Knobs
from ._roles import network_of as _network
from ._views import Candidate, PathInfo, View


class Choices:
    """Questions about the candidates of a view, under one policy."""

    def __init__(self, policy: Knobs) -> None:
        self._policy = policy

    def usable(self, view: View) -> list[Candidate]:
        found = self.allowed(view)
        return found if view.migration_allowed else [c for c in found if c.preferred]

    def allowed(self, view: View) -> list[Candidate]:
        """Those that the user wants, whatever the server does."""
        return [
            candidate
            for candidate in view.candidates
            if self._policy.wants(candidate.interface, candidate.kind, candidate.metered)
        ]

    def others(self, view: View, active: PathInfo) -> list[Candidate]:
        """Candidates on networks that no path uses; one each."""
        used = {_network(path.interface, path.local[0]) for path in view.paths if path.usable}
        used.add(_network(active.interface, active.local[0]))
        found: list[Candidate] = []
        for candidate in self.usable(view):
            network = _network(candidate.interface, candidate.local)
            if network not in used and not candidate.new_port:
                found.append(candidate)
        return found

    def open(
        self, view: View, ways: tuple[Candidate, ...]
    ) -> tuple[OpenPath | MissConnectionID, ...]:
        """Open these, as far as there are connection IDs."""
        spare = view.spare_ids
        return (*map(OpenPath, ways[:spare]), *map(MissConnectionID, ways[spare:]))

    def some(self, candidates: list[Candidate], networks: int) -> tuple[Candidate, ...]:
        """The first networks' candidates. Section 9.6.3: both server addresses of one network are
        asked at the same time; the preferred one comes first, should there be one ID only."""
        chosen: list[Candidate] = []
        seen: list[tuple[str | None, str | None]] = []
        for candidate in candidates:
            network = _network(candidate.interface, candidate.local)
            if network not in seen:
                if len(seen) == networks:
                    break
                seen.append(network)
            chosen.append(candidate)
        chosen.sort(key=lambda candidate: not candidate.preferred)
        return tuple(chosen)

    def ways_to_preferred(self, view: View, active: PathInfo) -> tuple[Candidate, ...]:
        """The best way to the preferred address from the network in use, while it is not tried."""
        if not self._policy.use_preferred_address or not view.preferred_pending:
            return ()
        if any(path.preferred for path in view.paths):
            return ()
        ways = [c for c in view.candidates if c.preferred and c.local == active.local[0]]
        return tuple(ways[:1])
