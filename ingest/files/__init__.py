"""What is read rather than received: files that are imported, providers that are asked.

`files` says which file is which, `lines` cuts one into lines, `reading` makes records of what a
connector reads, `running` publishes them and moves the cursor.
"""
