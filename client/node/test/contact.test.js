'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { UserProfileError, contactOf } = require('..');

const LINES = fs.readFileSync(path.join(
  __dirname, '../../telegram/testdata/contacts.jsonl'), 'utf8');

describe('contactOf, by contacts.jsonl', () => {
  for (const line of LINES.split('\n').filter(Boolean)) {
    const { what, update, bot, request, error } = JSON.parse(line);
    it(what, () => {
      if (!error) return assert.deepStrictEqual(contactOf(update, bot), request);
      return assert.throws(() => contactOf(update, bot), (thrown) =>
        thrown instanceof UserProfileError && thrown.isRefused &&
        thrown.message === error);
    });
  }
});

it('half of a surrogate pair, which is no text, is replaced', () => {
  const user = { id: 7, is_bot: false, first_name: 'A\ud83d' };
  assert.strictEqual(
    contactOf({ message: { from: user } }).identity.first_name, 'A\ufffd');
});
