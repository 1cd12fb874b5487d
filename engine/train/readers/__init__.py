"""Readers of labelled images as they are published, into training sets."""
