'use strict';

const { createClient } = require('./client.js');
const { contactOf } = require('./contact.js');
const { UserProfileError } = require('./errors.js');
const { attach, userprofile } = require('./middleware.js');
const { recognitionOf } = require('./recognition.js');
const { sessionStorage } = require('./sessions.js');

module.exports = {
  UserProfileError, attach, contactOf, createClient, recognitionOf,
  sessionStorage, userprofile,
};
