"""One environment: read what its file says, declare the platform and the models on it, export where they
are."""

import pulumi

from components.environment import ConfigError, parse_json
from components.platform import declare

config = pulumi.Config()
try:
    environment = parse_json(config.get("platform"), config.get("models"))
except ConfigError as error:
    raise pulumi.RunError(str(error)) from None

place = declare(environment.platform)
endpoints = {model.name: place.serve(model) for model in environment.models}

for name, value in place.outputs.items():
    pulumi.export(name, value)
pulumi.export("endpoints", endpoints)
