"""The routes of /api/v1; each is a thin caller of a service."""
