"""What the worker lets people and machines see of itself: log, metrics, status, HTTP."""
