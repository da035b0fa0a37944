"""Plan any environment without an account: the real engine on stand-ins for the providers (docs/plan.md)."""
