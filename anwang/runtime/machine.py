"""Facts about the machine: time source, kernel buffers, disk, own addresses. Read, never changed."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSource:
    """What the kernel says of its clock. synchronised: some daemon steers it. error_us: its estimate, microseconds."""

    synchronised: bool
    offset_us: int
    error_us: int


class _Timex(ctypes.Structure):
    """`struct timex` of Linux (adjtimex(2)), as far as it is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


_UNSYNCHRONISED = 0x40
_NANOSECONDS = 0x2000


def time_source() -> TimeSource | None:
    """The kernel's own view of its clock, or None where it can't be asked (not Linux)."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        timex = _Timex()
        if libc.adjtimex(ctypes.byref(timex)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    offset = timex.offset // 1000 if timex.status & _NANOSECONDS else timex.offset
    return TimeSource(synchronised=not timex.status & _UNSYNCHRONISED, offset_us=offset, error_us=timex.esterror)


def kernel_number(name: str) -> int | None:
    """A kernel setting such as `net.core.rmem_max`, or None where it can't be read."""
    try:
        return int((Path("/proc/sys") / name.replace(".", "/")).read_text())
    except (OSError, ValueError):
        return None


def udp_drops() -> int | None:
    """Datagrams that the kernel dropped since boot because a socket's buffer was full, or None."""
    try:
        lines = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")]
        return int(lines[1][lines[0].index("RcvbufErrors")])
    except (OSError, ValueError, IndexError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpSocket:
    """A bound datagram socket as the kernel sees it. queued_bytes: received and not read. drops: for want of room."""

    queued_bytes: int
    drops: int


def udp_sockets(port: int) -> list[UdpSocket] | None:
    """The datagram sockets bound to a port, IPv4 and IPv6, or None where the kernel does not tell (not Linux)."""
    found = []
    try:
        for table in ("/proc/net/udp", "/proc/net/udp6"):
            if not Path(table).exists():
                continue  # a kernel without IPv6
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port:
                    queued = int(fields[4].partition(":")[2], 16)
                    found.append(UdpSocket(queued_bytes=queued, drops=int(fields[12])))
    except (OSError, ValueError, IndexError):
        return None
    return found if Path("/proc/net/udp").exists() else None


def lock_holder(path: Path) -> int | None:
    """The process that holds a flock on a file (/proc/locks), or None for nobody that can be seen from here."""
    try:
        status = path.stat()
        mark = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5] == mark and int(fields[4]) > 0:
                return int(fields[4])
    except (OSError, ValueError, IndexError):
        return None
    return None


def holds_port(pid: int, port: int, *, udp: bool) -> bool | None:
    """Whether a process has a socket bound to the port, or None where that cannot be seen."""
    try:
        own = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
        for table in ("udp", "udp6") if udp else ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and f"socket:[{fields[9]}]" in own:
                    return True
    except (OSError, ValueError, IndexError):
        return None
    return False


def outgoing_ports() -> set[int] | None:
    """Ports that the kernel takes for outgoing connections, without the reserved ones; None where it does not tell."""
    try:
        first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        reserved = Path("/proc/sys/net/ipv4/ip_local_reserved_ports").read_text().strip()
        found = set(range(first, last + 1))
        for part in filter(None, reserved.split(",")):
            low, _, high = part.partition("-")
            found -= set(range(int(low), int(high or low) + 1))
    except (OSError, ValueError):
        return None
    return found


def mount_of(folder: Path) -> tuple[Path, int]:
    """The nearest folder that exists, and a number that tells its file system from others."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder, folder.stat().st_dev


def free_bytes(folder: Path) -> int:
    """Free space for this process on the file system of a folder."""
    return shutil.disk_usage(folder).free


def open_files_limit() -> int:
    """How many files and sockets the process may open."""
    import resource  # not on every system; only asked for here

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def own_address_towards(host: str, port: int = 9) -> str:
    """Our address that a peer would see packets from, by the routing table; nothing is sent. Raises OSError."""
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        address: str = probe.getsockname()[0]
        return address


def outward_address(version: int = 4) -> str:
    """Our address that other machines would use: by the default route, else by our name, else loopback.

    version: 4 or 6; `::` serves IPv4 too, so without any IPv6 address the answer is an IPv4 one.
    """
    for probe in ("2001:db8::1", "192.0.2.1") if version == 6 else ("192.0.2.1",):  # documentation's: never anybody
        try:
            found = own_address_towards(probe)
        except OSError:
            continue
        if not ipaddress.ip_address(found.partition("%")[0]).is_loopback:
            return found
    try:
        named = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    except OSError:
        named = set()
    return next((address for address in sorted(named) if not ipaddress.ip_address(address).is_loopback), "127.0.0.1")


def resident_bytes(pid: int | None = None) -> int:
    """Resident memory of a process (ours when None), 0 where it can't be read."""
    try:
        pages = int(Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
