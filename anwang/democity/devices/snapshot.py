"""图像抓拍: a picture of now, taken by a camera and uploaded to where it was told."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import av
from PIL import Image

from anwang.democity.devices.device import Camera
from anwang.democity.pictures import Library
from anwang.kernel.errors import AnwangError, NotFound
from anwang.kernel.times import BEIJING, to_micros
from anwang.runtime import logs
from anwang.wire import gb28181 as gb
from anwang.wire.units import Codec

log = logs.get("democity.snapshot")
UPLOAD_SECONDS = 10.0


async def take(
    camera: Camera, channel: str, shot: gb.SnapShotConfig, library: Library, clock: Callable[[], datetime]
) -> tuple[str, ...]:
    """Take and upload as many as were ordered; the names of those that arrived."""
    arrived = []
    for number in range(shot.count):
        if number:
            await asyncio.sleep(max(1, shot.interval_s or 1))
        at = clock()
        # 2022 A.2.5: device, 02, the time to the millisecond, a number
        local = at.astimezone(BEIJING)
        name = f"{channel}02{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03}{number + 1:02}"
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                await _upload(shot.upload_url, name, picture(camera, library, to_micros(at)))
        except (AnwangError, OSError, TimeoutError, ValueError) as err:
            log.warning("a snapshot could not be uploaded", channel=channel, reason=str(err) or type(err).__name__)
        else:
            arrived.append(name)
    return tuple(arrived)


def picture(camera: Camera, library: Library, micros: int) -> bytes:
    """What the camera sees, as JPEG in the size of its main stream. Raises NotFound while no picture is made yet."""
    point = camera.point
    source = library.source(point.scene, "main", Codec.H264, point.name, camera.head)
    context = av.CodecContext.create(source.codec.value.replace("h265", "hevc"), "r")
    if not isinstance(context, av.VideoCodecContext):
        raise NotFound("no decoder")
    frames = context.decode(av.Packet(source.next(micros).data)) or context.decode(None)
    out = io.BytesIO()
    Image.fromarray(frames[0].to_ndarray(format="rgb24")).save(out, "JPEG", quality=88)
    return out.getvalue()


async def _upload(url: str, name: str, data: bytes) -> None:
    """POST by hand, as small devices do. Raises OSError, ValueError."""
    parts = urlsplit(url)
    secure = None
    if parts.scheme == "https":
        secure = ssl.create_default_context()
        # a camera knows no certificate of the platform's
        secure.check_hostname = False
        secure.verify_mode = ssl.CERT_NONE
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: image/jpeg\r\n"
            f'Content-Disposition: attachment; filename="{name}.jpg"\r\n'
            f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + data)
        await writer.drain()
        status = (await reader.readline()).split()
        if len(status) < 2 or not status[1].startswith(b"2"):
            raise OSError(f"the upload was answered {b' '.join(status).decode('ascii', 'replace')}")
    finally:
        writer.close()
