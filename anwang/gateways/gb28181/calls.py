"""Our calls: invitations on their way and standing, how they end, and those that a run before left standing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from anwang.access import Address, Pushed, Receiver, Step, Stream, Trace
from anwang.gateways.gb28181 import invite
from anwang.gateways.gb28181.capture import redact
from anwang.gateways.gb28181.kept import KeptCalls
from anwang.gateways.gb28181.line import Line
from anwang.gateways.gb28181.policies import Manners
from anwang.gateways.gb28181.questions import Questions
from anwang.gateways.gb28181.sessions import Peer, Session
from anwang.kernel.errors import AnwangError, Exhausted, Unavailable, Unsupported
from anwang.kernel.hosts import bracketed
from anwang.runtime import logs
from anwang.wire import sdp
from anwang.wire.sip import Accepted, Cause, Ended, Progress, Uri

log = logs.get(__name__)

#: what a device says to an INVITE, as our errors
_REFUSALS: dict[int, type[AnwangError]] = {486: Exhausted, 488: Unsupported, 415: Unsupported}


@dataclass(slots=True, kw_only=True)
class _Call:
    """One INVITE on its way or standing."""

    device: str
    trace: Trace
    answered: asyncio.Future[Accepted[Peer]]
    call_id: str
    past: bool = False
    """A recording: it ends when everything has been sent."""
    is_kept: bool = False
    """It stands, and is written down for the run after this one."""


class Calls:
    """All of them, by the number that the SIP machine gives."""

    def __init__(
        self,
        line: Line,
        questions: Questions,
        manners: Manners,
        *,
        invite_seconds: float,
        kept: KeptCalls,
        on_media_end: Callable[[str], None],
    ) -> None:
        """on_media_end: a call ended without us, by its dialog. kept: what stands, for the run after this one."""
        self._line = line
        self._questions = questions
        self._manners = manners
        self._invite_seconds = invite_seconds
        self.kept = kept
        self.on_media_end = on_media_end
        self.on_sent: Callable[[str], bool] = lambda dialog: False
        """A device has sent a recording to its end, by dialog; False where nobody receives it."""
        self._calls: dict[int, _Call] = {}
        self._of_device: dict[str, dict[int, None]] = {}
        """Their numbers by device, oldest first: a district that is lost at once must not look through all of them."""
        self.left = 0
        """Calls of a run before that were ended."""

    async def invite(
        self,
        address: Address,
        stream: Stream,
        receiver: Receiver,
        trace: Trace,
        *,
        shape: Callable[[sdp.Sdp], sdp.Sdp] = lambda offer: offer,
        past: bool = False,
    ) -> Pushed:
        """One INVITE and its answer. shape: what becomes of the offer of a live stream. past: a recording is asked for.

        Raises as access.Gateway.
        """
        session = self._questions.reach(address.device)
        us = self._line.us
        offer = invite.offer(
            server_id=us.user,
            receiver=receiver,
            host=receiver.host or self._line.local(session.peer)[0],
            stream=stream,
            version=session.version,
            stream_numbers=len(address.streams) > 1,
        )
        subject = invite.subject(channel=address.channel, server_id=us.user, ssrc=receiver.ssrc)
        number = self._line.endpoint.invite(
            local=us,
            remote=Uri(address.channel, us.host),
            target=Uri(address.channel, session.peer[1], session.peer[2]),
            peer=session.peer,
            now=self._line.now(),
            body=bytes(shape(offer)),
            headers=(("Subject", str(subject)),),
        )
        answered: asyncio.Future[Accepted[Peer]] = asyncio.get_running_loop().create_future()
        call_id = self._line.endpoint.call_id(number)
        self._calls[number] = _Call(device=address.device, trace=trace, answered=answered, call_id=call_id, past=past)
        self._of_device.setdefault(address.device, {})[number] = None
        self._line.follow(call_id, lambda data, outgoing: trace.message(redact(data), outgoing=outgoing))
        trace.step(Step.INVITED, f"to {bracketed(session.peer[1])}:{session.peer[2]}/{session.peer[0]}")
        self._line.pump()
        try:
            async with asyncio.timeout(self._invite_seconds):
                accepted = await answered
        except TimeoutError:
            self.hang_up(number)
            raise Unavailable(
                f"device {address.device} did not answer the invitation in {self._invite_seconds:.0f} s",
                "see its evidence and messages",
            ) from None
        except BaseException:
            self.hang_up(number)
            raise
        trace.step(Step.ANSWERED, "200 OK")
        try:
            pushed = invite.accept(
                sdp.Sdp.parse(accepted.response.body),
                receiver=receiver,
                dialog=str(number),
                checking=self._manners.checking(address.device),
                source=session.peer[1],
                any_source=self._manners.takes_any_source(address.device),
                with_sound=self._manners.takes_sound(address.device),
            )
        except AnwangError:
            self.hang_up(number)
            raise
        trace.step(Step.ACKNOWLEDGED)
        return pushed

    def hang_up(self, number: int) -> None:
        """BYE or CANCEL; nothing where it is over already."""
        try:
            self._line.endpoint.hang_up(number, self._line.now())
        except AnwangError:
            return
        self._line.pump()

    def leave(self, device: str) -> None:
        """A device is registered no more: what it sends ends."""
        for number in list(self._of_device.get(device, ())):
            is_standing = self._calls[number].answered.done()
            self.hang_up(number)
            if is_standing:
                self.on_media_end(str(number))

    def end_left(self, session: Session) -> None:
        """What a killed run before left standing ends now that its device is here."""
        for names in self.kept.left(session.device):
            try:
                self._line.endpoint.end_left(names, session.peer, self._line.now())
                self.left += 1
            except AnwangError as err:
                log.info("a call of the run before was not ended", device=session.device, reason=err.reason)

    def device_of(self, number: int) -> str:
        """Whose a call is, '' where it is none of ours."""
        call = self._calls.get(number)
        return "" if call is None else call.device

    # --- what the machine says ------------------------------------------------------------------------------------

    def progressed(self, event: Progress) -> None:
        """A provisional answer."""
        if (call := self._calls.get(event.call)) is not None:
            call.trace.step(Step.TRYING, f"{event.response.status} {event.response.reason}")

    def accepted(self, event: Accepted[Peer], now: float) -> None:
        """The device takes the invitation."""
        call = self._calls.get(event.call)
        if call is None or call.answered.done():
            self._line.endpoint.hang_up(event.call, now)
        else:
            call.answered.set_result(event)
            call.is_kept = True
            self.kept.began(call.device, self._line.endpoint.dialog_of(event.call))

    def ended(self, event: Ended) -> None:
        """It is over, or never came about."""
        call = self._calls.pop(event.call, None)
        if call is None:
            return
        self._line.leave(call.call_id)
        own = self._of_device[call.device]
        del own[event.call]
        if not own:
            del self._of_device[call.device]
        if call.is_kept:
            self.kept.ended(call.call_id)
        if call.answered.done():
            if event.cause is not Cause.LOCAL:
                self.on_media_end(str(event.call))
            return
        status = getattr(event.message, "status", 0)
        reason = getattr(event.message, "reason", "")
        if event.cause is Cause.REJECTED:
            call.trace.step(Step.REFUSED, f"{status} {reason}".strip())
            kind = _REFUSALS.get(status, Unavailable)
            call.answered.set_exception(kind(f"the device answered {status} {reason}".strip()))
        else:
            call.answered.set_exception(Unavailable(f"the invitation ended: {event.cause}"))

    def sent(self, session: Session, call_id: str) -> None:
        """The device says that it has sent everything: the play is over now, not after its silence.

        Where the notice lies outside its call's dialog, the device's only recording that plays is meant.
        """
        number = self._line.endpoint.find_call(call_id)
        call = self._calls.get(number)
        if call is None:
            playing = [n for n in self._of_device.get(session.device, ()) if self._calls[n].past]
            if len(playing) != 1:
                return
            number, call = playing[0], self._calls[playing[0]]
        if call.device != session.device:
            return  # another device's
        if call.past and self.on_sent(str(number)):
            return  # whoever receives it hangs up when the last packets are in
        self.hang_up(number)
        self.on_media_end(str(number))
