'use strict';

const assert = require('node:assert');
const { it } = require('node:test');
const { UserProfileError } = require('..');
const { root } = require('../api.js');

function detail(name, content) {
  return { type_url: `type.googleapis.com/google.rpc.${name}`, value: content };
}

it('a detail that can\'t be read hides neither the code nor the others', () => {
  const info = root.lookupType('google.rpc.ErrorInfo')
    .encode({ reason: 'USER_NOT_FOUND' }).finish();
  const error = new UserProfileError(5, 'no', [
    detail('BadRequest', Buffer.from([0xff])), detail('ErrorInfo', info)]);
  assert.strictEqual(error.status, 'NOT_FOUND');
  assert.strictEqual(error.reason, 'USER_NOT_FOUND');
});
