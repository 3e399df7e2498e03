// What the tests here share: overlays as kubectl renders them, and whether an
// object is one that Kubernetes takes.

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';

// The checkout, as the script that runs the tests says.
export const root = process.env.USERPROFILE_ROOT;

export const overlays = ['dev', 'production'];

// An overlay's objects.
export function render(overlay) {
  const folder = join(root, 'deploy/kubernetes/overlays', overlay);
  const text = execFileSync('kubectl', ['kustomize', folder],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const objects = parseAllDocuments(text).map(document => document.toJS());
  // Long values come in several lines; Kubernetes overlooks that.
  for (const { data } of objects.filter(object => object.kind === 'Secret')) {
    for (const key in data) data[key] = data[key].replaceAll('\n', '');
  }
  return objects;
}

export const nameOf = object => `${object.kind}/${object.metadata.name}`;

// The pods of an overlay: { name, labels, spec, owner } of each template.
export function podsOf(objects) {
  return objects
    .filter(object => object.spec?.template?.spec?.containers)
    .map(owner => ({
      name: nameOf(owner),
      labels: owner.spec.template.metadata.labels,
      spec: owner.spec.template.spec,
      owner,
    }));
}

export const containersOf = pod =>
  [...(pod.spec.initContainers ?? []), ...pod.spec.containers];

// Whether a label selector takes the labels.
export const selects = (selector, labels) =>
  Object.entries(selector?.matchLabels ?? {})
    .every(([key, value]) => labels[key] === value);

// The packages that know the API groups which are not Kubernetes' own.
const packages = {
  'cert-manager.io': '@kubernetes-models/cert-manager',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

// Complaints about an object, by the schemas that the packages carry; null if
// there is none for its kind.
//
// The schemas let unknown fields pass, as Kubernetes does, which drops them; a
// field that is misspelt would never be missed. But a validator looks at every
// field that it knows of, so what it never looked at is unknown.
export async function complaintsAbout(object) {
  const [group, version] = object.apiVersion.includes('/')
    ? object.apiVersion.split('/') : ['', object.apiVersion];
  let models;
  try {
    models = await import(
      [packages[group] ?? 'kubernetes-models', group, version]
        .filter(part => part).join('/'));
  } catch (error) {
    if (error.code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw error;
    return null;
  }
  const model = models[object.kind];
  if (!model) return null;

  const seen = new Set();
  const watched = (value, path) => {
    if (typeof value !== 'object' || value === null) return value;
    return new Proxy(value, {
      get(target, key) {
        const below = `${path}/${String(key)}`;
        seen.add(below);
        return watched(target[key], below);
      },
    });
  };
  const complaints = [];
  try {
    // As the package's models do it, but on the object as it was written.
    model.prototype.validate.call(watched(object, ''));
  } catch (error) {
    complaints.push(error.message);
  }
  const lookForUnknown = (value, path) => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, child] of Object.entries(value)) {
      const below = `${path}/${key}`;
      if (seen.has(below)) lookForUnknown(child, below);
      else complaints.push(`${below}: there is no such field`);
    }
  };
  lookForUnknown(object, '');
  return complaints;
}
