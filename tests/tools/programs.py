"""Programs, a provider plugin and a policy pack for the tests with a real engine; they need nothing but the
SDK."""

DOUBLE = """
import pulumi

print("hello from the program")
config = pulumi.Config()
pulumi.export("double", config.require_int("number") * 2)
pulumi.export("where", f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}")
pulumi.export("token", config.get_secret("token"))
"""

RUN_ERROR = """
import pulumi

raise pulumi.RunError("models.churn.canary.weight is 120; 0 to 100 is accepted")
"""

CRASH = """
def weight(release):
    return release["wieght"]


weight({"weight": 10})
"""

GATED = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class Gate(ResourceProvider):
    def create(self, props):
        import pathlib, time

        gate = pathlib.Path(props["gate"])
        gate.with_name("begun").touch()
        while not gate.exists():
            time.sleep(0.05)
        return CreateResult("gate", props)


class Gated(Resource):
    def __init__(self, name, gate):
        super().__init__(Gate(), name, {"gate": gate})


Gated("slow", pulumi.Config().require("gate"))
"""
"""Its one resource is being created until the file `gate` exists; `begun` beside it says that it is."""

THING = """
import pulumi


class Thing(pulumi.CustomResource):
    def __init__(self, name, size, gate):
        super().__init__("thing:index:Thing", name, {"size": size, "gate": gate})


config = pulumi.Config()
Thing("t", config.require_int("size"), config.get("gate"))
"""
"""One resource of a plugin, of a configured size; a `gate` is as in `GATED`."""

THING_PLUGIN = """
import pathlib
import time
from concurrent import futures

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    def Handshake(self, request, context):
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="3.259.0")

    def CheckConfig(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        return provider_pb2.DiffResponse()

    def Configure(self, request, context):
        return provider_pb2.ConfigureResponse(acceptSecrets=True)

    def Check(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request, context):
        return provider_pb2.DiffResponse()

    def Create(self, request, context):
        if "gate" in request.properties.fields:
            gate = pathlib.Path(request.properties["gate"])
            gate.with_name("begun").touch()
            while not gate.exists():
                time.sleep(0.05)
        return provider_pb2.CreateResponse(id="made-by-the-plugin", properties=request.properties)

    def Delete(self, request, context):
        return empty_pb2.Empty()

    def Cancel(self, request, context):
        return empty_pb2.Empty()


server = grpc.server(futures.ThreadPoolExecutor(4))
provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"""

SIZE_POLICY = """
from concurrent import futures

import grpc
import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

STACK = pulumi.get_stack()

class Pack(analyzer_pb2_grpc.AnalyzerServicer):
    def GetAnalyzerInfo(self, request, context):
        policy = analyzer_pb2.PolicyInfo(name="small", enforcementLevel=analyzer_pb2.MANDATORY)
        return analyzer_pb2.AnalyzerInfo(name="sizes", version="0.0.1", policies=[policy])

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="0.0.1")

    def Configure(self, request, context):
        return empty_pb2.Empty()

    def Analyze(self, request, context):
        found = []
        most = pulumi.Config("tiny").require_int("most")
        if request.type == "thing:index:Thing" and request.properties["size"] > most:
            found.append(
                analyzer_pb2.AnalyzeDiagnostic(
                    policyName="small",
                    policyPackName="sizes",
                    policyPackVersion="0.0.1",
                    message=f"too large for the stack {STACK}",
                    enforcementLevel=analyzer_pb2.MANDATORY,
                    urn=request.urn,
                )
            )
        return analyzer_pb2.AnalyzeResponse(diagnostics=found)

    def AnalyzeStack(self, request, context):
        return analyzer_pb2.AnalyzeResponse()

    def Remediate(self, request, context):
        return analyzer_pb2.RemediateResponse()


server = grpc.server(futures.ThreadPoolExecutor(4))
analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Pack(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"""
