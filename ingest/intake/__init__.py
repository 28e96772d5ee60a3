"""From a request to records, the same for the gateway, imports and replays.

evaluate        a record or a rejection for each event of a request
accept          a touchpoint as its source states it -> its record
source, limits  the source and the bounds that an evaluation is given
depth           the nesting of a body, before any decoder sees it
decompression   a Content-Encoding undone within a limit
plan            the tracking plan of a source; plan_schema: errors in its schemas
violations      the records of differences from the plan
replay_context  what is stored beside a refused payload, so that it can be read again
"""
