"""What can be wrong with a trace or with the installation."""


class TraceError(ValueError):
    """The file is no trace of a QUIC connection, is damaged, or is too large to be drawn."""


class MissingExtraError(ImportError):
    """An optional package is not installed; the message says how to get it."""
