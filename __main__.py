"""One environment: read what its file says, declare the platform and the models on it, export where they
are.
"""

import pulumi
from pulumi.runtime.config import get_config_env

from components.environment import ConfigError, parse_json
from components.platform import declare, deliver

prefix = f"{pulumi.get_project()}:"
config = {
    key.removeprefix(prefix): value for key, value in get_config_env().items() if key.startswith(prefix)
}
platform, models = config.pop("platform", None), config.pop("models", None)
try:
    environment = parse_json(platform, models, others=config)
except ConfigError as error:
    raise pulumi.RunError(str(error)) from None

place = declare(environment.platform)
endpoints = {model.name: deliver(place, model) for model in environment.models}

for name, value in place.outputs.items():
    pulumi.export(name, value)
pulumi.export("endpoints", endpoints)
