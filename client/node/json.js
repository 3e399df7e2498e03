'use strict';
// Messages as JSON, as the adapter writes them: fields under the names of the
// API, 64-bit integers as text, times in RFC 3339, bytes in base64, attributes as
// they are. A field that is absent, and may be, is absent here, too.

const { UserProfileError } = require('./errors.js');

function mapValues(object, change) {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [key, change(value)]));
}

// What JSON has as an object: no Date, no Map, and no list.
function isPlain(value) {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || (!Array.isArray(value) &&
    Object.getPrototypeOf(prototype) === null);
}

function toStruct(json, path) {
  if (!isPlain(json)) throw new TypeError(`${path} is not a plain object`);
  const given = Object.entries(json).filter(([, value]) => value !== undefined);
  return { fields: Object.fromEntries(
    given.map(([key, value]) => [key, toValue(value, `${path}.${key}`)])) };
}

function toValue(json, path) {
  if (json === null || json === undefined) return { nullValue: 0 };
  if (Array.isArray(json)) {
    return { listValue:
      { values: json.map((item, i) => toValue(item, `${path}[${i}]`)) } };
  }
  if (typeof json === 'boolean') return { boolValue: json };
  if (Number.isFinite(json)) return { numberValue: json };
  if (typeof json === 'string') return { stringValue: json };
  if (isPlain(json)) return { structValue: toStruct(json, path) };
  throw new TypeError(`${path} is nothing that JSON has`);
}

function fromValue(value) {
  switch (value.kind) {
    case 'listValue': return value.listValue.values.map(fromValue);
    case 'structValue': return mapValues(value.structValue.fields, fromValue);
    case 'nullValue': return null;
    default: return value[value.kind];
  }
}

// Times of the service are finer than a Date.
function fromTimestamp({ seconds, nanos }) {
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
  const fraction = String(nanos).padStart(9, '0').replace(/(000)+$/, '');
  return fraction ? `${whole}.${fraction}Z` : `${whole}Z`;
}

function toTimestamp(time, path) {
  const text = time instanceof Date ? time.toISOString() : String(time);
  const [, date, fraction = '', zone] =
    /^(.*?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text) || [];
  const milliseconds = Date.parse(date + zone);
  if (Number.isNaN(milliseconds)) throw new TypeError(`${path} is not a time`);
  return { seconds: milliseconds / 1000, nanos: Number(fraction.padEnd(9, '0')) };
}

// What is no message of its own in JSON.
const WRITERS = {
  '.google.protobuf.FieldMask': ({ paths }) => paths.join(','),
  '.google.protobuf.Struct': ({ fields }) => mapValues(fields, fromValue),
  '.google.protobuf.Timestamp': fromTimestamp,
  '.google.rpc.Status': ({ code, message, details }) =>
    new UserProfileError(code, message, details),
};
const READERS = {
  '.google.protobuf.FieldMask': (mask) =>
    ({ paths: Array.isArray(mask) ? mask : mask.split(',').filter(Boolean) }),
  '.google.protobuf.Struct': toStruct,
  '.google.protobuf.Timestamp': toTimestamp,
};

// A message as JSON.
function fromMessage(message, type = message.$type) {
  const write = WRITERS[type.fullName];
  if (write) return write(message);
  const json = {};
  for (const field of type.fieldsArray) {
    const value = message[field.name];
    const one = (item) => {
      if (field.resolvedType) return fromMessage(item, field.resolvedType);
      if (field.type === 'bytes') return Buffer.from(item).toString('base64');
      return field.long ? String(item) : item;
    };
    if (field.repeated) {
      json[field.name] = value.map(one);
    } else if (Object.hasOwn(message, field.name) ||
               !(field.partOf || field.resolvedType)) {
      json[field.name] = one(value);
    }
  }
  return json;
}

// A number that is no safe integer has lost its last digits already.
function isInteger(value, bits) {
  const isOne = typeof value === 'string' ? /^-?\d{1,19}$/.test(value)
    : typeof value === 'bigint' || Number.isSafeInteger(value);
  return isOne && BigInt.asIntN(bits, BigInt(value)) === BigInt(value);
}

function scalar(field, value, path) {
  const [is, what] = {
    string: [typeof value === 'string', 'a string'],
    bool: [typeof value === 'boolean', 'a bool'],
    bytes: [value instanceof Uint8Array ||
      (typeof value === 'string' && /^[\w+/-]*={0,2}$/.test(value)), 'bytes'],
    int32: [isInteger(value, 32), 'a 32-bit integer'],
    int64: [isInteger(value, 64), 'a 64-bit integer'],
  }[field.type];
  if (!is) throw new TypeError(`${path} is not ${what}`);
  if (field.type === 'bytes') return Buffer.from(value, 'base64');
  return typeof value === 'bigint' ? String(value) : value;
}

// What `type` is made of, from JSON. TypeError, with the path of the field at
// fault and never its value, if it does not fit. null is the same as absent.
function toMessage(type, json, path = type.name) {
  const read = READERS[type.fullName];
  if (read) return read(json, path);
  if (typeof json !== 'object') throw new TypeError(`${path} is not an object`);
  const message = {};
  for (const [name, value] of Object.entries(json)) {
    if (value === undefined || value === null) continue;
    const field = type.fields[name];
    const at = `${path}.${name}`;
    if (!field) throw new TypeError(`there is no ${at}`);
    const one = (item) => (field.resolvedType
      ? toMessage(field.resolvedType, item, at) : scalar(field, item, at));
    if (field.repeated && !Array.isArray(value)) {
      throw new TypeError(`${at} is not a list`);
    }
    message[name] = field.repeated ? value.map(one) : one(value);
  }
  return message;
}

module.exports = { fromMessage, toMessage };
