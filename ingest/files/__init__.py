"""Input that is read rather than received: imported files and providers that are polled.

`identity` says which file is which, `reader` makes records of what a connector reads, `publish`
publishes them and moves the cursor, `pull` does the same for providers again and again.
"""
