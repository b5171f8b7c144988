"""An interface goes down, and the first packet on the other path: one look, nothing between."""

import trio
import trio.testing

import trioquic
from trioquic.policy import Decision, PolicyEvent, View

from .phone import phone


class Counting(trioquic.MigrationPolicy):
    """Counts how often it is asked."""

    asked = 0

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        Counting.asked += 1
        return super().decide(view, event, now)


async def test_an_interface_that_goes_down_takes_one_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(policy=Counting()) as here:
        await here.until(trioquic.PathValidated)
        (standby,) = [path for path in here.conn.paths if path is not here.conn.active_path]
        socket = here.conn._paths.links[standby.id].socket
        send, looks = socket.send_nowait, list[int]()

        def noted(batch: object) -> bool:
            looks.append(Counting.asked)
            return send(batch)  # type: ignore[arg-type]

        socket.send_nowait = noted  # type: ignore[method-assign]
        before = Counting.asked
        here.world.wifi.down()
        with trio.fail_after(1):
            await here.until(trioquic.Migrated)
        assert looks[0] == before + 1
        await here.download(1000)
