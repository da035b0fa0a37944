"""An analyzer that stands in for a policy pack until the pack has been started, and passes calls on from
then.

The engine connects first and then names the stack; a pack wants the stack in its environment before it
starts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from pulumi.runtime.proto import analyzer_pb2

SERVICE = "/pulumirpc.Analyzer/"
THREADS = 32
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

Configuration = analyzer_pb2.AnalyzerStackConfigureRequest
Handler = Callable[[bytes, grpc.ServicerContext], bytes]


class PolicyProxy(grpc.GenericRpcHandler):
    """Serves on `port` of the loopback interface from its construction to `stop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._configuration: Future[Configuration | None] = Future()
        self._channel: Future[grpc.Channel] = Future()
        self.stopped = False
        self._server = grpc.server(ThreadPoolExecutor(THREADS), handlers=[self], options=UNLIMITED)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method: str = handler_call_details.method
        if not method.startswith(SERVICE):
            return None
        own: dict[str, Handler] = {"Handshake": self._handshake, "ConfigureStack": self._configure_stack}
        return grpc.unary_unary_rpc_method_handler(
            own.get(method.removeprefix(SERVICE), self._pass_on(method))
        )

    def configuration(self) -> Configuration | None:
        """Waits for the stack's configuration. None: the engine asks something else first, and has no
        stack."""
        return self._configuration.result()

    def attach(self, port: int) -> None:
        """Passes every later call on to the pack on this port, after telling it the configuration."""
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED)
        configuration = self.configuration()
        if configuration is not None:
            try:
                _call(channel, SERVICE + "ConfigureStack", configuration.SerializeToString())
            except grpc.RpcError as error:
                # Packs on an older SDK have only their environment, and that has it already.
                if _status(error) != grpc.StatusCode.UNIMPLEMENTED:
                    raise
        self._channel.set_result(channel)

    def stop(self) -> None:
        """Ends the proxy; calls that wait for the pack fail."""
        with self._lock:
            self.stopped = True
            if not self._configuration.done():
                self._configuration.set_result(None)
            if not self._channel.done():
                self._channel.set_exception(RuntimeError("the policy pack ended before it could be asked"))
        self._server.stop(grace=None)

    def _handshake(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return analyzer_pb2.AnalyzerHandshakeResponse().SerializeToString()

    def _configure_stack(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._configured(Configuration.FromString(request))
        answer: Message = analyzer_pb2.AnalyzerStackConfigureResponse()
        return answer.SerializeToString()

    def _configured(self, configuration: Configuration | None) -> None:
        with self._lock:
            if not self._configuration.done():
                self._configuration.set_result(configuration)

    def _pass_on(self, method: str) -> Handler:
        def handler(request: bytes, context: grpc.ServicerContext) -> bytes:
            self._configured(None)
            try:
                return _call(self._channel.result(), method, request)
            except grpc.RpcError as error:
                context.abort(_status(error), _details(error))
            except RuntimeError as error:
                context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            raise AssertionError("abort raises")

        return handler


def _call(channel: grpc.Channel, method: str, request: bytes) -> bytes:
    return cast("bytes", channel.unary_unary(method)(request))


def _status(error: grpc.RpcError) -> grpc.StatusCode:
    return error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN


def _details(error: grpc.RpcError) -> str:
    return (error.details() or "") if isinstance(error, grpc.Call) else str(error)
