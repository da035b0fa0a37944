"""Which changes a provider makes by a replacement: a table of what is used here, since the SDKs don't say it.

A path without indexes stands for everything below it, one after `=` for a block that comes or goes. What
isn't in the table is updated in place.

Sources. Kubernetes: `provider/pkg/provider/diff.go` of pulumi-kubernetes 4. AWS: what is `ForceNew` in the
schemas of terraform-provider-aws 6, which pulumi-aws 7 is made from, read on 2026-11-24 in stored copies of
its `main` (none newer than spring 2026). Read there: SageMaker, Lambda's function, alias and permission,
load balancers and target groups, API Gateway's integration and VPC link, autoscaling targets, EKS clusters,
node groups and access policies, VPC endpoints, flow logs, ECR's lifecycle policy, RDS instances, secrets'
versions. For the other types these are the arguments that AWS' API has no call to change, compared with what
the documentation in pulumi-aws 7.51.1 says of replacements. Google Cloud: `immutable_gcp.py`.
"""

from __future__ import annotations

import re

from planning.immutable_gcp import GCP

_METADATA = frozenset({"metadata.name", "metadata.namespace"})

_KUBERNETES: dict[str, frozenset[str]] = {
    "kubernetes:apps/v1:Deployment": frozenset({"spec.selector"}),
    "kubernetes:apps/v1:StatefulSet": frozenset(
        {
            "spec.podManagementPolicy",
            "spec.revisionHistoryLimit",
            "spec.selector",
            "spec.serviceName",
            "spec.volumeClaimTemplates",
        }
    ),
    "kubernetes:batch/v1:Job": frozenset(
        {"spec.completions", "spec.parallelism", "spec.selector", "spec.template"}
    ),
    # Unless the provider is told enableConfigMapMutable or enableSecretMutable.
    "kubernetes:core/v1:ConfigMap": frozenset({"binaryData", "data"}),
    "kubernetes:core/v1:Secret": frozenset({"type", "data", "stringData"}),
    "kubernetes:core/v1:PersistentVolumeClaim": frozenset({"spec"}),
    "kubernetes:core/v1:Service": frozenset({"spec.clusterIP"}),
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": frozenset({"roleRef"}),
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": frozenset({"roleRef"}),
    "kubernetes:storage.k8s.io/v1:StorageClass": frozenset({"parameters", "provisioner"}),
}

_AWS: dict[str, frozenset[str]] = {
    "aws:sagemaker/model:Model": frozenset(
        {
            "name",
            "containers",
            "enableNetworkIsolation",
            "executionRoleArn",
            "inferenceExecutionConfig",
            "primaryContainer",
            "vpcConfig",
        }
    ),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": frozenset(
        {
            "name",
            "namePrefix",
            "asyncInferenceConfig",
            "dataCaptureConfig",
            "executionRoleArn",
            "kmsKeyArn",
            "productionVariants",
            "shadowProductionVariants",
        }
    ),
    "aws:sagemaker/endpoint:Endpoint": frozenset({"name", "=deploymentConfig.autoRollbackConfiguration"}),
    "aws:lambda/function:Function": frozenset({"name", "packageType", "tenancyConfig"}),
    "aws:lambda/alias:Alias": frozenset({"name", "functionName"}),
    "aws:lambda/permission:Permission": frozenset(
        {
            "action",
            "function",
            "functionUrlAuthType",
            "principal",
            "principalOrgId",
            "qualifier",
            "sourceAccount",
            "sourceArn",
            "statementId",
            "statementIdPrefix",
        }
    ),
    "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig": frozenset(
        {"functionName", "qualifier"}
    ),
    "aws:lb/loadBalancer:LoadBalancer": frozenset(
        {"name", "namePrefix", "customerOwnedIpv4Pool", "internal", "loadBalancerType"}
    ),
    "aws:lb/listener:Listener": frozenset({"loadBalancerArn"}),
    "aws:lb/listenerRule:ListenerRule": frozenset({"listenerArn"}),
    "aws:lb/targetGroup:TargetGroup": frozenset(
        {
            "name",
            "namePrefix",
            "ipAddressType",
            "port",
            "protocol",
            "protocolVersion",
            "targetType",
            "vpcId",
        }
    ),
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": frozenset(
        {"availabilityZone", "port", "targetGroupArn", "targetId"}
    ),
    "aws:apigatewayv2/api:Api": frozenset({"protocolType"}),
    "aws:apigatewayv2/integration:Integration": frozenset({"apiId", "integrationSubtype", "integrationType"}),
    "aws:apigatewayv2/route:Route": frozenset({"apiId"}),
    "aws:apigatewayv2/stage:Stage": frozenset({"apiId", "name"}),
    "aws:apigatewayv2/vpcLink:VpcLink": frozenset({"securityGroupIds", "subnetIds"}),
    "aws:autoscaling/tag:Tag": frozenset({"autoscalingGroupName", "tag.key"}),
    "aws:appautoscaling/target:Target": frozenset({"resourceId", "scalableDimension", "serviceNamespace"}),
    "aws:appautoscaling/policy:Policy": frozenset(
        {"name", "resourceId", "scalableDimension", "serviceNamespace"}
    ),
    "aws:cloudwatch/logGroup:LogGroup": frozenset({"name", "namePrefix"}),
    "aws:cloudwatch/metricAlarm:MetricAlarm": frozenset({"name"}),
    "aws:iam/role:Role": frozenset({"name", "namePrefix", "path"}),
    "aws:iam/rolePolicy:RolePolicy": frozenset({"name", "role"}),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": frozenset({"policyArn", "role"}),
    "aws:kms/alias:Alias": frozenset({"name"}),
    "aws:kms/key:Key": frozenset({"customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion"}),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": frozenset({"vpcId"}),
    "aws:ec2/eip:Eip": frozenset({"address", "domain", "networkBorderGroup", "publicIpv4Pool"}),
    "aws:ec2/flowLog:FlowLog": frozenset(
        {
            "deliverCrossAccountRole",
            "destinationOptions",
            "iamRoleArn",
            "logDestination",
            "logDestinationType",
            "logFormat",
            "maxAggregationInterval",
            "trafficType",
            "vpcId",
        }
    ),
    "aws:ec2/internetGateway:InternetGateway": frozenset[str](),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": frozenset({"gatewayId", "subnetId"}),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": frozenset({"securityGroupId"}),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": frozenset({"securityGroupId"}),
    "aws:ec2/vpc:Vpc": frozenset({"cidrBlock"}),
    "aws:ec2/subnet:Subnet": frozenset({"availabilityZone", "cidrBlock", "vpcId"}),
    "aws:ec2/routeTable:RouteTable": frozenset({"vpcId"}),
    "aws:ec2/route:Route": frozenset({"destinationCidrBlock", "routeTableId"}),
    "aws:ec2/natGateway:NatGateway": frozenset({"allocationId", "connectivityType", "subnetId"}),
    "aws:ec2/securityGroup:SecurityGroup": frozenset({"description", "name", "vpcId"}),
    "aws:ec2/vpcEndpoint:VpcEndpoint": frozenset({"serviceName", "vpcEndpointType", "vpcId"}),
    "aws:ec2/launchTemplate:LaunchTemplate": frozenset({"name", "namePrefix"}),
    "aws:ecr/repository:Repository": frozenset({"encryptionConfigurations", "name"}),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": frozenset({"policy", "repository"}),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": frozenset({"repository"}),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": frozenset(
        {"accessScope", "clusterName", "policyArn", "principalArn"}
    ),
    "aws:eks/cluster:Cluster": frozenset(
        {
            "name",
            "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "bootstrapSelfManagedAddons",
            "kubernetesNetworkConfig.ipFamily",
            "kubernetesNetworkConfig.serviceIpv4Cidr",
            "roleArn",
        }
    ),
    "aws:eks/nodeGroup:NodeGroup": frozenset(
        {
            "amiType",
            "capacityType",
            "clusterName",
            "diskSize",
            "instanceTypes",
            "launchTemplate.id",
            "launchTemplate.name",
            "nodeGroupName",
            "nodeRoleArn",
            "remoteAccess",
            "subnetIds",
        }
    ),
    "aws:eks/accessEntry:AccessEntry": frozenset({"clusterName", "principalArn", "type"}),
    "aws:eks/addon:Addon": frozenset({"addonName", "clusterName"}),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": frozenset(
        {"clusterName", "namespace", "serviceAccount"}
    ),
    "aws:rds/instance:Instance": frozenset(
        {"availabilityZone", "dbName", "engine", "kmsKeyId", "storageEncrypted", "username"}
    ),
    "aws:rds/subnetGroup:SubnetGroup": frozenset({"name"}),
    "aws:s3/bucket:Bucket": frozenset({"bucket", "bucketPrefix"}),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": frozenset({"bucket"}),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": frozenset({"bucket"}),
    "aws:s3/bucketPolicy:BucketPolicy": frozenset({"bucket"}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": frozenset({"bucket"}),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": frozenset(
        {"bucket"}
    ),
    "aws:s3/bucketVersioning:BucketVersioning": frozenset({"bucket"}),
    "aws:scheduler/schedule:Schedule": frozenset({"groupName", "name", "namePrefix"}),
    "aws:secretsmanager/secret:Secret": frozenset({"name", "namePrefix"}),
    "aws:secretsmanager/secretVersion:SecretVersion": frozenset({"secretBinary", "secretId", "secretString"}),
}


_ALL = {**_KUBERNETES, **_AWS, **GCP}
_UNSEEN: dict[str, re.Pattern[str]] = {
    # Passwords for a registry are new at each run. `provider/internal/image.go` of pulumi-docker-build.
    "docker-build:index:Image": re.compile(r"registries\[[0-9]+\]\.password"),
}
"""Changes that a provider doesn't take for one."""


def seen(token: str, path: str) -> bool:
    """Whether a provider looks at a change at a path."""
    unseen = _UNSEEN.get(token)
    return not (unseen and unseen.fullmatch(path))


def replaces(token: str, path: str) -> bool:
    """Whether a change at a path (``spec.template.spec.containers[0].image``) needs a new resource."""
    plain = re.sub(r"\[[^\]]*\]", "", path)
    fixed = _ALL.get(token, frozenset[str]()) | (
        _METADATA if token.startswith("kubernetes:") else frozenset[str]()
    )
    return f"={plain}" in fixed or any(plain == name or plain.startswith(f"{name}.") for name in fixed)


def tokens() -> set[str]:
    """Every type that the table knows."""
    return set(_ALL)


def paths(token: str) -> set[str]:
    """The immutable paths of a type, each as it is written without indexes."""
    return {path.removeprefix("=") for path in _ALL[token]}
