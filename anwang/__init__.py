"""Anwang 安网: the open platform for a city's safety-video network."""

__version__ = "0.1.0"
