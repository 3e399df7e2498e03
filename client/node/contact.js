'use strict';
// From an update of Telegram's to the request that tells the service about it:
// what client/telegram/update.cc does, which says why. Both pass
// client/telegram/testdata/contacts.jsonl.

const { status } = require('@grpc/grpc-js');
const { limitsOf, message } = require('./api.js');
const { UserProfileError } = require('./errors.js');

// Kinds of updates, and the fields of their events that say who and when; `chat`
// says that the event is of the chat in which it happened, if that is told.
const KINDS = {
  message: { author: 'from', time: 'date', chat: (event) => event },
  edited_message: { author: 'from', time: 'edit_date', chat: (event) => event },
  channel_post: { author: 'from', time: 'date' },
  edited_channel_post: { author: 'from', time: 'edit_date' },
  business_message: { author: 'from', time: 'date' },
  edited_business_message: { author: 'from', time: 'edit_date' },
  business_connection: { author: 'user' },
  callback_query: { author: 'from', chat: (event) => event.object('message') },
  inline_query: { author: 'from' },
  chosen_inline_result: { author: 'from' },
  shipping_query: { author: 'from' },
  pre_checkout_query: { author: 'from' },
  purchased_paid_media: { author: 'from' },
  poll_answer: { author: 'user' },
  message_reaction: { author: 'user', time: 'date' },
  my_chat_member: { author: 'from', time: 'date', chat: (event) => event },
  chat_member: { author: 'from', time: 'date' },
  chat_join_request: { author: 'from', time: 'date' },
  guest_message: { author: 'from', time: 'date' },
  managed_bot: { author: 'user' },
};

// An anonymous administrator, a channel, Telegram itself.
const PLACEHOLDERS = [1087968824, 136817688, 777000];

// A bot's token, which begins with its id, or the id alone.
const BOT = /^[\t-\r ]*([1-9][0-9]{0,18})(?::|[\t-\r ]*$)/;

const LARGEST_ID = 2 ** 52 - 1;
const LAST_SECOND = 253402300799; // of the year 9999

// Telegram's own tags are few, but custom languages have any. By RFC 5646, and
// as ICU has it: no singleton, and no variant, twice.
const LANGUAGE_TAG = new RegExp([
  '^(?!.*-([a-wy-z0-9])-.*-\\1-)',
  '(?!(?:[a-z0-9]{2,8}-)+([a-z0-9]{4,8})-(?:[a-z0-9]{2,8}-)*\\2(?:-|$))',
  '(?:(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})', // language
  '(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?', // script, region
  '(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*', // variants
  '(?:-[a-wy-z0-9](?:-[a-z0-9]{2,8})+)*', // extensions
  '(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+', // private use
  '|art-lojban|cel-gaulish|en-gb-oed|no-bok|no-nyn|sgn-(?:be-fr|be-nl|ch-de)',
  '|zh-(?:guoyu|hakka|min|min-nan|xiang)|i-(?:ami|bnn|default|enochian|hak',
  '|klingon|lux|mingo|navajo|pwn|tao|tay|tsu))$',
].join(''), 'i');

// Reads the fields of an object of Telegram's. One that is absent or null gives
// undefined; so does one of another type, and that is remembered in `fault`,
// which all readers of an update share.
class ObjectReader {
  constructor(object, path = '', fault = {}) {
    Object.assign(this, { object_: object, path, fault });
  }

  has(name) {
    return Object.hasOwn(this.object_, name) && this.object_[name] !== null &&
      this.object_[name] !== undefined;
  }

  text(name) {
    return this.#read(name, (v) => typeof v === 'string', 'a string');
  }

  bool(name) {
    return this.#read(name, (v) => typeof v === 'boolean', 'a boolean');
  }

  integer(name) {
    return this.#read(
      name, (v) => Number.isInteger(v) && v < 2 ** 63 && v >= -(2 ** 63),
      'a 64-bit integer');
  }

  object(name) {
    const object = this.#read(
      name, (v) => typeof v === 'object' && !Array.isArray(v), 'an object');
    return object && new ObjectReader(object, this.#pathOf(name), this.fault);
  }

  fail(name, what) {
    this.fault.message ??= `${this.#pathOf(name)} ${what}`;
  }

  #pathOf(name) {
    return this.path ? `${this.path}.${name}` : name;
  }

  #read(name, isIt, what) {
    if (!this.has(name)) return undefined;
    if (isIt(this.object_[name])) return this.object_[name];
    this.fail(name, `is not ${what}`);
    return undefined;
  }
}

// The text as the service takes it in a field of Identity; undefined if it is to
// be left out. A strange name must not lock its user out for ever.
function acceptable(field, given) {
  const { kind, max_code_points: most } = limitsOf(field);
  // Half of a surrogate pair is no text.
  const text = given.replace(/\p{Surrogate}/gu, '\ufffd');
  const fit = [...text.replace(/\p{Cc}/gu, '')].slice(0, most).join('');
  const isTag = kind === 'FIELD_KIND_LANGUAGE_TAG';
  if (fit !== text && (isTag || kind === 'FIELD_KIND_USERNAME')) return undefined;
  if (isTag && !LANGUAGE_TAG.test(text)) return undefined;
  return fit;
}

function identityOf(author) {
  const identity = {};
  for (const field of message('Identity').fieldsArray) {
    const { name } = field;
    // Absent, these say that the user has none; the others say nothing.
    const none = ['last_name', 'username'].includes(name) ? '' : undefined;
    const text = author.text(name) ?? none;
    const fit = text === undefined ? undefined : acceptable(field, text);
    if (fit !== undefined) identity[name] = fit;
  }
  return identity;
}

function isPrivate({ chat }, event) {
  const holder = chat && chat(event);
  const place = holder && holder.object('chat');
  return Boolean(place) && place.text('type') === 'private';
}

// Whether the event shows that the bot can reach the user in their private chat.
function isActive(name, event) {
  if (name === 'message') return true;
  if (name !== 'my_chat_member') return undefined;
  const member = event.object('new_chat_member');
  const word = member && member.text('status');
  if (word === 'member') return true;
  return word === 'kicked' ? false : undefined;
}

function readContact(name, kind, event) {
  if (event.has('sender_chat') || event.has('sender_business_bot')) return null;
  const author = event.object(kind.author);
  if (!author || author.bool('is_bot')) return null;
  const id = author.integer('id');
  if (!(id >= 1 && id <= LARGEST_ID)) {
    author.fail('id', 'is not a user id');
    return null;
  }
  if (PLACEHOLDERS.includes(id)) return null;
  const request = { user_id: String(id), identity: identityOf(author) };
  if (!isPrivate(kind, event)) {
    request.is_active_if_new = false;
  } else {
    const active = isActive(name, event);
    if (active !== undefined) request.is_active = active;
  }
  const time = (kind.time && event.integer(kind.time)) || 0;
  if (time < 0 || time > LAST_SECOND) {
    event.fail(kind.time, 'is not a time');
  } else if (time !== 0) {
    request.occurred_at =
      new Date(time * 1000).toISOString().replace('.000Z', 'Z');
  }
  return request;
}

// Of what looks like an event with one person behind it.
function readUnknownContact(update) {
  const contacts = [];
  for (const value of Object.values(update)) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) continue;
    const event = new ObjectReader(value);
    for (const author of ['from', 'user']) {
      const person = event.object(author);
      if (!person) continue;
      // Every user has that, and no chat.
      const isPerson = person.bool('is_bot') === false;
      contacts.push(isPerson && readContact('', { author, time: 'date' }, event));
    }
    if (event.fault.message) return null;
  }
  return (contacts.length === 1 && contacts[0]) || null;
}

function readUpdate(update) {
  if (update === null || typeof update !== 'object' || Array.isArray(update)) {
    throw new UserProfileError(
      status.INVALID_ARGUMENT, 'an update is a JSON object');
  }
  const reader = new ObjectReader(update);
  const name = Object.keys(KINDS).find((kind) => reader.has(kind));
  if (!name) return readUnknownContact(update);
  const event = reader.object(name);
  const contact = event ? readContact(name, KINDS[name], event) : null;
  if (reader.fault.message) {
    throw new UserProfileError(status.INVALID_ARGUMENT, reader.fault.message);
  }
  return contact;
}

// Who contacts the bot with an update, as the request for upsertUser; null if it
// is nobody's contact. UserProfileError, with INVALID_ARGUMENT, if it is no
// update.
function contactOf(update, bot) {
  const contact = readUpdate(update);
  const [, id] = BOT.exec(bot) ?? [];
  if (contact && id && Number.isInteger(update.update_id)) {
    contact.event_id = `${id}:${update.update_id}`;
  }
  return contact;
}

module.exports = { contactOf };
