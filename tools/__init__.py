"""What a checkout needs before Pulumi can run: toolchain, environment, the wrapper `pulumiw`, a language
host."""
