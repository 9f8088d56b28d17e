"""The bus between machines: one JetStream stream holds all subjects, each subscription is a consumer of its own.

NATS 2.9 ignores newer options without a word, so only what it knows is used: one filter per consumer, no metadata, no
direct get. Subjects carry the stream's name in front, so that several installations can share a server.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from anwang.kernel.errors import AnwangError, Exhausted, Internal, Invalid, Unavailable
from anwang.stores.bus.port import (
    LARGEST_PAYLOAD,
    OK,
    Event,
    Handler,
    Lagged,
    Message,
    check_payload,
    pack_error,
    unpack_reply,
)
from anwang.stores.bus.subjects import check_filter, check_subject

NAME = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
ANSWER_S = 10.0
FETCH = 256
FETCH_S = 5.0
FORGOTTEN_S = 60.0  # a consumer nobody fetches from is deleted by the server after this
FORGET_S = 2.0  # for leaving a queue group
RETRY_S = 0.5
MOST_REQUESTS = 256


class NatsBus:
    """The bus of several machines. Make it with `open`."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._js: JetStreamContext = client.jetstream(timeout=ANSWER_S)
        self.stream = stream
        self._services: set[_Service] = set()
        self._is_closed = False
        self.lagged = 0

    @classmethod
    async def open(cls, url: str, *, stream: str = "anwang", keep: int = 100_000, replicas: int = 1) -> NatsBus:
        """Connect and make the stream, or bring an existing one to these bounds.

        url: `nats://[user:password@]host:port`. keep: messages in the window. Raises Invalid, Unavailable.
        """
        if not NAME.match(stream):
            raise Invalid(f"{stream[:64]!r} is no name of a stream", "letters, digits, _ and -, at most 32")
        try:
            client = await nats.connect(
                url,
                connect_timeout=5,
                max_reconnect_attempts=1,
                reconnect_time_wait=0.5,
                allow_reconnect=True,
                name="anwang",
                error_cb=_quiet,
            )
        except (NatsError, OSError, TimeoutError) as err:
            raise Unavailable(f"the bus does not answer: {err}") from err
        client.options["max_reconnect_attempts"] = -1  # patient once it has worked; at the start the caller decides
        bus = cls(client, stream)
        wanted = StreamConfig(
            name=stream,
            subjects=[f"{stream}.on.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_msgs=keep,
            max_msg_size=LARGEST_PAYLOAD + 1024,
            num_replicas=replicas,
        )
        try:
            try:
                await bus._js.add_stream(wanted)
            except APIError:
                await bus._js.update_stream(wanted)
        except (NatsError, TimeoutError) as err:
            await client.close()
            raise Unavailable(f"the bus cannot make its stream: {err}") from err
        return bus

    async def publish(self, subject: str, payload: bytes) -> int:
        """See Bus. The server has stored the message when this returns."""
        check_subject(subject)
        check_payload(payload)
        try:
            done = await self._js.publish(f"{self.stream}.on.{subject}", payload)
        except (NatsError, TimeoutError) as err:
            raise Unavailable(f"the bus did not take a message: {err}") from err
        return done.seq

    @asynccontextmanager
    async def subscribe(self, subject_filter: str, *, after: int | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """See Bus."""
        check_filter(subject_filter)
        try:
            first, last = await self._window()
            cursor = last if after is None else min(after, last)
            pull = await self._consume(subject_filter, cursor)
        except (NatsError, TimeoutError) as err:
            raise Unavailable(f"the bus does not take a subscription: {err}") from err
        ahead = 0 if after is None else max(0, after - last)
        holder = [pull]
        try:
            async with aclosing(self._events(subject_filter, cursor, ahead, first, holder)) as events:
                yield events
        finally:
            with suppress(NatsError, TimeoutError, OSError):
                await self._forget(holder[0])

    async def _events(
        self, text: str, cursor: int, ahead: int, first: int, holder: list[JetStreamContext.PullSubscription]
    ) -> AsyncGenerator[Event, None]:
        """holder: the consumer in use, which may change."""
        if ahead:
            yield self._lag(ahead)
        elif cursor + 1 < first:
            yield self._lag(first - 1 - cursor)
            cursor = first - 1
        while not self._is_closed:
            try:
                batch = await holder[0].fetch(FETCH, timeout=FETCH_S)
            except (NatsTimeout, TimeoutError):
                if not await self._lives(holder[0]):
                    holder[0] = await self._again(text, cursor)
                continue
            except NatsError:
                holder[0] = await self._again(text, cursor)
                continue
            upto = batch[0].metadata.sequence.stream - 1
            if upto > cursor:  # others' subjects, or the window has moved on
                with suppress(NatsError, TimeoutError):
                    first, _ = await self._window()
                if first > cursor + 1:
                    yield self._lag(min(first - 1, upto) - cursor)
            for got in batch:
                cursor = got.metadata.sequence.stream
                yield self._message(got)

    def _message(self, got: Msg) -> Message:
        subject = got.subject.removeprefix(f"{self.stream}.on.")
        return Message(got.metadata.sequence.stream, subject, got.data, got.metadata.timestamp.astimezone(UTC))

    def _lag(self, count: int) -> Lagged:
        self.lagged += 1
        return Lagged(count)

    async def _window(self) -> tuple[int, int]:
        state = (await self._js.stream_info(self.stream)).state
        return max(1, state.first_seq), state.last_seq

    async def _consume(self, text: str, cursor: int) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=cursor + 1,
            ack_policy=AckPolicy.NONE,
            filter_subject=f"{self.stream}.on.{text}",
            inactive_threshold=FORGOTTEN_S,
            mem_storage=True,
        )
        made = await self._js.add_consumer(self.stream, config)
        return await self._js.pull_subscribe_bind(made.name, stream=self.stream)

    async def _lives(self, pull: JetStreamContext.PullSubscription) -> bool:
        try:
            await pull.consumer_info()
        except NotFoundError:
            return False
        except (NatsError, TimeoutError):
            return True  # the server is away; the client reconnects
        return True

    async def _again(self, text: str, cursor: int) -> JetStreamContext.PullSubscription:
        """A new consumer from the cursor, however long the server takes to come back."""
        while True:
            if self._is_closed:
                raise Unavailable("the bus is closed")
            try:
                return await self._consume(text, cursor)
            except (NatsError, TimeoutError):
                await asyncio.sleep(RETRY_S)

    async def _forget(self, pull: JetStreamContext.PullSubscription) -> None:
        info = await pull.consumer_info()
        await pull.unsubscribe()
        await self._js.delete_consumer(self.stream, info.name)

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """See Bus."""
        check_subject(subject)
        check_payload(payload)
        try:
            answer = await self._client.request(f"{self.stream}.ask.{subject}", payload, timeout=timeout_s)
        except NoRespondersError:
            raise Unavailable(f"nobody serves {subject}") from None
        except (NatsTimeout, TimeoutError):
            raise Unavailable(f"{subject} gave no answer within {timeout_s:g} s") from None
        except NatsError as err:
            raise Unavailable(f"the bus did not take a request: {err}") from err
        return unpack_reply(answer.data)

    async def serve(self, subject: str, handler: Handler) -> _Service:
        """See Bus."""
        check_subject(subject)
        service = _Service(handler, self._services.discard)
        try:
            await service.start(self._client, f"{self.stream}.ask.{subject}")
            await self._client.flush()
        except (NatsError, TimeoutError) as err:
            raise Unavailable(f"the bus does not take a service: {err}") from err
        self._services.add(service)
        return service

    async def close(self) -> None:
        """See Bus."""
        self._is_closed = True
        for service in list(self._services):
            await service.stop()
        with suppress(NatsError, OSError):  # a server that is gone cannot be told
            await self._client.close()


class _Service:
    """One subject being served, beside others in the same queue group."""

    def __init__(self, handler: Handler, forget: Callable[[_Service], None]) -> None:
        self._handler = handler
        self._forget = forget
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None

    async def start(self, client: Client, subject: str) -> None:
        """Join the group."""
        self._subscription = await client.subscribe(subject, queue="serve", cb=self._on_request)

    async def _on_request(self, asked: Msg) -> None:
        if len(self._tasks) >= MOST_REQUESTS:
            await asked.respond(pack_error(Exhausted(f"{len(self._tasks)} requests are being answered already")))
            return
        task = asyncio.get_running_loop().create_task(self._answer(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, asked: Msg) -> None:
        try:
            reply = OK + await self._handler(asked.data)
        except AnwangError as err:
            reply = pack_error(err)
        except Exception as err:  # a request ends here
            reply = pack_error(Internal(f"{type(err).__name__}: {err}"))
        with suppress(NatsError):
            await asked.respond(reply)

    async def stop(self) -> None:
        """See Service."""
        self._forget(self)
        if self._subscription is not None:
            with suppress(NatsError, OSError, TimeoutError):
                await asyncio.wait_for(self._subscription.drain(), FORGET_S)  # type: ignore[no-untyped-call]  # the library forgot its type
        if self._tasks:
            await asyncio.wait(set(self._tasks))


async def _quiet(_err: Exception) -> None:
    """Errors reach callers as exceptions; the client's own printing would only repeat them."""
