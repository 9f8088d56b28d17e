"""Media children: separate processes that carry packets and never decode; here is their supervision.

A stream that was being handled when two of them died is carried by one of its own, and takes no other with it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from anwang.kernel.errors import AnwangError, Exhausted, Invalid, Unavailable
from anwang.media.atwork import AtWork
from anwang.media.blame import Blame
from anwang.media.control import Alive, Codec, FromChild, Hello, Refused, Reserved, Stop, ToChild
from anwang.runtime import logs

log = logs.get(__name__)

ANSWER_SECONDS = 5.0
START_SECONDS = 15.0
STOP_SECONDS = 8.0
#: a child without a sign of life for so long is stuck, and killed
STUCK_SECONDS = 20
#: the ends of a process that its own machine code makes
_FAULTS = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE}
READ_BYTES = 1 << 18
MODULE = "anwang.media.child"


class Child:
    """One media child process and the control connection to it."""

    def __init__(
        self,
        number: int,
        *,
        arguments: list[str],
        run: Path,
        on_event: Callable[[Child, FromChild], None],
        is_apart: bool = False,
        module: str = MODULE,
    ) -> None:
        """is_apart: for streams that ended others. module: what is run."""
        self.number = number
        self.is_apart = is_apart
        self.viewers = ""
        self.at_work = ""
        """The feed that was being handled when the process ended without being asked to."""
        self.has_crashed = False
        """Whether the process ended by a fault of its machine code."""
        self._arguments = arguments
        self._module = module
        self._seconds_silent = 0
        self._run = run
        self._on_event = on_event
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._ended = asyncio.Event()
        self._ended.set()
        self._refs = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reserved | Refused]] = {}

    @property
    def alive(self) -> bool:
        """Whether the process runs and has said hello."""
        return self._writer is not None and self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Process id, while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self) -> int:
        """Start the process, pass its events on until it ends; answers its exit code. Raises Unavailable."""
        self.at_work, self.has_crashed = "", False
        page = AtWork.create()
        try:
            work = AtWork(page)
            reader, writer = await self._start(page)
        finally:
            os.close(page)
        late = asyncio.get_running_loop().call_later(START_SECONDS, self._kill_when_silent)
        watch = asyncio.create_task(self._watch())
        try:
            self._writer = writer
            await self._pump(reader)
        finally:
            late.cancel()
            watch.cancel()
            self._writer = None
            self.viewers = ""
            writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Unavailable(f"media child {self.number} ended"))
            self._waiting.clear()
            self._ended.set()
            await self._end()
            self.at_work = work.stream()
            work.close()
        code = 0 if self._process is None else self._process.returncode or 0
        self.has_crashed = code in _FAULTS
        return code

    async def _start(self, page: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command = [sys.executable, "-m", self._module, "--control-fd", str(theirs.fileno())]
            command += ["--work-fd", str(page), "--run", str(self._run), "--number", str(self.number)]
            self._process = await asyncio.create_subprocess_exec(
                *command, *self._arguments, pass_fds=(theirs.fileno(), page)
            )
        self._ended.clear()
        return await asyncio.open_connection(sock=ours, limit=READ_BYTES)

    async def ready(self) -> None:
        """Wait until the child has said hello. Raises Unavailable."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not self.viewers:
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"media child {self.number} is not ready")
            await asyncio.sleep(0.02)

    def send(self, message: ToChild) -> None:
        """Tell the child something that needs no answer. Raises Unavailable when it is gone."""
        if self._writer is None:
            raise Unavailable(f"media child {self.number} is not running")
        self._writer.write(Codec.encode(message))

    async def ask(self, make: Callable[[int], ToChild]) -> Reserved:
        """Ask for something and wait for Reserved. Raises Exhausted, Invalid, Unavailable."""
        ref = next(self._refs)
        answer: asyncio.Future[Reserved | Refused] = asyncio.get_running_loop().create_future()
        self._waiting[ref] = answer
        try:
            self.send(make(ref))
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await answer
        except TimeoutError:
            raise Unavailable(f"media child {self.number} does not answer") from None
        finally:
            self._waiting.pop(ref, None)
        if isinstance(found, Refused):
            kinds: dict[str, type[AnwangError]] = {"exhausted": Exhausted, "invalid": Invalid}
            raise kinds.get(found.kind, Unavailable)(found.reason)
        return found

    async def stop(self) -> None:
        """Ask the child to seal everything and leave; kill it when it does not."""
        if self._writer is not None:
            self._writer.write(Codec.encode(Stop()))
        await self._end()
        # its last words (what it has just sealed) may still be on their way when the process has ended
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            log.warning("the last messages of a media child were not read", number=self.number)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            log.warning("media child killed", number=self.number, pid=process.pid)
            process.kill()
            await process.wait()

    def _kill_when_silent(self) -> None:
        if not self.viewers and self._process is not None and self._process.returncode is None:
            log.error("media child did not start in time", number=self.number, seconds=START_SECONDS)
            self._process.kill()

    async def _watch(self) -> None:
        """Kill a child whose loop stands still. Counted in our own seconds: while we stood still, it may have run."""
        self._seconds_silent = 0
        while True:
            await asyncio.sleep(1.0)
            self._seconds_silent += bool(self.viewers)
            if self._seconds_silent > STUCK_SECONDS and self._process is not None:
                log.error("media child is stuck and killed", number=self.number, seconds=STUCK_SECONDS)
                self._process.kill()
                return

    async def _pump(self, reader: asyncio.StreamReader) -> None:
        codec: Codec[FromChild] = Codec(FromChild)
        while data := await reader.read(READ_BYTES):
            self._seconds_silent = 0
            for message in codec.feed(data):
                match message:
                    case Hello():
                        self.viewers = message.viewers
                        self._on_event(self, message)
                    case Reserved() | Refused():
                        waiting = self._waiting.get(message.ref)
                        if waiting is not None and not waiting.done():
                            waiting.set_result(message)
                    case Alive():
                        pass
                    case _:
                        self._on_event(self, message)


async def _unmourned(child: Child) -> None:
    """Nobody has asked anything of it yet."""


class Children:
    """All media children of this process: started, restarted with backoff, stopped.

    Beside those that share all streams there are some for streams that ended others: started when such a stream is
    opened, gone with it. When more such streams are open than there may be processes, they share these.
    """

    def __init__(
        self,
        count: int,
        *,
        arguments: list[str],
        run: Path,
        apart: int = 0,
        module: str = MODULE,
    ) -> None:
        """apart: the most processes for streams that ended others; 0 leaves such a stream among the others."""

        def child(number: int, *, is_apart: bool = False) -> Child:
            told = [*arguments, "--children", str(count + apart)]
            return Child(number, arguments=told, run=run, on_event=self._pass, is_apart=is_apart, module=module)

        self._children = [child(number) for number in range(count)]
        self._spare = [child(number, is_apart=True) for number in range(count, count + apart)]
        self._may_be_apart = apart > 0
        self._apart: dict[str, Child] = {}
        """By stream. A child is in it from before it starts until nothing is given to it any more."""
        self._group: asyncio.TaskGroup | None = None
        self._blame = Blame()
        self._on_event: Callable[[Child, FromChild], None] = lambda child, message: None
        self._on_death: Callable[[Child], Awaitable[None]] = _unmourned
        self._stopping = False
        self.deaths = 0

    def attach(
        self, *, on_event: Callable[[Child, FromChild], None], on_death: Callable[[Child], Awaitable[None]]
    ) -> None:
        """Who hears what they say and when one dies. They have nothing to say before something is asked of them."""
        self._on_event, self._on_death = on_event, on_death

    def _pass(self, child: Child, message: FromChild) -> None:
        self._on_event(child, message)

    def __iter__(self) -> itertools.chain[Child]:
        return itertools.chain(self._children, dict.fromkeys(self._apart.values()))

    @property
    def apart(self) -> int:
        """How many processes carry streams that ended others."""
        return len(set(self._apart.values()))

    def blame(self, streams: Iterable[str]) -> None:
        """They were at work when a child died."""
        self._blame.put(streams, asyncio.get_running_loop().time())

    def least_loaded(self, load: Callable[[Child], int]) -> Child:
        """The living child that carries least. Raises Unavailable when none lives."""
        living = [c for c in self._children if c.alive and c.viewers]
        if not living:
            raise Unavailable("no media process is running", "see System health")
        return min(living, key=load)

    async def living(self, load: Callable[[Child], int], stream: str) -> Child:
        """The child for a stream. One that is just being started is waited for. Raises Unavailable."""
        now = asyncio.get_running_loop().time()
        is_apart = self._may_be_apart and self._blame.is_apart(stream, now)
        deadline = now + (START_SECONDS if is_apart else ANSWER_SECONDS)
        while True:
            try:
                return self._alone(stream) if is_apart else self.least_loaded(load)
            except Unavailable:
                if self._stopping or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def run(self) -> None:
        """Keep all children running until stop()."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for child in self._children:
                group.create_task(self._keep(child))

    async def ready(self) -> None:
        """Wait until every child has said hello. Raises Unavailable."""
        for child in self._children:
            await child.ready()

    async def stop(self) -> None:
        """Let every child seal what it writes and leave."""
        self._stopping = True
        await asyncio.gather(*(child.stop() for child in self))

    async def dismiss(self, child: Child) -> None:
        """Nothing is carried any more by a child for streams that ended others: let it go."""
        if self._forget(child):
            await child.stop()

    def _alone(self, stream: str) -> Child:
        """The child for a stream that ended others. Raises Unavailable while it starts."""
        child = self._apart.get(stream)
        if child is None:
            if self._spare and self._group is not None:
                child = self._spare.pop()
                self._group.create_task(self._keep_apart(child))
            elif self._apart:
                child = Counter(self._apart.values()).most_common()[-1][0]
            else:
                raise Unavailable("no media process is running", "see System health")
            self._apart[stream] = child
            log.warning("a stream has its own media child", stream=stream, number=child.number)
        if not (child.alive and child.viewers):
            raise Unavailable(f"media child {child.number} is being started")
        return child

    def _forget(self, child: Child) -> bool:
        """Give it no more streams; whether it had any."""
        streams = [stream for stream, own in self._apart.items() if own is child]
        for stream in streams:
            del self._apart[stream]
        return bool(streams)

    async def _keep_apart(self, child: Child) -> None:
        code = await _run(child)
        if self._forget(child) and not self._finished():
            await self._died(child, code)
        self._spare.append(child)

    def _finished(self) -> bool:
        return self._stopping

    async def _keep(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        backoff = 0.1
        while not self._finished():
            started = loop.time()
            code = await _run(child)
            if self._finished():
                return
            await self._died(child, code)
            backoff = 0.1 if loop.time() - started > 30 else min(backoff * 2, 5.0)
            await asyncio.sleep(backoff)

    async def _died(self, child: Child, code: int | None) -> None:
        self.deaths += 1
        log.error("media child died", number=child.number, exit_code=code, apart=child.is_apart)
        await self._on_death(child)


async def _run(child: Child) -> int | None:
    """Its exit code; None where it could not even be run."""
    try:
        return await child.run()
    except (Unavailable, OSError, ExceptionGroup) as err:
        log.error("media child failed", number=child.number, error=str(err))
        return None
