"""What a Pulumi.<stack>.yaml may say, parsed once into frozen typed values.

`parse` takes the two values of a configuration, `parse_json` the same as texts from Pulumi, `read` a file.
All raise `ConfigError`, which has every mistake with its path.
"""

from components.environment.authentication import ApiKeys, Authentication, Jwt
from components.environment.aws import AwsPlatform
from components.environment.azure import AzurePlatform
from components.environment.borrowed import BorrowedPlatform
from components.environment.capabilities import CAPABILITIES, Capability
from components.environment.cluster import Alerts, Cluster, Gateway, Prices, Source
from components.environment.gcp import GcpPlatform
from components.environment.image import FLAVORS, Architecture, Build, Flavor, ImageBuild
from components.environment.kubernetes import KubernetesPlatform
from components.environment.local import LocalPlatform, Ports
from components.environment.parsing import parse
from components.environment.platforms import Environment, Platform
from components.environment.problems import MISSING, ConfigError, Problem
from components.environment.reading import parse_json, read
from components.environment.tracking import Access, Tracking
from components.environment.values import (
    Autoscaling,
    Canary,
    Model,
    ReleaseRef,
    Resources,
    RiskClass,
    Runtime,
)

__all__ = [
    "CAPABILITIES",
    "FLAVORS",
    "MISSING",
    "Access",
    "Alerts",
    "ApiKeys",
    "Architecture",
    "Authentication",
    "Autoscaling",
    "AwsPlatform",
    "AzurePlatform",
    "BorrowedPlatform",
    "Build",
    "Canary",
    "Capability",
    "Cluster",
    "ConfigError",
    "Environment",
    "Flavor",
    "Gateway",
    "GcpPlatform",
    "ImageBuild",
    "Jwt",
    "KubernetesPlatform",
    "LocalPlatform",
    "Model",
    "Platform",
    "Ports",
    "Prices",
    "Problem",
    "ReleaseRef",
    "Resources",
    "RiskClass",
    "Runtime",
    "Source",
    "Tracking",
    "parse",
    "parse_json",
    "read",
]
