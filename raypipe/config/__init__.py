"""Settings: pydantic only, one module a stage."""
