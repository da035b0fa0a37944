"""The project's own Pulumi provider: releases pinned from the registry, local processes, and gateway routes."""
