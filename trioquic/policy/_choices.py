"""Which candidates a policy would use, and which of them now."""

from .._protocol.path.state import PathState
from ._actions import MissConnectionID, OpenPath
from ._knobs import Knobs
from ._roles import may_be_heard, network_of
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
        """Candidates on networks that no path uses."""
        used = {network_of(path) for path in (active, *view.paths) if path.usable}
        return [c for c in self.usable(view) if network_of(c) not in used and not c.new_port]

    def asked(self, view: View) -> list[PathInfo]:
        """Paths that were challenged, may be used, and may yet answer."""
        ways = {(candidate.local, candidate.remote) for candidate in self.usable(view)}
        return [
            path
            for path in view.paths
            if path.usable
            and (path.state is PathState.PROBING or may_be_heard(path))
            and path.known
            and not path.misled
            and ((path.local[0], path.remote) in ways or self._is_kept(path, view))
        ]

    def idle(self, view: View) -> PathInfo | None:
        """A path of the application's that was not asked, or in vain, for when nothing else is
        left: it may hold the last connection ID, and to wait beside it would be worse."""
        found = [
            path
            for path in view.paths
            if path.usable
            and path.known
            and not (path.opened_by_supervisor or path.misled)
            and self._policy.wants(path.interface, path.kind, path.metered)
        ]
        best = min(found, key=lambda path: (path.rank, -path.proven_at), default=None)
        return best if view.migration_allowed else None

    def _is_kept(self, path: PathInfo, view: View) -> bool:
        """Whether a path is wanted although its candidate rests, as it has failed."""
        wanted = self._policy.wants(path.interface, path.kind, path.metered)
        return may_be_heard(path) and view.migration_allowed and wanted

    def open(
        self, view: View, ways: tuple[Candidate, ...]
    ) -> tuple[OpenPath | MissConnectionID, ...]:
        """Open these, as far as there are connection IDs."""
        spare = view.spare_ids
        return (*map(OpenPath, ways[:spare]), *map(MissConnectionID, ways[spare:]))

    def some(self, candidates: list[Candidate], most: int) -> tuple[Candidate, ...]:
        """Those on the first networks. Section 9.6.3: both server addresses of one network are
        asked at the same time; the preferred one comes first, should there be one ID only."""
        networks = list(dict.fromkeys(network_of(c) for c in candidates))[:most]
        chosen = [c for c in candidates if network_of(c) in networks]
        return tuple(sorted(chosen, key=lambda candidate: not candidate.preferred))

    def ways_to_preferred(self, view: View, active: PathInfo) -> tuple[Candidate, ...]:
        """The best way to the preferred address from the network in use, while it is not tried."""
        home = network_of(active)
        tried = any(path.preferred and network_of(path) == home for path in view.paths)
        if tried or not (view.preferred_pending and self._policy.use_preferred_address):
            return ()
        ways = [c for c in view.candidates if c.preferred and network_of(c) == home]
        return tuple(sorted(ways, key=lambda c: c.local != active.local[0])[:1])
