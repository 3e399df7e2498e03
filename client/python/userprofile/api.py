"""The API, as its file says it: methods, messages, and the limits of fields.

Its messages are in a pool of their own, so that other packages may bring theirs
of google.rpc.
"""

import datetime
import pathlib

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_POOL = descriptor_pool.DescriptorPool()
_FILES = descriptor_pb2.FileDescriptorSet.FromString(
    pathlib.Path(__file__).with_name("api.pb").read_bytes()
)
for _file in _FILES.file:
    _POOL.Add(_file)


if hasattr(message_factory, "GetMessageClass"):  # since protobuf 4.22
    class_of = message_factory.GetMessageClass
else:
    class_of = message_factory.MessageFactory(_POOL).GetPrototype

_SERVICE = next(service for _file in _FILES.file for service in _file.service)
SERVICE_NAME = f"userprofile.v1.{_SERVICE.name}"
METHODS = list(_SERVICE.method)


def message(name):
    """The class of a message, by its full name or by its name in the API."""
    full_name = name if "." in name else f"userprofile.v1.{name}"
    return class_of(_POOL.FindMessageTypeByName(full_name.lstrip(".")))


def _read_limits():
    # Extensions are registered in another way by each implementation of protobuf:
    # so the options are read as a message that has the extensions as fields.
    options = descriptor_pb2.FileDescriptorProto(
        name="options.proto", package="userprofile.v1", syntax="proto3"
    )
    options.message_type.add(name="Options")
    for file in _FILES.file:
        for extension in file.extension:
            if extension.extendee == ".google.protobuf.FieldOptions":
                field = options.message_type[0].field.add()
                field.CopyFrom(extension)
                field.ClearField("extendee")
                field.ClearField("proto3_optional")
                options.dependency[:] = [file.name]
    _POOL.Add(options)
    options_type = message("Options")
    return {
        (type_.name, field.name): options_type.FromString(
            field.options.SerializeToString()
        ).limits
        for file in _FILES.file
        if file.package == "userprofile.v1"
        for type_ in file.message_type
        for field in type_.field
    }


_LIMITS = _read_limits()


def limits_of(field):
    """What the API says of a field, as FieldLimits."""
    return _LIMITS[field.containing_type.name, field.name]


def kind_of(limits):
    """The name of FieldLimits.kind, such as "FIELD_KIND_USERNAME"."""
    field = limits.DESCRIPTOR.fields_by_name["kind"]
    return field.enum_type.values_by_number[limits.kind].name


def request_of(descriptor, fields):
    """The message of that type, out of what comes handy in Python: dicts for
    messages and attributes, datetime with a tzinfo for times, for a mask a list of
    names or text with commas. None is the same as absent. TypeError if there is no
    such field."""
    arguments = {}
    for name, value in fields.items():
        field = descriptor.fields_by_name.get(name)
        if field is None:
            raise TypeError(f"there is no {descriptor.name}.{name}")
        if value is None:
            continue
        if field.message_type is None:
            arguments[name] = value
        elif isinstance(value, (list, tuple)) and not _is_mask(field.message_type):
            arguments[name] = [_value_of(field.message_type, item) for item in value]
        else:
            arguments[name] = _value_of(field.message_type, value)
    return class_of(descriptor)(**arguments)


def _is_mask(descriptor):
    return descriptor.full_name == "google.protobuf.FieldMask"


def _value_of(descriptor, value):
    if _is_mask(descriptor) and not hasattr(value, "DESCRIPTOR"):
        paths = value.split(",") if isinstance(value, str) else value
        return class_of(descriptor)(paths=[path for path in paths if path])
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime needs its tzinfo, such as timezone.utc")
        time = class_of(descriptor)()
        time.FromDatetime(value)
        return time
    if isinstance(value, dict):
        if descriptor.full_name == "google.protobuf.Struct":
            struct = class_of(descriptor)()
            struct.update(value)
            return struct
        return request_of(descriptor, value)
    return value
