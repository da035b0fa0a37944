"""What happens if the same resource is created twice, by type: whether a replacement can end its successor.

The engine creates a replacement before it deletes what it replaces, unless the program or the provider asks
for the other order; after ``--replace`` and ``state taint`` it asks no provider. See
docs/decisions/0023-what-is-replaced.md. A type that isn't here fails the tests.

Sources. Kubernetes: since pulumi-kubernetes 4.29.0 (#2926, its CHANGELOG and ``provider/pkg/await/await.go``)
the creation of an object that exists fails; 4.34.2 is locked here. Azure: azure-native asks before it creates
("cannot create already existing resource"). AWS and Google Cloud: the create functions in
terraform-provider-aws and terraform-provider-google, as far as stored copies have them, and what the API's
reference says of the call that they make. AttachRolePolicy, RegisterTargets, RegisterScalableTarget,
PutMetricAlarm, AssociateAccessPolicy, PutProvisionedConcurrencyConfig, SetRepositoryPolicy and S3's Put*
accept what is there; additive IAM members likewise; for a log bucket the function is called AcquireOrCreate.
EC2's CreateRoute, Cloud SQL's users and service networking's connections are counted to these, since it isn't
certain that they refuse. The rest answer that it exists.
"""

from __future__ import annotations

from typing import Final, Literal

Identity = Literal["new", "refused", "taken over", "kept", "ended first"]
"""``new``: every creation has an id or a name of its own. ``refused``: the second creation fails while the
first is there, the update with it, and nothing is ended. ``taken over``: the second creation succeeds and is
the first. ``kept``: taken over too, but deletion leaves it. ``ended first``: would be refused, and the
component that declares it says that the old one goes first."""


def _of(package: str, identity: Identity, *types: str) -> dict[str, Identity]:
    return {f"{package}:{module}:{name}": identity for module, _, name in (t.rpartition(":") for t in types)}


def _typed(package: str, identity: Identity, *modules: str) -> dict[str, Identity]:
    """By module, of which the type's name follows: ``ec2/eip`` is ``aws:ec2/eip:Eip``."""
    return {
        f"{package}:{module}:{name[0].upper()}{name[1:]}": identity
        for module, name in ((m, m.rpartition("/")[2]) for m in modules)
    }


IDENTITIES: Final[dict[str, Identity]] = {
    **_typed(
        "aws",
        "new",
        *("apigatewayv2/api", "apigatewayv2/integration", "apigatewayv2/vpcLink", "appautoscaling/policy"),
        *("ec2/eip", "ec2/launchTemplate", "ec2/routeTable", "ec2/securityGroup", "ec2/vpc", "eks/nodeGroup"),
        *("iam/role", "iam/rolePolicy", "kms/key", "lambda/permission", "lb/listenerRule", "rds/subnetGroup"),
        *("sagemaker/endpointConfiguration", "sagemaker/model", "scheduler/schedule"),
        "secretsmanager/secretVersion",
    ),
    **_typed(
        "aws",
        "refused",
        *("apigatewayv2/route", "apigatewayv2/stage", "cloudwatch/logGroup"),
        # By the addresses, the network or the destination that they share.
        *("ec2/flowLog", "ec2/internetGateway", "ec2/natGateway", "ec2/routeTableAssociation", "ec2/subnet"),
        *("ec2/vpcEndpoint", "vpc/securityGroupEgressRule", "vpc/securityGroupIngressRule"),
        *("ecr/repository", "eks/accessEntry", "eks/addon", "eks/cluster", "eks/podIdentityAssociation"),
        *("kms/alias", "lambda/alias", "lambda/function", "lb/listener", "lb/loadBalancer", "lb/targetGroup"),
        *("rds/instance", "s3/bucket", "sagemaker/endpoint", "secretsmanager/secret"),
    ),
    **_typed(
        "aws",
        "taken over",
        *(
            "appautoscaling/target",
            "autoscaling/tag",
            "cloudwatch/metricAlarm",
            "ec2/route",
            "ecr/lifecyclePolicy",
        ),
        *("ecr/repositoryPolicy", "eks/accessPolicyAssociation", "iam/rolePolicyAttachment"),
        *("lambda/provisionedConcurrencyConfig", "lb/targetGroupAttachment", "s3/bucketVersioning"),
        *("s3/bucketLifecycleConfiguration", "s3/bucketOwnershipControls", "s3/bucketPolicy"),
        *("s3/bucketPublicAccessBlock", "s3/bucketServerSideEncryptionConfiguration"),
    ),
    # The VPC's own group, which EC2 neither makes nor deletes.
    **_typed("aws", "kept", "ec2/defaultSecurityGroup"),
    **_typed(
        "gcp",
        "new",
        *("compute/firewall", "compute/forwardingRule", "compute/globalAddress", "compute/network"),
        *("compute/regionBackendService", "compute/regionNetworkEndpointGroup", "compute/regionUrlMap"),
        *("compute/regionTargetHttpProxy", "compute/regionTargetHttpsProxy", "compute/router"),
        *("container/nodePool", "kms/cryptoKey", "kms/keyRing", "logging/projectSink"),
        *("monitoring/alertPolicy", "secretmanager/secretVersion", "sql/databaseInstance"),
    ),
    **_typed(
        "gcp",
        "refused",
        *("artifactregistry/repository", "cloudrunv2/service", "container/cluster", "secretmanager/secret"),
        # By the addresses, the domain or the network that they share.
        *("compute/routerNat", "compute/subnetwork", "dns/managedZone", "dns/recordSet"),
        *("serviceaccount/account", "sql/database", "storage/bucket"),
    ),
    **_of(
        "gcp",
        "taken over",
        "artifactregistry/repositoryIamMember:RepositoryIamMember",
        "cloudrunv2/serviceIamMember:ServiceIamMember",
        "kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
        "logging/projectBucketConfig:ProjectBucketConfig",
        "projects/iAMMember:IAMMember",
        "servicenetworking/connection:Connection",
        "sql/user:User",
        "storage/bucketIAMMember:BucketIAMMember",
    ),
    # A service stays enabled (disableOnDestroy is false); an identity is the project's for good.
    **_typed("gcp", "kept", "projects/service", "projects/serviceIdentity"),
    **_of(
        "kubernetes",
        "refused",
        "apps/v1:Deployment",
        "autoscaling/v2:HorizontalPodAutoscaler",
        "batch/v1:Job",
        *(f"core/v1:{kind}" for kind in ("ConfigMap", "Namespace", "PersistentVolumeClaim", "Secret")),
        *("core/v1:Service", "core/v1:ServiceAccount"),
        *(
            f"gateway.envoyproxy.io/v1alpha1:{kind}"
            for kind in ("BackendTrafficPolicy", "ClientTrafficPolicy")
        ),
        *(f"gateway.envoyproxy.io/v1alpha1:{kind}" for kind in ("EnvoyProxy", "SecurityPolicy")),
        "gateway.networking.k8s.io/v1:Gateway",
        "gateway.networking.k8s.io/v1:GatewayClass",
        "gateway.networking.k8s.io/v1:HTTPRoute",
        "gateway.networking.k8s.io/v1beta1:ReferenceGrant",
        # Helm: "cannot re-use a name that is still in use".
        "helm.sh/v3:Release",
        "http.keda.sh/v1beta1:InterceptorRoute",
        "keda.sh/v1alpha1:ScaledObject",
        "monitoring.coreos.com/v1:PrometheusRule",
        "monitoring.coreos.com/v1:ServiceMonitor",
        "networking.k8s.io/v1:NetworkPolicy",
        "policy/v1:PodDisruptionBudget",
        *(
            f"rbac.authorization.k8s.io/v1:{kind}{what}"
            for kind in ("ClusterRole", "Role")
            for what in ("", "Binding")
        ),
    ),
    # Kubernetes changes nothing of what replaces it, so there is no other way than a new one.
    **_of("kubernetes", "ended first", "storage.k8s.io/v1:StorageClass"),
    **_of("azure-native", "ended first", "machinelearningservices:OnlineEndpoint"),
    **_of(
        "azure-native",
        "refused",
        "machinelearningservices:OnlineDeployment",
        "resources:Deployment",
    ),
    # Declared to stay (retain_on_delete).
    **_of("azure-native", "kept", "machinelearningservices:EnvironmentVersion"),
    **_of("docker-build", "kept", "index:Image"),
}
