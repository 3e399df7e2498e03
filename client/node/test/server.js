'use strict';
// A real server on a database of its own, to be killed and started again.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

// Where userprofile-server is; without it, tests of the client are skipped.
const PROGRAM = process.env.USERPROFILE_SERVER_PROGRAM;

class Server {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'userprofile-node-'));
    fs.chmodSync(this.folder, 0o755); // PostgreSQL runs as somebody else
    this.address = `unix:${this.folder}/grpc`;
  }

  async start() {
    this.process = spawn(PROGRAM, [
      'serve', '--database', `embedded:${this.folder}/database`,
      '--listen', this.address, '--admin-listen', '127.0.0.1:0',
    ], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    for await (const part of this.process.stderr) {
      said += part;
      if (/http:\/\/127\.0\.0\.1:\d+/.test(said)) break;
    }
    // A pipe that nobody reads would fill.
    this.process.stderr.destroy();
    if (this.process.exitCode !== null) throw new Error(said);
  }

  async kill(signal = 'SIGKILL') {
    const exit = once(this.process, 'exit');
    this.process.kill(signal);
    await exit;
  }

  async remove() {
    await this.kill('SIGTERM');
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 20 });
  }
}

module.exports = { PROGRAM, Server };
