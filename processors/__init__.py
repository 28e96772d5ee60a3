"""Stream processors: who is who, profiles, segments and engagement, as pure functions."""
