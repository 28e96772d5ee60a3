"""Engagement: counters per hour, channel, type, source, campaign and currency.

They are kept by the stage trails, whose touches they count, and published to `engagement`. Each
home partition owns its counters and publishes absolute values; the view sums over homes. A late
touch updates the window in which it occurred.

rows      the counters in stored and in published form
counting  the touches of a batch, counted each exactly once
"""
