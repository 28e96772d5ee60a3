"""The way of a request to records, shared by the gateway, imports and replays."""
