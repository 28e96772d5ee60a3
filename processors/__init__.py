"""Stream processors: identity resolution, profiles, segments and engagement, as pure functions."""
