"""GStreamer's RTSP server with one file on it, again and again.

    /usr/bin/python3 rtspserver.py FILE [--port N] [--codec h264|h265] [--sound alaw|mulaw] [--udp]

Not ours, and not FFmpeg's either. The codec is passed through; sound is a tone in G.711 that GStreamer makes. With
--udp it sends over nothing else. Prints its port; ends with its standard input.
"""

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)
parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--port", default="0")
parser.add_argument("--codec", default="h264", choices=("h264", "h265"))
parser.add_argument("--sound", default="", choices=("", "alaw", "mulaw"))
parser.add_argument("--udp", action="store_true")
options = parser.parse_args()
path = options.file.replace("\\", "\\\\").replace('"', '\\"')
loop = GLib.MainLoop()
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(options.port)
factory = GstRtspServer.RTSPMediaFactory()
codec, sound = options.codec, options.sound
payloader = {"alaw": "rtppcmapay name=pay1 pt=8", "mulaw": "rtppcmupay name=pay1 pt=0"}.get(sound, "")
tone = "audiotestsrc freq=440 is-live=true ! audio/x-raw,rate=8000,channels=1"
factory.set_launch(
    f'( filesrc location="{path}" ! qtdemux name=d d.video_0 ! queue ! {codec}parse config-interval=-1 ! '
    f"rtp{codec}pay name=pay0 pt=96 config-interval=-1 "
    + (f"{tone} ! {sound}enc ! {payloader} " if sound else "")
    + ")"
)
factory.set_shared(False)
if options.udp:
    factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
loop.run()
