'use strict';
// The API, as its file says it: methods, messages, and the limits of fields.
// Nothing of that is listed here.

const fs = require('node:fs');
const path = require('node:path');
const protobuf = require('protobufjs');

// In the package, the file lies beside; in the project, where it belongs.
const FOLDER = [path.join(__dirname, 'proto'), path.join(__dirname, '../../proto')]
  .find((folder) => fs.existsSync(folder));

const root = new protobuf.Root();
root.resolvePath = (origin, name) => {
  if (name === 'google/protobuf/descriptor.proto') {
    return require.resolve(`protobufjs/${name}`);
  }
  // protobufjs knows the others of these by heart.
  if (name.startsWith('google/protobuf/')) return name;
  return path.join(FOLDER, name);
};
root.loadSync(
  ['userprofile/v1/user_profile_service.proto',
    'google/rpc/error_details.proto'],
  { keepCase: true, alternateCommentMode: true });
root.resolveAll();

const service = root.lookupService('userprofile.v1.UserProfileService');

// A message of the API by its name.
function message(name) {
  return root.lookupType(`userprofile.v1.${name}`);
}

// What the API says of a field: {max_code_points: 64, kind: '...'}.
function limitsOf(field) {
  const said = (field.parsedOptions || []).map((option) => option['(limits)']);
  return Object.assign({}, ...said.filter(Boolean));
}

module.exports = { limitsOf, message, root, service };
