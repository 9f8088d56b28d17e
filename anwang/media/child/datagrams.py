"""Datagrams of many sockets, read in rounds: whatever came to a socket in the meantime with one system call.

A camera sends a picture as a burst of packets. Woken by each, a process does little but wake up; woken fifty times a
second it finds whole pictures, and nobody sees the fiftieth. A stream that nobody watches can wait longer still. What
waits, waits in the socket's buffer. Python's socket module does not have recvmmsg(2), so libc is called directly.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import mmap
import os
import select
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUND_S = 0.02
#: where nobody watches; what is recorded may be lost by a crash for so much longer
PATIENT_S = 0.1
BATCH = 64
#: bytes from one datagram to the next: the longest there is; memory is taken only where bytes are written
SLOT_BYTES = (1 << 16) + 1472
#: reads of a socket in one round, so that a flood on one port leaves time for the others
MOST_READS = 8
_LONGEST_NAME = 28


class _Head(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("pieces", ctypes.c_void_p),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("head", _Head), ("size", ctypes.c_uint32))


class _Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t))


_receive = ctypes.CDLL(None, use_errno=True).recvmmsg
_receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_receive.restype = ctypes.c_int


class Batch:
    """What one read of a socket brought, until the next read.

    memory: datagram n begins at n * SLOT_BYTES. sizes: in bytes, of each.
    """

    def __init__(self, family: int) -> None:
        """family: AF_INET or AF_INET6, of the sockets that are read."""
        self._family = family
        self.memory = memoryview(mmap.mmap(-1, BATCH * SLOT_BYTES))
        self.sizes: Sequence[int] = ()
        # the kernel writes the length of a name over the room there is for it: one family, one length
        self._name_bytes = 16 if family == socket.AF_INET else _LONGEST_NAME
        self._names = bytearray(BATCH * self._name_bytes)
        self._messages = (_Message * BATCH)()
        self._pieces = (_Piece * BATCH)()
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        names = ctypes.addressof(ctypes.c_char.from_buffer(self._names))
        for number, (message, piece) in enumerate(zip(self._messages, self._pieces, strict=True)):
            piece.start, piece.size = start + number * SLOT_BYTES, SLOT_BYTES
            head = message.head
            head.name, head.name_bytes = names + number * self._name_bytes, self._name_bytes
            head.pieces, head.piece_count = ctypes.addressof(piece), 1
        self._at = ctypes.addressof(self._messages)
        words = memoryview(self._messages).cast("B").cast("I")
        self._sizes = words[_Message.size.offset // 4 :: ctypes.sizeof(_Message) // 4]

    def read(self, descriptor: int) -> int:
        """Read what is there, up to BATCH datagrams; how many came. Raises OSError, BlockingIOError where none did."""
        count: int = _receive(descriptor, self._at, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number == errno.EINTR:
                return 0
            raise OSError(number, os.strerror(number))
        self.sizes = self._sizes[:count].tolist()
        return count

    def name(self, number: int) -> bytes:
        """The address a datagram came from, as the kernel writes it; equal for equal addresses."""
        return bytes(self._names[number * self._name_bytes : (number + 1) * self._name_bytes])

    def is_all_from(self, name: bytes) -> bool:
        """Whether every datagram came from there."""
        count = len(self.sizes)
        return self._names.startswith(name * count)

    def source(self, number: int) -> tuple[str, int]:
        """The host and port a datagram came from."""
        name = self.name(number)
        host = name[4:8] if self._family == socket.AF_INET else name[8:24]
        return socket.inet_ntop(self._family, host), int.from_bytes(name[2:4], "big")

    def datagram(self, number: int) -> bytes:
        """A copy of one of them."""
        return bytes(self.memory[number * SLOT_BYTES : number * SLOT_BYTES + self.sizes[number]])


@dataclass(slots=True)
class _Reader:
    """One socket that is read."""

    batch: Batch
    received: Callable[[Batch], None]
    failed: Callable[[OSError], None]
    is_patient: bool = False


class Pace:
    """Sockets that are read at the same moments, period_s apart while there are any."""

    def __init__(self, period_s: float, read: Callable[[int], None]) -> None:
        """read: gets the descriptor of each socket to which something came."""
        self._period_s = period_s
        self._read = read
        self._ready = select.epoll()
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.waiting: list[Callable[[], None]] = []
        """Called once, at the next moment."""

    def add(self, descriptor: int) -> None:
        """One more."""
        self._ready.register(descriptor, select.EPOLLIN)
        self._count += 1
        self.start()

    def remove(self, descriptor: int) -> None:
        """One less."""
        self._ready.unregister(descriptor)
        self._count -= 1

    def start(self) -> None:
        """Go on, where it stood still."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._period_s, self._round)

    def _round(self) -> None:
        self._timer = None
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()
        if self._count:
            self.start()
            for descriptor, _ in self._ready.poll(0, self._count):
                self._read(descriptor)


class Rounds:
    """Reads the sockets of a process: those somebody waits for every ROUND_S, the others every PATIENT_S."""

    def __init__(self) -> None:
        self._soon, self._later = Pace(ROUND_S, self._read), Pace(PATIENT_S, self._read)
        self._readers: dict[int, _Reader] = {}
        self._batches: dict[int, Batch] = {}

    def add(self, bound: socket.socket, received: Callable[[Batch], None], failed: Callable[[OSError], None]) -> None:
        """Read a socket until `remove`. received: gets each batch, to be used before it returns."""
        batch = self._batches.get(bound.family)
        if batch is None:
            batch = self._batches[bound.family] = Batch(bound.family)
        self._readers[bound.fileno()] = _Reader(batch, received, failed)
        self._soon.add(bound.fileno())

    def remove(self, bound: socket.socket) -> None:
        """Read it no more; before it is closed."""
        if (found := self._readers.pop(bound.fileno(), None)) is not None:
            (self._later if found.is_patient else self._soon).remove(bound.fileno())

    def pace(self, bound: socket.socket, is_patient: bool) -> None:
        """Whether what comes to a socket may wait."""
        found = self._readers.get(bound.fileno())
        if found is not None and found.is_patient is not is_patient:
            before, after = (self._soon, self._later) if is_patient else (self._later, self._soon)
            before.remove(bound.fileno())
            after.add(bound.fileno())
            found.is_patient = is_patient

    def later(self, call: Callable[[], None]) -> None:
        """Call it once, when what may wait has waited."""
        self._later.waiting.append(call)
        self._later.start()

    def _read(self, descriptor: int) -> None:
        for _ in range(MOST_READS):
            found = self._readers.get(descriptor)
            if found is None:
                return  # its end was in what was read
            try:
                count = found.batch.read(descriptor)
            except BlockingIOError:
                return
            except OSError as err:
                found.failed(err)
                return
            if count:
                found.received(found.batch)
            if count < BATCH:
                return
