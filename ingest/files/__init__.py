"""Input that is read rather than received: imported files and providers that are polled.

`files` says which file is which, `lines` cuts one into lines, `reading` makes records of what a
connector reads, `running` publishes them and moves the cursor.
"""
