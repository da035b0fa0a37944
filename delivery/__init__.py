"""What people run around Pulumi."""
