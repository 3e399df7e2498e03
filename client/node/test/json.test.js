'use strict';

const assert = require('node:assert');
const { it } = require('node:test');
const { message } = require('../api.js');
const { toMessage } = require('../json.js');

function refuses(type, json, text) {
  assert.throws(
    () => toMessage(message(type), json), { name: 'TypeError', message: text });
}

it('an integer that does not fit is nobody else\'s', () => {
  for (const id of [2 ** 53, 1.5, NaN, 2n ** 63n, -(2n ** 63n) - 1n,
    '9223372036854775808', '18446744073709551617', '1\n', '', [7], {}, true]) {
    refuses('GetProfileRequest', { user_id: id },
      'GetProfileRequest.user_id is not a 64-bit integer');
  }
  for (const id of [7, 7n, '7', 2 ** 53 - 1, 2n ** 63n - 1n,
    '-9223372036854775808']) {
    const { user_id: kept } = message('GetProfileRequest').fromObject(
      toMessage(message('GetProfileRequest'), { user_id: id }));
    assert.strictEqual(String(kept), String(id));
  }
  refuses('ListProfilesRequest', { page_size: 2 ** 32 + 1 },
    'ListProfilesRequest.page_size is not a 32-bit integer');
});

it('attributes are what JSON has, and else an error', () => {
  const path = 'Profile.attributes';
  const { fields } = toMessage(message('Profile'), { attributes: {
    kept: 'x', left: undefined, gone: null, empty: Object.create(null),
    list: [{ left: undefined }] } }).attributes;
  assert.deepStrictEqual(
    Object.keys(fields), ['kept', 'gone', 'empty', 'list']);
  assert.deepStrictEqual(fields.gone, { nullValue: 0 });
  assert.deepStrictEqual(fields.list.listValue.values[0].structValue.fields, {});
  for (const attributes of ['text', [1], new Map(), new Date(), 7]) {
    refuses('Profile', { attributes }, `${path} is not a plain object`);
  }
  for (const value of [new Date(), 7n, new Map(), NaN, Symbol('s'), () => {}]) {
    refuses('Profile', { attributes: { a: { b: [0, value] } } },
      `${path}.a.b[1] is nothing that JSON has`);
  }
});
