// deploy/compose.yaml, as far as it can be checked without an engine.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { root } from './kubernetes.mjs';

const folder = join(root, 'deploy');
const text = readFileSync(join(folder, 'compose.yaml'), 'utf8');
const compose = parse(text, { merge: true });
const services = Object.entries(compose.services);

test('each service starts when what it needs is well', () => {
  const image = readFileSync(join(folder, 'docker/Dockerfile'), 'utf8');
  for (const [name, service] of services) {
    for (const [other, { condition }] of
         Object.entries(service.depends_on ?? {})) {
      const needed = compose.services[other];
      assert.ok(needed, `${name} needs ${other}`);
      if (condition === 'service_healthy') {
        assert.ok(needed.healthcheck || needed.build &&
                  image.includes('\nHEALTHCHECK '), `${other} has no check`);
      } else {
        // It has to end for that, and be seen to fail.
        assert.equal(condition, 'service_completed_successfully');
        assert.equal(needed.restart, 'no');
      }
    }
  }
  const order = ['postgres', 'migrate', 'server', 'prometheus', 'grafana'];
  assert.deepEqual(services.map(([name]) => name), order);
  for (let i = 1; i < order.length; ++i) {
    assert.deepEqual(Object.keys(compose.services[order[i]].depends_on),
                     [order[i - 1]]);
  }
});

test('PostgreSQL is asked for its health as a role that it has', () => {
  const { environment, healthcheck } = compose.services.postgres;
  assert.ok(healthcheck.test.includes(
    `--username=${environment.POSTGRES_USER}`));
});

test('nothing is published beyond this machine', () => {
  for (const [name, service] of services) {
    for (const port of service.ports ?? []) {
      assert.match(port, /^127\.0\.0\.1:/, name);
    }
  }
});

test('what it mounts and refers to is there', () => {
  for (const [name, service] of services) {
    for (const volume of service.volumes ?? []) {
      const [source] = volume.split(':');
      assert.ok(source.startsWith('./') ? existsSync(join(folder, source))
                                        : source in compose.volumes,
                `${name} mounts ${source}`);
    }
    // Compose refuses those that are no files where the root is read-only.
    for (const kind of ['configs', 'secrets']) {
      for (const one of service[kind] ?? []) {
        const made = compose[kind][one.source ?? one];
        assert.ok(made.file ? existsSync(join(folder, made.file))
                            : !service.read_only, `${name} gets ${one}`);
      }
    }
    if (service.build) {
      assert.ok(existsSync(join(folder, service.build.context,
                                service.build.dockerfile)));
    }
  }
});

test('.env.example has every variable', () => {
  const example = readFileSync(join(folder, '.env.example'), 'utf8');
  const variables = new Set(
    [...text.matchAll(/\$\{(\w+)/g)].map(match => match[1]));
  const given = new Set(
    [...example.matchAll(/^(\w+)=/gm)].map(match => match[1]));
  assert.deepEqual([...given].sort(), [...variables].sort());
});
