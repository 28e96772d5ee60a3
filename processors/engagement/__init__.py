"""Engagement: how much happened per hour, channel, type, source, campaign and currency."""
