"""Fanfold from Python: `Fanfold` calls the HTTP API; `fanfold.worker` runs tasks."""
from .client import Cancelled, Failed, Fanfold, FanfoldError, NotFinished, Request, Unreachable

__all__ = ["Cancelled", "Failed", "Fanfold", "FanfoldError", "NotFinished", "Request", "Unreachable"]
