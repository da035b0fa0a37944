"""What replaces a resource of Google Cloud: the types that are declared, in the form of `immutable.py`.

Source: what is `ForceNew`, in a schema or by a `CustomizeDiff`, in terraform-provider-google at e03b762
(7.46-dev, 2026-08-21), whose sibling terraform-provider-google-beta 7 pulumi-gcp 10 is made from; of each
type every field is here that is set, or that a likely change sets. A field that one direction of a change
replaces stands as one that replaces: `enableL4IlbSubsetting` (switched off), `ipCidrRange` (all but a wider
one), `allowGlobalAccess` (of an internal load balancer).
"""

from __future__ import annotations


def _grant(*parents: str) -> frozenset[str]:
    return frozenset({"condition", "member", "role", *parents})


_NODES = frozenset(
    f"nodeConfig.{name}"
    for name in (
        "advancedMachineFeatures",
        "bootDiskKmsKey",
        "confidentialNodes",
        "ephemeralStorageLocalSsdConfig",
        "guestAccelerators",
        "hostMaintenancePolicy",
        "localNvmeSsdBlockConfig",
        "localSsdCount",
        "maxRunDuration",
        "metadata",
        "minCpuPlatform",
        "nodeGroup",
        "oauthScopes",
        "preemptible",
        "reservationAffinity",
        "secondaryBootDisks",
        "serviceAccount",
        "shieldedInstanceConfig",
        "soleTenantConfig",
        "spot",
    )
)
_TARGET_PROXY = frozenset({"description", "httpKeepAliveTimeoutSec", "name", "project", "region"})

GCP: dict[str, frozenset[str]] = {
    "gcp:artifactregistry/repository:Repository": frozenset(
        {"format", "kmsKeyName", "location", "mode", "project", "repositoryId"}
    ),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": _grant(
        "location", "project", "repository"
    ),
    # Its template is not: a change of it is another revision of the same service.
    "gcp:cloudrunv2/service:Service": frozenset({"location", "name", "project"}),
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": _grant("location", "name", "project"),
    "gcp:compute/firewall:Firewall": frozenset({"direction", "name", "params", "project"}),
    "gcp:compute/forwardingRule:ForwardingRule": frozenset(
        {
            "allPorts",
            "allowGlobalAccess",
            "backendService",
            "description",
            "ipAddress",
            "ipProtocol",
            "ipVersion",
            "loadBalancingScheme",
            "name",
            "network",
            "networkTier",
            "portRange",
            "ports",
            "project",
            "region",
            "serviceLabel",
            "sourceIpRanges",
            "subnetwork",
        }
    ),
    "gcp:compute/globalAddress:GlobalAddress": frozenset(
        {
            "address",
            "addressType",
            "description",
            "ipVersion",
            "name",
            "network",
            "prefixLength",
            "project",
            "purpose",
        }
    ),
    "gcp:compute/network:Network": frozenset(
        {
            "autoCreateSubnetworks",
            "description",
            "internalIpv6Range",
            "name",
            "networkProfile",
            "params",
            "project",
        }
    ),
    "gcp:compute/regionBackendService:RegionBackendService": frozenset(
        {"loadBalancingScheme", "name", "network", "params", "project"}
    ),
    "gcp:compute/regionNetworkEndpointGroup:RegionNetworkEndpointGroup": frozenset(
        {
            "appEngine",
            "cloudFunction",
            "cloudRun",
            "description",
            "name",
            "network",
            "networkEndpointType",
            "project",
            "pscTargetService",
            "region",
            "subnetwork",
        }
    ),
    "gcp:compute/regionTargetHttpProxy:RegionTargetHttpProxy": _TARGET_PROXY,
    "gcp:compute/regionTargetHttpsProxy:RegionTargetHttpsProxy": _TARGET_PROXY,
    "gcp:compute/regionUrlMap:RegionUrlMap": frozenset({"name", "project"}),
    "gcp:compute/router:Router": frozenset(
        {"encryptedInterconnectRouter", "name", "network", "params", "project", "region"}
    ),
    "gcp:compute/routerNat:RouterNat": frozenset(
        {"endpointTypes", "initialNatIps", "name", "project", "region", "router", "type"}
    ),
    "gcp:compute/subnetwork:Subnetwork": frozenset(
        {
            "description",
            "externalIpv6Prefix",
            "ipCidrRange",
            "name",
            "network",
            "params",
            "project",
            "region",
            "reservedInternalRange",
        }
    ),
    "gcp:container/cluster:Cluster": _NODES
    | {
        "clusterIpv4Cidr",
        "confidentialNodes",
        "datapathProvider",
        "defaultMaxPodsPerNode",
        "description",
        "enableAutopilot",
        "enableKubernetesAlpha",
        "enableL4IlbSubsetting",
        "enableTpu",
        "initialNodeCount",
        "ipAllocationPolicy.clusterIpv4CidrBlock",
        "ipAllocationPolicy.clusterSecondaryRangeName",
        "ipAllocationPolicy.servicesIpv4CidrBlock",
        "ipAllocationPolicy.servicesSecondaryRangeName",
        "=ipAllocationPolicy",
        "location",
        "masterAuth.clientCertificateConfig",
        "name",
        "network",
        "networkingMode",
        "privateClusterConfig.masterIpv4CidrBlock",
        "privateClusterConfig.privateEndpointSubnetwork",
        "project",
        "subnetwork",
    },
    "gcp:container/nodePool:NodePool": _NODES
    | {
        "cluster",
        "initialNodeCount",
        "location",
        "maxPodsPerNode",
        "name",
        "namePrefix",
        "networkConfig.createPodRange",
        "networkConfig.podIpv4CidrBlock",
        "networkConfig.podRange",
        "placementPolicy",
        "project",
        "queuedProvisioning",
    },
    "gcp:dns/managedZone:ManagedZone": frozenset({"dnsName", "name", "project", "visibility"}),
    "gcp:dns/recordSet:RecordSet": frozenset({"managedZone", "name", "project"}),
    "gcp:kms/cryptoKey:CryptoKey": frozenset(
        {
            "cryptoKeyBackend",
            "destroyScheduledDuration",
            "importOnly",
            "keyRing",
            "name",
            "purpose",
            "versionTemplate.protectionLevel",
        }
    ),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": _grant("cryptoKeyId"),
    "gcp:kms/keyRing:KeyRing": frozenset({"location", "name", "project"}),
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": frozenset({"bucketId", "location", "project"}),
    "gcp:logging/projectSink:ProjectSink": frozenset({"name", "project"}),
    "gcp:monitoring/alertPolicy:AlertPolicy": frozenset({"project"}),
    "gcp:projects/iAMMember:IAMMember": _grant("project"),
    "gcp:projects/service:Service": frozenset({"project", "service"}),
    "gcp:projects/serviceIdentity:ServiceIdentity": frozenset({"project", "service"}),
    "gcp:secretmanager/secret:Secret": frozenset({"project", "replication", "secretId", "tags"}),
    "gcp:secretmanager/secretVersion:SecretVersion": frozenset(
        {"isSecretDataBase64", "secret", "secretData"}
    ),
    "gcp:serviceaccount/account:Account": frozenset({"accountId", "project"}),
    "gcp:servicenetworking/connection:Connection": frozenset({"network", "service"}),
    "gcp:sql/database:Database": frozenset({"instance", "name", "project"}),
    # Its tier, size, edition and version are not. A private network that is taken away would be.
    "gcp:sql/databaseInstance:DatabaseInstance": frozenset(
        {
            "encryptionKeyName",
            "masterInstanceName",
            "name",
            "project",
            "region",
            "settings.collation",
            "=settings.ipConfiguration.privateNetwork",
        }
    ),
    "gcp:sql/user:User": frozenset({"host", "instance", "name", "project", "type"}),
    "gcp:storage/bucket:Bucket": frozenset(
        {
            "customPlacementConfig",
            "enableObjectRetention",
            "hierarchicalNamespace",
            "location",
            "name",
            "project",
        }
    ),
    "gcp:storage/bucketIAMMember:BucketIAMMember": _grant("bucket"),
}
