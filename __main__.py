"""One environment: read what its file says, declare the platform and the models on it, export where they
are.
"""

from typing import Any

import pulumi
from pulumi.runtime.config import get_config_env

from components import program
from components.environment import ConfigError, parse_json
from components.platform import declare, deliver


def environment() -> dict[str, Any]:
    try:
        wanted = parse_json(get_config_env(), pulumi.get_project())
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    place = declare(wanted.platform)
    return {**place.outputs, "endpoints": deliver(place, wanted.models)}


program.run(environment)
