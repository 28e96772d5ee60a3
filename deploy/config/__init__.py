"""Configuration: settings, `touchline.yaml`, and what is checked before a process starts."""
