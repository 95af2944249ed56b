"""Messages of TensorFlow Serving's gRPC API, without TensorFlow.

Field numbers are those of the .proto files (links in serving/proto_builder.py). Enums are declared
int32, which has the same wire format; fields that this client never reads are left out, and
protobuf preserves them as unknown fields.
"""

from __future__ import annotations

from typing import Any

from serving.proto_builder import build_messages

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

CLASSES = build_messages(SCHEMA)

TensorProto: Any = CLASSES["TensorProto"]
SignatureDefMap: Any = CLASSES["SignatureDefMap"]
PredictRequest: Any = CLASSES["PredictRequest"]
PredictResponse: Any = CLASSES["PredictResponse"]
GetModelMetadataRequest: Any = CLASSES["GetModelMetadataRequest"]
GetModelMetadataResponse: Any = CLASSES["GetModelMetadataResponse"]
GetModelStatusRequest: Any = CLASSES["GetModelStatusRequest"]
GetModelStatusResponse: Any = CLASSES["GetModelStatusResponse"]
