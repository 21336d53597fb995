"""A folder that publishes itself on data.gouv.fr, or on any other udata portal."""

__version__ = "0.1.0"
