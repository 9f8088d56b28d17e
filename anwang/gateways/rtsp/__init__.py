"""Cameras that are fetched by URL (RTSP)."""

from anwang.gateways.rtsp.service import NAME, RtspGateway, Source, reseal

__all__ = ["NAME", "RtspGateway", "Source", "reseal"]
