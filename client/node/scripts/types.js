'use strict';
// The API in TypeScript, as json.js reads and writes its messages.

const { root, service } = require('../api.js');

const TYPES = {
  '.google.protobuf.FieldMask': 'string',
  '.google.protobuf.Struct': 'Record<string, unknown>',
  '.google.protobuf.Timestamp': 'string',
  '.google.rpc.Status': 'UserProfileError',
  bool: 'boolean',
  bytes: 'string',
  int32: 'number',
  int64: 'string',
  string: 'string',
};
// Requests may be given what comes handier.
const GIVEN = {
  '.google.protobuf.FieldMask': 'string | string[]',
  '.google.protobuf.Timestamp': 'string | Date',
  bytes: 'string | Uint8Array',
  int64: 'string | number | bigint',
};

const made = new Map(); // interfaces, by name

function comment(text, indent) {
  if (!text) return '';
  const lines = text.split('\n').map((line) => `${indent} * ${line}`.trimEnd());
  return `${indent}/**\n${lines.join('\n')}\n${indent} */\n`;
}

// The name of the interface of a message, in a request or an answer.
function nameOf(type, isGiven) {
  const name = isGiven && !/Request$/.test(type.name)
    ? `${type.name}Input` : type.name;
  if (made.has(name)) return name;
  made.set(name, ''); // for a message that holds itself
  const fields = type.fieldsArray.map((field) => {
    const known = field.resolvedType ? field.resolvedType.fullName : field.type;
    const one = (isGiven && GIVEN[known]) || TYPES[known] ||
      nameOf(field.resolvedType, isGiven);
    const isSure = !isGiven &&
      (field.repeated || !(field.partOf || field.resolvedType));
    const whole = field.repeated ? `Array<${one}>` : one;
    return `${comment(field.comment, '  ')}  ${field.name}` +
      `${isSure ? '' : '?'}: ${whole};`;
  });
  made.set(name, `${comment(type.comment, '')}export interface ${name} {\n` +
    `${fields.join('\n')}\n}`);
  return name;
}

function types() {
  const methods = service.methodsArray.map((method) => {
    const name = method.name[0].toLowerCase() + method.name.slice(1);
    const request = nameOf(method.resolvedRequestType, true);
    const response = nameOf(method.resolvedResponseType, false);
    const signature = method.responseStream
      ? `(request?: ${request}, options?: { signal?: AbortSignal }): ` +
        `AsyncGenerator<${response}, void, void>`
      : `(request?: ${request}): Promise<${response}>`;
    return `${comment(method.comment, '  ')}  ${name}${signature};`;
  });
  const reasons = Object.keys(
    root.lookupEnum('userprofile.v1.ErrorReason').values)
    .map((name) => `  | '${name.replace('ERROR_REASON_', '')}'`)
    .filter((name) => !name.includes('UNSPECIFIED'));
  return [
    '// Made from userprofile/v1/user_profile_service.proto.',
    'import { UserProfileError } from \'./index\';',
    `export type ErrorReason = ''\n${reasons.join('\n')};`,
    `export interface Methods {\n${methods.join('\n\n')}\n}`,
    ...made.values(),
  ].join('\n\n') + '\n';
}

module.exports = { types };
