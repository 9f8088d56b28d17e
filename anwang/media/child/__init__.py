"""The remux child process: packets in, fragments out. It never decodes pictures and never opens a database."""
