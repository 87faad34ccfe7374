"""The messages of OTLP traces with every attribute left as the bytes it came in.

They parse from the same bytes as those of opentelemetry-proto, without an object for each attribute: the same attributes
(a model, a tenant, a conversation) come again and again, and bytes can be looked up.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


def _with_raw_attributes() -> Any:
    pool = DescriptorPool()
    done: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in done:
            return
        done.add(file.name)
        for needed in file.dependencies:
            add(needed)
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        for message in proto.message_type:
            for field in (*message.field, *(inner for nested in message.nested_type for inner in nested.field)):
                if field.type_name == f".{KeyValue.DESCRIPTOR.full_name}":
                    field.type = FieldDescriptorProto.TYPE_BYTES
                    field.ClearField("type_name")
        pool.AddSerializedFile(proto.SerializeToString())

    add(trace_service_pb2.DESCRIPTOR)
    name = trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR.full_name
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


RawTraceRequest = _with_raw_attributes()
"""ExportTraceServiceRequest whose KeyValues are bytes, unchecked: whether they are KeyValues is found out when they are read."""
