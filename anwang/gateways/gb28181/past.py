"""What GB/T 28181 devices keep: RecordInfo, Playback, Download, MANSRTSP, cruises, home position, snapshots.

Implements access.DeviceArchive on top of the gateway's sessions and calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from anwang.access import (
    Address,
    Answered,
    CruiseStop,
    CruiseTrack,
    DeviceRecord,
    DeviceRecords,
    Home,
    Pause,
    Pushed,
    Receiver,
    RecordSort,
    Resume,
    Scale,
    Seek,
    Steer,
    Steered,
    Stream,
    Stretch,
    Trace,
)
from anwang.gateways.gb28181.calls import Calls
from anwang.gateways.gb28181.line import Line
from anwang.gateways.gb28181.questions import Questions
from anwang.kernel.errors import AnwangError, Exhausted, Unsupported, WireError
from anwang.wire.gb28181 import (
    V2022,
    Assembled,
    Assembly,
    CruiseTrackListQuery,
    CruiseTrackListResponse,
    CruiseTrackQuery,
    CruiseTrackResponse,
    DeviceConfig,
    HomePositionQuery,
    HomePositionResponse,
    Outcome,
    RecordInfoQuery,
    RecordInfoResponse,
    RecordItem,
    SnapShotConfig,
    UploadSnapShotFinished,
    mansrtsp,
    record_identity,
)
from anwang.wire.sdp import Sdp, SessionName

QUIET_SECONDS = 5.0
#: a single message whose SumNum counts only itself is doubted for so long
SETTLE_SECONDS = 1.0
STEER_SECONDS = 5.0
MOST_RECORDS = 20_000
MOST_TRACKS = 32
MOST_WAITING = 8
_SORTS = {"time": "time", "alarm": "alarm", "manual": "manual"}


@dataclass(slots=True)
class _Search:
    """One RecordInfo query on its way."""

    assembly: Assembly[RecordItem]
    refusal: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Queue:
    """A device is asked one search at a time: recorders mix up answers to several."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class PastOfDevices:
    """See the module. on_snapped: a device has finished uploading: its code, the session, the names of the files."""

    def __init__(self, line: Line, questions: Questions, calls: Calls, *, first_s: float) -> None:
        """first_s: patience for the first message of an answer."""
        self._line = line
        self._questions = questions
        self._calls = calls
        self._first_s = first_s
        self._searches: dict[tuple[str, int], _Search] = {}
        self._queues: dict[str, _Queue] = {}
        self._cseq = itertools.count(1)
        self.on_snapped: Callable[[str, str, Sequence[str]], None] = lambda device, session, files: None
        self.strays = 0
        """Messages of answers that nobody waits for, any more."""

    # --- records --------------------------------------------------------------------------------------------------

    async def records(self, address: Address, start: datetime, end: datetime, sort: RecordSort) -> DeviceRecords:
        """RecordInfo. Raises Unavailable, Unsupported, Exhausted.

        The SIP To decides where is searched (GB/T 28181-2016 A.2.4.5): it names the device that registered, so a
        recorder searches its disks and a lower platform its centre.
        """
        self._questions.reach(address.device)
        queue = self._queues.setdefault(address.device, _Queue())
        if queue.waiting >= MOST_WAITING:
            raise Exhausted(f"{MOST_WAITING} searches wait for device {address.device}", "try again in a minute")
        queue.waiting += 1
        try:
            async with queue.lock:
                found = await self._search(address, start, end, sort)
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                self._queues.pop(address.device, None)
        return _records(found, start, end)

    async def _search(
        self, address: Address, start: datetime, end: datetime, sort: RecordSort
    ) -> Assembled[RecordItem]:
        questions, sn = self._questions, self._questions.next_sn()
        assembly: Assembly[RecordItem] = Assembly(
            record_identity, first_s=self._first_s, quiet_s=QUIET_SECONDS, settle_s=SETTLE_SECONDS, max_open=1,
            max_items=MOST_RECORDS,
        )  # fmt: skip
        search = self._searches[address.device, sn] = _Search(assembly)
        # recorders of one maker answer nothing to a query without Type; the times are whole seconds of civil time
        query = RecordInfoQuery(sn=sn, device_id=address.channel, start=start, end=end, sort=sort.value)
        assembly.expect(address.device, sn, self._line.now())
        try:
            await questions.tell(address.device, query)
            while True:
                for ended in assembly.events():
                    return ended
                if search.refusal:
                    raise Unsupported(f"device {address.device} refuses to search: {search.refusal}")
                due = (assembly.timer() or 0.0) - self._line.now()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due) + 0.01):
                        await search.changed.wait()
                search.changed.clear()
                assembly.tick(self._line.now())
        finally:
            del self._searches[address.device, sn]

    def came(self, device: str, message: RecordInfoResponse) -> None:
        """A message of an answer."""
        search = self._searches.get((device, message.sn))
        if search is None:
            self.strays += 1
            return
        search.assembly.add(device, message.sn, message.total, message.items, self._line.now())
        search.changed.set()

    def refused(self, device: str, message: Outcome) -> None:
        """A bare OK or ERROR where files were asked for."""
        search = self._searches.get((device, message.sn))
        if search is None:
            self.strays += 1
        elif message.is_ok:
            search.assembly.add(device, message.sn, 0, (), self._line.now())
            search.changed.set()
        else:
            search.refusal = message.reason or "ERROR"
            search.changed.set()

    # --- playback and download ------------------------------------------------------------------------------------

    async def open_past(
        self, address: Address, stream: Stream, stretch: Stretch, receiver: Receiver, trace: Trace
    ) -> Pushed:
        """INVITE with s=Playback or s=Download. Raises as access.Gateway."""
        return await self._calls.invite(
            address, stream, receiver, trace, shape=lambda offer: past_offer(offer, address.channel, stretch), past=True
        )

    async def steer(self, dialog: str, order: Steer) -> Steered:
        """INFO with MANSRTSP. Raises Unsupported, Unavailable, NotFound, Conflict."""
        command = _command(order, next(self._cseq) & 0x7FFFFFFF)
        body = mansrtsp.serialize_command(command)
        response = await self._questions.ask_in_call(
            int(dialog), "INFO", content_type=mansrtsp.CONTENT_TYPE, body=body, seconds=STEER_SECONDS
        )
        if not response.is_ok:
            raise Unsupported(f"the device answered {response.status} {response.reason}".rstrip())
        if not response.body.strip():
            return Steered()
        try:
            answer = mansrtsp.parse_answer(response.body)
        except WireError:
            return Steered()  # the SIP 200 counts; what stands in it is not ours to judge
        if answer.status != 200:
            raise Unsupported(f"the device answered {answer.status} {answer.reason}".rstrip())
        return Steered(seconds=answer.start, scale=answer.scale)

    # --- heads ----------------------------------------------------------------------------------------------------

    async def cruises(self, address: Address) -> Sequence[CruiseTrack]:
        """CruiseTrackListQuery, then CruiseTrackQuery of each (2022). Raises Unavailable, Unsupported."""
        questions, device = self._questions, address.device
        self._since_2022(address, "cruises can't be listed", "they can be started by number")
        listing = CruiseTrackListQuery(sn=questions.next_sn(), device_id=address.channel)
        listed = await questions.query(device, listing, CruiseTrackListResponse)
        found = []
        for track in listed.tracks[:MOST_TRACKS]:
            query = CruiseTrackQuery(sn=questions.next_sn(), device_id=address.channel, number=track.number)
            try:
                told = await questions.query(device, query, CruiseTrackResponse)
            except AnwangError:
                told = CruiseTrackResponse(sn=query.sn)  # it can be started, whatever it consists of
            stops = [CruiseStop(preset=p.preset, stay_s=p.stay_s, speed=p.speed) for p in told.points]
            found.append(CruiseTrack(number=track.number, name=track.name or told.name, stops=stops))
        return found

    async def home(self, address: Address) -> Home | None:
        """HomePositionQuery (2022). Raises Unavailable, Unsupported."""
        self._since_2022(address, "the home position can't be asked for", "it can be set")
        query = HomePositionQuery(sn=self._questions.next_sn(), device_id=address.channel)
        told = await self._questions.query(address.device, query, HomePositionResponse)
        if told.home is None:
            return None
        return Home(is_on=told.home.is_enabled, reset_s=told.home.reset_s, preset=told.home.preset)

    def _since_2022(self, address: Address, what: str, hint: str) -> None:
        if self._questions.reach(address.device).version < V2022:
            raise Unsupported(f"{what}: device {address.device} speaks an edition before 2022", hint)

    # --- snapshot -------------------------------------------------------------------------------------------------

    async def snap(self, address: Address, *, url: str, session: str) -> None:
        """SnapShotConfig (GB/T 28181-2022 9.14). Raises Unavailable, Unsupported."""
        questions = self._questions
        self._since_2022(address, "no picture of its own", "take the picture from the stream")
        config = DeviceConfig(
            sn=questions.next_sn(),
            device_id=address.channel,
            snapshot=SnapShotConfig(count=1, interval_s=1, upload_url=url, session_id=session),
        )
        told = await questions.query(address.device, config, Outcome)
        if not told.is_ok:
            raise Unsupported(f"device {address.device} refuses to take a picture {told.reason}".rstrip())

    def snapped(self, device: str, message: UploadSnapShotFinished) -> None:
        """The device says that it has uploaded."""
        self.on_snapped(device, message.session_id, message.files)

    def our_host(self, address: Address) -> str:
        """Our address as the device reaches it. Raises Unavailable."""
        session = self._questions.reach(address.device)
        return self._line.local(session.peer)[0]


def past_offer(offer: Sdp, channel: str, stretch: Stretch) -> Sdp:
    """The offer of a live stream made into one of a recording (GB/T 28181-2016 annex F).

    t= holds whole seconds, widened so that nothing asked for is missing.
    """
    start, end = int(stretch.start.timestamp()), -int(-stretch.end.timestamp() // 1)
    name = SessionName.PLAYBACK if stretch.speed is None else SessionName.DOWNLOAD
    media = tuple(replace(one, download_speed=stretch.speed) for one in offer.media)
    return replace(offer, name=name, uri=f"{channel}:0", start=start, stop=end, media=media)


def _command(order: Steer, cseq: int) -> mansrtsp.Command:
    match order:
        case Seek(seconds=seconds):
            return mansrtsp.Play(cseq=cseq, start=max(0.0, seconds))
        case Scale(factor=factor):
            return mansrtsp.Play(cseq=cseq, scale=factor)
        case Pause():
            return mansrtsp.Pause(cseq=cseq)
        case Resume():
            return mansrtsp.Play(cseq=cseq)


def _records(found: Assembled[RecordItem], start: datetime, end: datetime) -> DeviceRecords:
    """By start, clipped to what was asked for; entries without times are counted."""
    items = []
    unusable = 0
    for one in found.items:
        if one.start is None or one.end is None or one.end <= one.start:
            unusable += 1
            continue
        first, last = max(one.start, start), min(one.end, end)
        if last <= first:
            continue  # outside of what was asked for
        items.append(
            DeviceRecord(
                start=first.astimezone(UTC),
                end=last.astimezone(UTC),
                name=one.name,
                sort=_SORTS.get(one.sort.strip().lower(), one.sort[:32]),
                size_bytes=one.size_bytes,
                place=one.location or one.recorder_id,
            )
        )
    answered = Answered.COMPLETE if found.is_complete else Answered.PARTIAL if found.packets else Answered.SILENT
    items.sort(key=lambda one: (one.start, one.end))
    return DeviceRecords(items=items, answered=answered, announced=found.total, unusable=unusable)
