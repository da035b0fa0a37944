"""The project's own Pulumi provider: pinned releases, local processes, gateway routes."""
