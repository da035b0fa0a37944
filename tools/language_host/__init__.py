"""A Pulumi language host for Python, for the CLI that was built from its Go module.

The official distribution ships a host of its own, and wins wherever it is installed. This one exists because
that host is no Go module that a build can require. It speaks the same protocol (the SDK's own stubs), so
programs, dynamic providers, provider plugins in a folder and policy packs run unchanged.
"""
