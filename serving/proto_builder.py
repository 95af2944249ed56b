"""Protobuf message classes from a compact schema, in a private descriptor pool.

For messages that the client needs without TensorFlow, and for those that the package
tensorflow-serving-api does not contain. The private pool lets them coexist in one process with the
official classes of the same names, whichever is imported first.

To add a field, copy its name, number and type from the .proto file. For example
`optional bytes client_id = 6;` of PredictRequest becomes one more entry of its line:

    PredictRequest: model_spec=1 ModelSpec, ..., client_id=6 bytes

Sources, to be read at the tag of the release that is supported:

- https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis (requests, responses)
- https://github.com/tensorflow/serving/tree/master/tensorflow_serving/config (SSL, monitoring)
- tensorflow_serving/servables/tensorflow/session_bundle_config.proto there (BatchingParameters)
- https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core (framework/tensor.proto,
  framework/tensor_shape.proto, protobuf/meta_graph.proto)
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "tensorflow.serving"
Field = descriptor_pb2.FieldDescriptorProto


def build_messages(schema: str) -> dict[str, Any]:
    """Build the message classes of a schema.

    Args:
        schema: One message on each line, `Name: field=number type, ...`. A type in lower case is a
            scalar, any other a message of the same schema; `repeated`, `map` (with string keys) or
            `oneof` may precede it.

    Returns:
        Message classes by name.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="serving/messages.proto", package=PACKAGE, syntax="proto3"
    )
    for line in schema.strip().splitlines():
        name, fields = line.split(": ")
        message = file.message_type.add(name=name)
        for declaration in fields.split(", "):
            _add_field(message, declaration)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}")
        )
        for message in file.message_type
    }


def _add_field(message: descriptor_pb2.DescriptorProto, declaration: str) -> None:
    left, *modifier, kind = declaration.split()
    name, number = left.split("=")
    field = message.field.add(name=name, number=int(number), label=Field.LABEL_OPTIONAL)
    if modifier == ["map"]:
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        _add_field(entry, "key=1 string")
        _add_field(entry, f"value=2 {kind}")
        kind = f"{message.name}.{entry.name}"
    if modifier == ["oneof"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name="choice")
        field.oneof_index = 0
    if modifier in (["repeated"], ["map"]):
        field.label = Field.LABEL_REPEATED
    _set_type(field, kind)


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if kind.islower():
        field.type = Field.Type.Value(f"TYPE_{kind.upper()}")
    else:
        field.type = Field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
