"""`python -m anwang.media.child`: the remux child. It ends when its control connection does."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
from functools import partial
from pathlib import Path

import uvloop

from anwang.kernel.errors import AnwangError, WireError
from anwang.media.atwork import AtWork, Handling
from anwang.media.child.datagrams import Rounds
from anwang.media.child.feed import Amendable, Feed
from anwang.media.child.hub import QUEUED, Outlet, Viewer
from anwang.media.child.ports import Ports
from anwang.media.child.pull import Puller
from anwang.media.child.receive import TcpReceiver, UdpReceiver
from anwang.media.child.recorder import Recording, Writer
from anwang.media.control import (
    Alive,
    Amend,
    Arm,
    Begin,
    Codec,
    Cut,
    Drop,
    Fetch,
    Finish,
    FromChild,
    Hello,
    Quiet,
    Record,
    Refused,
    Reserve,
    Reserved,
    Stop,
    ToChild,
)
from anwang.runtime import logs
from anwang.runtime.clock import SystemClock
from anwang.stores.objects import Objects
from anwang.wire.rtp import SsrcPolicy

log = logs.get(__name__)

READ_BYTES = 1 << 18
#: objects made and not yet freed, before cycles among them are looked for
GC_ALLOCATIONS = 20_000


class MediaChild:
    """All feeds of this process."""

    def __init__(
        self,
        control: asyncio.StreamWriter,
        *,
        ports: Ports,
        objects: Objects,
        silence_s: float,
        has_sound: bool,
        work: AtWork,
    ) -> None:
        self._control = control
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._ports = ports
        self._silence_s = silence_s
        self._has_sound = has_sound
        self._clock = SystemClock()
        self._feeds: dict[str, Feed] = {}
        self._rounds = Rounds()
        self._writer = Writer(objects, self._tell_from_thread)
        self.stopping = asyncio.Event()
        self.is_orphan = False
        """The main process has gone without a word."""

    def tell(self, message: FromChild) -> None:
        """To the main process."""
        if not self._control.is_closing():
            self._control.write(Codec.encode(message))

    def _tell_from_thread(self, message: FromChild) -> None:
        self._loop.call_soon_threadsafe(self.tell, message)

    def outlet(self, stream: str) -> Outlet | None:
        """The viewers of a stream, for a new one."""
        feed = self._feeds.get(stream)
        return feed.outlet if feed is not None else None

    def handle(self, message: ToChild) -> None:
        """What the main process says."""
        match message:
            case Reserve() | Fetch():
                try:
                    port = self._reserve(message) if isinstance(message, Reserve) else self._fetch(message)
                except AnwangError as err:
                    self.tell(Refused(ref=message.ref, stream=message.stream, kind=err.kind, reason=err.reason))
                except OSError as err:
                    reason = err.strerror or str(err)
                    self.tell(Refused(ref=message.ref, stream=message.stream, kind="unavailable", reason=reason))
                else:
                    self.tell(Reserved(ref=message.ref, stream=message.stream, port=port))
            case Amend():
                self._amend(message)
            case Record():
                self._record(message)
            case Arm():
                if (feed := self._feeds.get(message.stream)) is not None:
                    feed.arm(message.seconds)
            case Drop():
                if (feed := self._feeds.get(message.stream)) is not None:
                    self.over(feed)
            case Quiet() | Cut() | Begin() | Finish():
                self._steer(message)
            case Stop():
                self.stopping.set()
            case _:
                log.warning("a message for viewers on the control connection")

    def over(self, feed: Feed) -> None:
        """A feed has ended: away with it."""
        if self._feeds.get(feed.stream) is feed:
            del self._feeds[feed.stream]
        port = feed.source.port if feed.source is not None else 0
        feed.close(leave=self.is_orphan)
        self._ports.free(port)

    async def tick(self) -> None:
        """Once a second: a sign of life and each flow to the main process, silence found."""
        while True:
            await asyncio.sleep(1.0)
            self.tell(Alive())
            for feed in list(self._feeds.values()):
                feed.settle()
                feed.pace()
                if self._feeds.get(feed.stream) is feed and (feed.has_packets or feed.has_refused):
                    self.tell(feed.flow())
                    if feed.has_packets and feed.silent_seconds() > self._silence_s:
                        feed.lose(f"no packet for {self._silence_s:.0f} s")

    def close(self) -> None:
        """Seal everything; an orphan leaves it to the next start, which also indexes it."""
        # whether the control connection ended or was reset: without an order to stop, nobody hears what is sealed
        self.is_orphan = not self.stopping.is_set()
        for feed in list(self._feeds.values()):
            self.over(feed)
        self._writer.stop()

    def _feed(self, stream: str, *, whole: bool = False) -> Feed:
        if (old := self._feeds.get(stream)) is not None:
            self.over(old)
        feed = self._feeds[stream] = Feed(
            stream,
            tell=self.tell,
            clock=self._clock,
            over=self.over,
            has_sound=self._has_sound,
            whole=whole,
            handling=Handling(self._work, stream),
        )
        return feed

    def _steer(self, message: Quiet | Cut | Begin | Finish) -> None:
        feed = self._feeds.get(message.stream)
        if feed is None:
            return
        match message:
            case Quiet():
                feed.quiet(message.on)
            case Cut():
                feed.cut()
            case Begin():
                feed.begin(message.epoch)
            case Finish():
                feed.finish()

    def _reserve(self, message: Reserve) -> int:
        feed = self._feed(message.stream, whole=message.whole)
        hooks = feed.hooks()
        match message.transport:
            case "udp":
                feed.source = UdpReceiver(self._ports.udp(message.bind), hooks, self._clock, self._rounds)
            case "tcp_passive":
                feed.source = TcpReceiver(self._ports.tcp(message.bind), hooks, self._rounds)
            case _:
                feed.source = TcpReceiver(None, hooks, self._rounds)
        return feed.source.port

    def _fetch(self, message: Fetch) -> int:
        feed = self._feed(message.stream)
        feed.source = Puller(
            message.url,
            username=message.username,
            password=message.password,
            transport=message.transport,
            hooks=feed.hooks(),
        )
        return 0

    def _amend(self, message: Amend) -> None:
        feed = self._feeds.get(message.stream)
        if feed is None or not isinstance(feed.source, UdpReceiver | TcpReceiver):
            return
        connect = (message.connect_host, message.connect_port) if message.connect_host else None
        receiver: Amendable = feed.source
        if not message.sound:
            feed.mute()
        receiver.amend(message.ssrc, SsrcPolicy(message.checking), connect, message.sources)

    def _record(self, message: Record) -> None:
        feed = self._feeds.get(message.stream)
        if feed is None:
            return
        if not message.on:
            feed.record(None)
        elif feed.recording is None:
            feed.record(
                Recording(
                    self._writer,
                    stream=message.stream,
                    point=message.point,
                    name=message.name,
                    seconds=message.segment_seconds,
                )
            )


async def run(arguments: argparse.Namespace) -> None:
    """The life of the child."""
    logs.configure(level=arguments.log_level, as_json=arguments.log_form == "json")
    control = socket.socket(fileno=arguments.control_fd)
    reader, writer = await asyncio.open_connection(sock=control, limit=READ_BYTES)
    first, last = arguments.rtp_ports
    ports = Ports(first, last, share=arguments.number, shares=arguments.children)
    objects = Objects.open(arguments.objects, spool=Path(arguments.spool) if arguments.spool else None)
    child = MediaChild(
        writer,
        ports=ports,
        objects=objects,
        silence_s=arguments.silence_seconds,
        has_sound=not arguments.no_sound,
        work=AtWork(arguments.work_fd),
    )
    path = Path(arguments.run) / f"media-{arguments.number}.sock"
    path.unlink(missing_ok=True)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, child.stopping.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the parent decides when to stop
    server = await loop.create_unix_server(partial(Viewer, child.outlet, most_queued=arguments.viewer_queue), str(path))
    path.chmod(0o600)
    child.tell(Hello(pid=os.getpid(), viewers=str(path)))
    # what lives now lives on, and what a picture makes holds no cycles: looking for some is rarely worth it
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS)
    tasks = [asyncio.create_task(t) for t in (_obey(reader, child), child.tick(), child.stopping.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and (error := task.exception()) is not None:
                log.error("the media child ends by a fault", error=repr(error))
    finally:
        child.close()
        await asyncio.sleep(0)  # the writer's last messages
        server.close()
        if not writer.is_closing():
            writer.close()
            # everything must be on its way before the process ends; the main process may be gone
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(5.0):
                    await writer.wait_closed()
        for task in tasks:
            task.cancel()


async def _obey(reader: asyncio.StreamReader, child: MediaChild) -> None:
    codec: Codec[ToChild] = Codec(ToChild)
    while data := await reader.read(READ_BYTES):
        try:
            messages = codec.feed(data)
        except WireError as err:
            log.error("the control connection is broken", error=err.reason)
            return
        for message in messages:
            child.handle(message)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="anwang.media.child")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--work-fd", type=int, required=True, help="see anwang.media.atwork")
    parser.add_argument("--run", required=True, help="folder for the viewers' socket")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--children", type=int, default=1)
    parser.add_argument("--rtp-ports", type=int, nargs=2, default=(30000, 39999))
    parser.add_argument("--objects", required=True, help="URL of the objects store")
    parser.add_argument("--spool", default="")
    parser.add_argument("--silence-seconds", type=float, default=10.0)
    parser.add_argument("--viewer-queue", type=int, default=QUEUED, help="fragments queued for a slow viewer")
    parser.add_argument("--no-sound", action="store_true", help="leave sound out")
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--log-form", default="json")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
