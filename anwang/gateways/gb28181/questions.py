"""What we ask of devices in messages, inside calls and outside, and the answers that come back.

A MESSAGE has two answers: the SIP one, and a message of the device's own for what is a query (GB/T 28181-2016 9.5). The
second may overtake the first.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TypeVar

from anwang.gateways.gb28181.line import Line
from anwang.gateways.gb28181.policies import Manners
from anwang.gateways.gb28181.sessions import Peer, Session, Sessions
from anwang.kernel.errors import AnwangError, Unavailable, Unsupported
from anwang.runtime import logs
from anwang.wire.gb28181 import CONTENT_TYPE, Manscdp, Outcome
from anwang.wire.sip import Answered, Response, Unanswered, Uri

log = logs.get(__name__)

M = TypeVar("M", bound=Manscdp)
ASK_SECONDS = 5.0


class Questions:
    """Those on their way."""

    def __init__(self, line: Line, sessions: Sessions, manners: Manners) -> None:
        self._line = line
        self._sessions = sessions
        self._manners = manners
        self._sn = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Answered[Peer]]] = {}
        self._business: dict[tuple[str, int], tuple[type[Manscdp], asyncio.Future[Manscdp]]] = {}
        self.strays = 0
        """Answers that nobody waits for."""

    def next_sn(self) -> int:
        """A number for a message of ours."""
        return next(self._sn) & 0x7FFFFFFF or 1

    def reach(self, device: str) -> Session:
        """The session of a device that may be asked for what its points show. Raises Unavailable."""
        session = self._sessions.get(device)
        if session is None:
            raise Unavailable(f"device {device} is not registered", "see its evidence; it must register first")
        if not self._line.sockets.has(session.peer):
            raise Unavailable(f"the connection of device {device} is gone", "it must register again")
        if not self._manners.is_adopted(device):
            raise Unavailable(f"device {device} waits for adoption", "adopt it under Devices")
        return session

    async def tell(self, device: str, message: Manscdp) -> None:
        """One MESSAGE, its SIP answer awaited. Raises Unavailable, Unsupported."""
        session = self._sessions.get(device)
        if session is None or not self._line.sockets.has(session.peer):
            raise Unavailable(f"device {device} is not registered", "see its evidence; it must register first")
        await self._send(session, message)

    async def tell_quietly(self, session: Session, message: Manscdp) -> None:
        """The same for an answer of ours: where it fails, nobody is harmed."""
        try:
            await self._send(session, message)
        except AnwangError as err:
            log.info("an answer did not reach its device", device=session.device, reason=err.reason)

    async def _send(self, session: Session, message: Manscdp) -> None:
        transaction = self._line.endpoint.ask(
            "MESSAGE",
            local=self._line.us,
            remote=Uri(session.device, self._line.us.host),
            target=Uri(session.device, session.peer[1], session.peer[2]),
            peer=session.peer,
            now=self._line.now(),
            content_type=CONTENT_TYPE,
            body=self._manners.written(session, message),
        )
        try:
            response = await self._answer_to(transaction, ASK_SECONDS)
        except TimeoutError:
            raise Unavailable(f"device {session.device} does not answer", "see its evidence") from None
        if not response.is_ok:
            raise Unsupported(f"device {session.device} answered {response.status} {response.reason}".rstrip())

    async def query(self, device: str, query: Manscdp, kind: type[M]) -> M:
        """A query and its business answer, which may overtake the SIP one. Raises Unavailable, Unsupported."""
        key = (device, query.sn)
        waiting: asyncio.Future[Manscdp] = asyncio.get_running_loop().create_future()
        self._business[key] = (kind, waiting)
        try:
            await self.tell(device, query)
            async with asyncio.timeout(ASK_SECONDS):
                found = await waiting
        except TimeoutError:
            raise Unavailable(f"device {device} took the query, but does not answer it") from None
        finally:
            del self._business[key]
        if not isinstance(found, kind):
            raise Unavailable(f"device {device} answered something else")
        return found

    async def ask_in_call(self, call: int, method: str, *, content_type: str, body: bytes, seconds: float) -> Response:
        """A request inside a call and its final answer. Raises NotFound, Conflict, Unavailable."""
        transaction = self._line.endpoint.ask_in_call(
            call, method, self._line.now(), content_type=content_type, body=body
        )
        try:
            return await self._answer_to(transaction, seconds)
        except TimeoutError:
            raise Unavailable(f"the device does not answer {method}", "see its messages") from None

    async def _answer_to(self, transaction: int, seconds: float) -> Response:
        answer: asyncio.Future[Answered[Peer]] = asyncio.get_running_loop().create_future()
        self._answers[transaction] = answer
        self._line.pump()
        try:
            async with asyncio.timeout(seconds):
                return (await answer).response
        finally:
            self._answers.pop(transaction, None)

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, event: Answered[Peer]) -> None:
        """A SIP answer came."""
        future = self._answers.get(event.transaction)
        if future is not None and event.response.is_final and not future.done():
            future.set_result(event)

    def unanswered(self, event: Unanswered[Peer]) -> None:
        """None will come."""
        future = self._answers.get(event.transaction)
        if future is not None and not future.done():
            future.set_exception(Unavailable("the device does not answer", "see its evidence"))

    def settle(self, device: str, message: Manscdp) -> None:
        """An answer that somebody waits for; a bare OK or ERROR answers whatever was asked under its number."""
        waiting = self._business.get((device, message.sn))
        if waiting is None or waiting[1].done():
            self.strays += 1
            return
        if isinstance(message, waiting[0]):
            waiting[1].set_result(message)
        elif isinstance(message, Outcome):
            said = f"{'OK' if message.is_ok else 'ERROR'} {message.reason}".rstrip()
            waiting[1].set_exception(Unsupported(f"device {device} answered {said} and nothing more"))
