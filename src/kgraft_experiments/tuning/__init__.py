"""Tuning: a search for settings that validate better than the defaults."""
