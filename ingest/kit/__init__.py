"""Shared parts of connectors: fields, signatures, and formats that several providers use.

- events: `json_body` (bodies, and the events in them), `fields` (typed access, the touchpoint),
  `web` (what site and app analytics share)
- senders: `signing` (secrets, signatures and their age), `keyed` (protocols with paths and keys)
- carriers: `sns` and `firehose` (Amazon's), `imap` and `mail_message` (e-mail)
- files: `lines`, `tables`, `table_connector` (rows of a CSV file as requests)
- mappings: `mapping_terms` (shared with webhooks), `mapping`, `mapping_yaml`
"""
