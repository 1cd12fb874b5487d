"""The errors the engine raises on purpose.

``EngineError`` is the only exception a caller has to catch; each message says what is wrong and what to do.

- ``EngineError``
    - ``ImageError``: a file that cannot be read as an image
    - ``ModelError``: weights, cards and networks that do not fit
    - ``DataError``: training sets and catalogues that do not fit
    - ``ProjectError``: project files that cannot be opened, written or shared
        - ``ConnectionLostError``: a server that does not answer, or no longer
    - ``ExchangeError``: another program or service that does not answer as it should
    - ``ClusterError``: workers that cannot be had, are lost, or do not fit
"""


class EngineError(Exception):
    """Something the user can put right; the message says how."""


class ImageError(EngineError):
    """A file that cannot be read as an image."""


class ModelError(EngineError):
    """Weights, a model card or a network that does not fit what is asked of it."""


class DataError(EngineError):
    """A training set or catalogue that does not fit what is asked of it."""


class ProjectError(EngineError):
    """A project file that cannot be opened, written or shared."""


class ConnectionLostError(ProjectError):
    """The server of a shared project does not answer, or no longer."""


class ExchangeError(EngineError):
    """Another program or a service on the network that cannot be reached, or does not answer as it should."""


class ClusterError(EngineError):
    """Workers of a cluster that cannot be had, are lost, or do not fit what is asked of them."""
