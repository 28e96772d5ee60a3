"""The page docs/channels/event_types.md: what becomes of each type of event that a provider has."""
