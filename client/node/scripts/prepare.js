'use strict';
// Puts into the package what is made from the API's files: these files, and
// api.d.ts, the types of its messages and methods. npm pack runs it.
//   prepare.js [--undo]

const fs = require('node:fs');
const path = require('node:path');

const PACKAGE = path.join(__dirname, '..');
const PROTO = path.join(PACKAGE, 'proto');
const TYPES = path.join(PACKAGE, 'api.d.ts');

fs.rmSync(PROTO, { recursive: true, force: true });
fs.rmSync(TYPES, { force: true });
if (process.argv[2] !== '--undo') {
  for (const folder of ['google/rpc', 'userprofile/v1']) {
    fs.cpSync(path.join(PACKAGE, '../../proto', folder),
      path.join(PROTO, folder), { recursive: true });
  }
  fs.writeFileSync(TYPES, require('./types.js').types());
}
