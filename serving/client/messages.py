"""The messages of TensorFlow Serving's gRPC interface, without TensorFlow.

Source: the .proto files of tensorflow/serving and tensorflow/tensorflow (field numbers). Enums
are declared int32, which has the same bytes; fields this client never reads are left out, and
protobuf carries them along unread.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# One message a line: `field=number type`, with `repeated`, `map` (from string) or `oneof` before
# the type where it applies.
SCHEMA = """
Any: type_url=1 string, value=2 bytes
Int64Value: value=1 int64
Dim: size=1 int64, name=2 string
TensorShapeProto: dim=2 repeated Dim, unknown_rank=3 bool
TensorProto: dtype=1 int32, tensor_shape=2 TensorShapeProto, version_number=3 int32, \
tensor_content=4 bytes, float_val=5 repeated float, double_val=6 repeated double, \
int_val=7 repeated int32, string_val=8 repeated bytes, scomplex_val=9 repeated float, \
int64_val=10 repeated int64, bool_val=11 repeated bool, dcomplex_val=12 repeated double, \
half_val=13 repeated int32, uint32_val=16 repeated uint32, uint64_val=17 repeated uint64
TensorInfo: name=1 oneof string, dtype=2 int32, tensor_shape=3 TensorShapeProto
SignatureDef: inputs=1 map TensorInfo, outputs=2 map TensorInfo, method_name=3 string
SignatureDefMap: signature_def=1 map SignatureDef
ModelSpec: name=1 string, version=2 oneof Int64Value, signature_name=3 string, \
version_label=4 oneof string
PredictRequest: model_spec=1 ModelSpec, inputs=2 map TensorProto, output_filter=3 repeated string
PredictResponse: outputs=1 map TensorProto, model_spec=2 ModelSpec
GetModelMetadataRequest: model_spec=1 ModelSpec, metadata_field=2 repeated string
GetModelMetadataResponse: model_spec=1 ModelSpec, metadata=2 map Any
StatusProto: error_code=1 int32, error_message=2 string
ModelVersionStatus: version=1 int64, state=2 int32, status=3 StatusProto
GetModelStatusRequest: model_spec=1 ModelSpec
GetModelStatusResponse: model_version_status=1 repeated ModelVersionStatus
"""

PACKAGE = "tensorflow.serving"
Field = descriptor_pb2.FieldDescriptorProto


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if kind.islower():
        field.type = Field.Type.Value(f"TYPE_{kind.upper()}")
    else:
        field.type = Field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"


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


def declare(schema: str) -> dict[str, Any]:
    """Message classes by name, in a descriptor pool of their own.

    A private pool knows nothing of the official classes of the same names, so both live in one
    process whichever is imported first.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="serving/client/messages.proto", package=PACKAGE, syntax="proto3"
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


CLASSES = declare(SCHEMA)

TensorProto: Any = CLASSES["TensorProto"]
SignatureDefMap: Any = CLASSES["SignatureDefMap"]
PredictRequest: Any = CLASSES["PredictRequest"]
PredictResponse: Any = CLASSES["PredictResponse"]
GetModelMetadataRequest: Any = CLASSES["GetModelMetadataRequest"]
GetModelMetadataResponse: Any = CLASSES["GetModelMetadataResponse"]
GetModelStatusRequest: Any = CLASSES["GetModelStatusRequest"]
GetModelStatusResponse: Any = CLASSES["GetModelStatusResponse"]
