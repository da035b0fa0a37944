"""The local platform: the whole stack as processes on one machine, listening on 127.0.0.1."""
