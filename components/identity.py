"""Resources whose identity is what the program says, not what the service gives to each creation.

A replacement creates the new one first, and then deletes the old one. Where both have one identity, the
creation is refused; or it overwrites the old one, and the deletion then takes what was just made: Kubernetes'
server-side apply does so with every object (pulumi-kubernetes, pkg/await/await.go: "we currently always
upsert the object"), AWS with what is put (an alarm, a policy of a bucket). The providers ask for the other
order where a changed property is the reason (pulumi-terraform-bridge, `nameRequiresDeleteBeforeReplace`;
pulumi-kubernetes' Diff). The engine doesn't ask them where a person is (`up --replace`, `state taint`), or a
changed provider (pulumi, step_generator.go, `diff`). So the program asks for it itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

ALWAYS = ""
"""The identity is what the resource joins or belongs to, or a name that it can't be without."""

FIXED: Mapping[str, str] = {
    "aws:apigatewayv2/stage:Stage": ALWAYS,
    "aws:apigatewayv2/route:Route": ALWAYS,
    "aws:appautoscaling/policy:Policy": "name",
    "aws:appautoscaling/target:Target": ALWAYS,
    "aws:cloudwatch/logGroup:LogGroup": "name",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "name",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ALWAYS,
    "aws:ec2/route:Route": ALWAYS,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ALWAYS,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": ALWAYS,
    "aws:ecr/repository:Repository": "name",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ALWAYS,
    "aws:eks/accessEntry:AccessEntry": ALWAYS,
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": ALWAYS,
    "aws:eks/addon:Addon": ALWAYS,
    "aws:eks/cluster:Cluster": "name",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": ALWAYS,
    "aws:iam/rolePolicy:RolePolicy": "name",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ALWAYS,
    "aws:kms/alias:Alias": "name",
    "aws:lambda/alias:Alias": "name",
    "aws:lambda/function:Function": "name",
    "aws:lambda/permission:Permission": "statement_id",
    "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig": ALWAYS,
    "aws:lb/listener:Listener": ALWAYS,
    "aws:lb/listenerRule:ListenerRule": ALWAYS,
    "aws:lb/loadBalancer:LoadBalancer": "name",
    "aws:lb/targetGroup:TargetGroup": "name",
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": ALWAYS,
    "aws:rds/instance:Instance": "identifier",
    "aws:s3/bucket:Bucket": "bucket",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ALWAYS,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ALWAYS,
    "aws:s3/bucketPolicy:BucketPolicy": ALWAYS,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ALWAYS,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ALWAYS,
    "aws:s3/bucketVersioning:BucketVersioning": ALWAYS,
    "aws:sagemaker/endpoint:Endpoint": "name",
    "aws:secretsmanager/secret:Secret": "name",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ALWAYS,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ALWAYS,
    "gcp:artifactregistry/repository:Repository": ALWAYS,
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": ALWAYS,
    "gcp:cloudrunv2/service:Service": "name",
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": ALWAYS,
    "gcp:container/cluster:Cluster": "name",
    "gcp:dns/managedZone:ManagedZone": "name",
    "gcp:dns/recordSet:RecordSet": ALWAYS,
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": ALWAYS,
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": ALWAYS,
    "gcp:logging/projectSink:ProjectSink": "name",
    "gcp:projects/iAMMember:IAMMember": ALWAYS,
    "gcp:projects/service:Service": ALWAYS,
    "gcp:projects/serviceIdentity:ServiceIdentity": ALWAYS,
    "gcp:secretmanager/secret:Secret": ALWAYS,
    "gcp:serviceaccount/account:Account": ALWAYS,
    "gcp:servicenetworking/connection:Connection": ALWAYS,
    "gcp:sql/database:Database": "name",
    "gcp:sql/user:User": "name",
    "gcp:storage/bucket:Bucket": "name",
    "gcp:storage/bucketIAMMember:BucketIAMMember": ALWAYS,
}
"""By type: the property that fixes the identity where it is given, as the SDK names it; or ALWAYS."""

_KUBERNETES = "kubernetes:"
_AZURE = "azure-native:"


def fixed(type_: str, properties: Mapping[str, object]) -> bool:
    """Whether a second creation of such a resource would have the identity of the first."""
    # Every object, chart and Azure resource has its name from the program.
    if type_.startswith((_KUBERNETES, _AZURE)):
        return True
    given = FIXED.get(type_)
    return given is not None and (given == ALWAYS or properties.get(given) is not None)


def deleted_before_replaced(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    """A transformation of a stack: what keeps its identity is deleted before it is created again."""
    if args.opts.delete_before_replace is not None or not fixed(args.type_, args.props):
        return None
    args.opts.delete_before_replace = True
    return pulumi.ResourceTransformationResult(args.props, args.opts)
