"""Processes: made from the configuration, started, supervised; their logs and metrics.

gateway, worker, sink, pull  the processes of production
factories/          connections, sources and stages, made from the configuration
membership          a process waits for its generation, and ends with it
supervisor          starts, awaits, restarts and stops children; processes: children end with us
signals             Ctrl-C and SIGTERM, as an event or as an exception
logs, metrics/      what a process says of itself
garbage_collection  Python's collector, tuned for servers
"""
