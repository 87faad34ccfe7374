"""unquiet hears when AI agents in production quietly start to behave differently."""

__version__ = "0.1.0"
