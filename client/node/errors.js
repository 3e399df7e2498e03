'use strict';

const { status } = require('@grpc/grpc-js');
const { root } = require('./api.js');

// What a call, or the reading of an update, failed with. No error says that a
// user is new, but for NOT_FOUND of getProfile and the like.
class UserProfileError extends Error {
  // `details` are messages of google.rpc, each packed as an Any.
  constructor(code, message, details = []) {
    super(message);
    this.name = 'UserProfileError';
    this.code = code; // gRPC's number
    this.status = status[code]; // and its name, such as "NOT_FOUND"
    this.reason = ''; // the service's, such as "USER_NOT_FOUND"; '' of gRPC's own
    this.metadata = {};
    this.fieldViolations = []; // [{field, description}] of INVALID_FIELDS
    this.retryAfter = undefined; // milliseconds, if the service says when
    for (const detail of details) {
      try {
        this.#add(detail);
      } catch {
        // A detail that can't be read is no reason to lose the code.
      }
    }
  }

  // The service refuses this very request, whenever it is asked: to try again
  // is of no use, and it says nothing about the user. Other errors may pass.
  get isRefused() {
    return [status.INVALID_ARGUMENT, status.NOT_FOUND, status.ALREADY_EXISTS,
      status.FAILED_PRECONDITION].includes(this.code) ||
      this.reason === 'ROW_REJECTED';
  }

  #add({ type_url: url, value }) {
    const type = url.split('/').pop();
    const read = (name) => type === name && root.lookupType(name).decode(value);
    const info = read('google.rpc.ErrorInfo');
    if (info) {
      this.reason = info.reason;
      this.metadata = { ...info.metadata };
    }
    const invalid = read('google.rpc.BadRequest');
    if (invalid) {
      this.fieldViolations = invalid.field_violations.map(
        ({ field, description }) => ({ field, description }));
    }
    const retry = read('google.rpc.RetryInfo');
    if (retry && retry.retry_delay) {
      const { seconds, nanos } = retry.retry_delay;
      this.retryAfter = Number(seconds) * 1000 + nanos / 1e6;
    }
  }
}

// The error that gRPC gives, with what the service attached.
function fromGrpc(error) {
  const [packed] = (error.metadata && error.metadata.get(
    'grpc-status-details-bin')) || [];
  let details = [];
  try {
    if (packed) details = root.lookupType('google.rpc.Status').decode(packed).details;
  } catch {
    // Details that can't be read are no reason to lose the code.
  }
  return new UserProfileError(error.code, error.details || error.message, details);
}

module.exports = { UserProfileError, fromGrpc };
