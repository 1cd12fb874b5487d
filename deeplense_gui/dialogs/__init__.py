"""Dialogs and notices: what the window asks and tells."""
