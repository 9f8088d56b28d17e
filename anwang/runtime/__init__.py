"""Machinery without domain words: clock, tasks, sockets, settings, jobs, logs, metrics, secrets."""
