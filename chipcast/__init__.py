"""chipcast: forecast and plan AI compute, from wafer to token."""

__version__ = "0.1.0"
