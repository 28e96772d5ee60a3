"""Recomputation of all derived data from the stored data: `touchline rebuild`.

rebuild         chooses the method: in place, or a parallel build followed by the switch
parallel_build  a new epoch on topics of its own, beside the running system
switch          from one generation to the next, without losing a touch
context         connections and processes of a rebuild; processes: worker and sink of the new epoch
history         reads the stored data; replay: publishes it
live_copy       copies the records that arrive meanwhile
progress        of the processes of a generation, and waits for it
cleanup         removes topics and tables of generations that are over
"""
