"""One environment: read what its file says, declare the platform and the models on it, export where they
are.
"""

import pulumi
from pulumi.runtime.config import get_config_env

from components import program
from components.environment import parse_json
from components.platform import declare, deliver

program.prepare()
with program.mistakes_told():
    environment = parse_json(get_config_env(), pulumi.get_project())
    place = declare(environment.platform)
    endpoints = deliver(place, environment.models)

for name, value in place.outputs.items():
    pulumi.export(name, value)
pulumi.export("endpoints", endpoints)
