"""What a Pulumi.<stack>.yaml may say, parsed once into frozen typed values.

`parse` takes the two values of a configuration, `parse_json` the same as texts from Pulumi, `read` a file.
All raise `ConfigError`, which has every mistake with its path.
"""

from components.environment.parsing import parse
from components.environment.problems import MISSING, ConfigError, Problem
from components.environment.reading import PROJECT, parse_json, read
from components.environment.values import (
    Autoscaling,
    Canary,
    Environment,
    LocalPlatform,
    Model,
    Platform,
    Ports,
    ReleaseRef,
    RiskClass,
    Runtime,
)

__all__ = [
    "MISSING",
    "PROJECT",
    "Autoscaling",
    "Canary",
    "ConfigError",
    "Environment",
    "LocalPlatform",
    "Model",
    "Platform",
    "Ports",
    "Problem",
    "ReleaseRef",
    "RiskClass",
    "Runtime",
    "parse",
    "parse_json",
    "read",
]
