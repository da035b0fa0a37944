"""What may be declared in which environment: rules, run by the Pulumi engine in every preview and update.

``policy/rules`` has the rules, ``enforcement.yaml`` says where each one stops an update and where it only
warns, ``exemptions.yaml`` says what is let through, by whom and until when. See docs/policy.md.
"""
