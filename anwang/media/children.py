"""Media children: separate processes that carry packets and never decode; here is their supervision."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from anwang.kernel.errors import AnwangError, Exhausted, Invalid, Unavailable
from anwang.media.control import Codec, FromChild, Hello, Refused, Reserved, Stop, ToChild
from anwang.runtime import logs

log = logs.get(__name__)

ANSWER_SECONDS = 5.0
START_SECONDS = 15.0
STOP_SECONDS = 8.0
READ_BYTES = 1 << 18


class Child:
    """One media child process and the control connection to it."""

    def __init__(
        self, number: int, *, arguments: list[str], run: Path, on_event: Callable[[Child, FromChild], None]
    ) -> None:
        self.number = number
        self.viewers = ""
        self._arguments = arguments
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
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command = [sys.executable, "-m", "anwang.media.child", "--control-fd", str(theirs.fileno())]
            command += ["--run", str(self._run), "--number", str(self.number), *self._arguments]
            self._process = await asyncio.create_subprocess_exec(*command, pass_fds=(theirs.fileno(),))
        self._ended.clear()
        reader, writer = await asyncio.open_connection(sock=ours, limit=READ_BYTES)
        late = asyncio.get_running_loop().call_later(START_SECONDS, self._kill_when_silent)
        try:
            self._writer = writer
            await self._pump(reader)
        finally:
            late.cancel()
            self._writer = None
            self.viewers = ""
            writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Unavailable(f"media child {self.number} ended"))
            self._waiting.clear()
            self._ended.set()
            await self._end()
        return self._process.returncode or 0

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

    async def _pump(self, reader: asyncio.StreamReader) -> None:
        codec: Codec[FromChild] = Codec(FromChild)
        while data := await reader.read(READ_BYTES):
            for message in codec.feed(data):
                match message:
                    case Hello():
                        self.viewers = message.viewers
                        self._on_event(self, message)
                    case Reserved() | Refused():
                        waiting = self._waiting.get(message.ref)
                        if waiting is not None and not waiting.done():
                            waiting.set_result(message)
                    case _:
                        self._on_event(self, message)


class Children:
    """All media children of this process: started, restarted with backoff, stopped."""

    def __init__(
        self,
        count: int,
        *,
        arguments: list[str],
        run: Path,
        on_event: Callable[[Child, FromChild], None],
        on_death: Callable[[Child], Awaitable[None]],
    ) -> None:
        self._children = [Child(n, arguments=arguments, run=run, on_event=on_event) for n in range(count)]
        self._on_death = on_death
        self._stopping = False
        self.deaths = 0

    def __iter__(self) -> itertools.chain[Child]:
        return itertools.chain(self._children)

    def least_loaded(self, load: Callable[[Child], int]) -> Child:
        """The living child that carries least. Raises Unavailable when none lives."""
        living = [c for c in self._children if c.alive and c.viewers]
        if not living:
            raise Unavailable("no media process is running", "see System health")
        return min(living, key=load)

    async def living(self, load: Callable[[Child], int]) -> Child:
        """As least_loaded, but a child that is just being started again is waited for. Raises Unavailable."""
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        while True:
            try:
                return self.least_loaded(load)
            except Unavailable:
                if self._stopping or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def run(self) -> None:
        """Keep all children running until stop()."""
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(self._keep(child))

    async def ready(self) -> None:
        """Wait until every child has said hello. Raises Unavailable."""
        for child in self._children:
            await child.ready()

    async def stop(self) -> None:
        """Let every child seal what it writes and leave."""
        self._stopping = True
        await asyncio.gather(*(child.stop() for child in self._children))

    def _finished(self) -> bool:
        return self._stopping

    async def _keep(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        backoff = 0.1
        while not self._finished():
            started = loop.time()
            try:
                code: int | None = await child.run()
            except (Unavailable, OSError, ExceptionGroup) as err:
                log.error("media child failed", number=child.number, error=str(err))
                code = None
            if self._finished():
                return
            self.deaths += 1
            log.error("media child died", number=child.number, exit_code=code)
            await self._on_death(child)
            backoff = 0.1 if loop.time() - started > 30 else min(backoff * 2, 5.0)
            await asyncio.sleep(backoff)
