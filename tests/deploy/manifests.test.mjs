// Every overlay renders, is made of objects that Kubernetes takes, and keeps
// what kube-score, kubesec and Polaris ask for: those of their checks that
// concern the kinds of objects that are here, under the names that the tools
// give them. `exceptions` says which are not followed, and why.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsAbout, containersOf, nameOf, overlays, podsOf, render,
         selects } from './kubernetes.mjs';

// A check by its names in the tools; `find` returns what is wrong, in words,
// for a container, a pod, or all objects of an overlay.
const containerChecks = [
  [['kube-score container-image-tag', 'polaris tagNotSpecified'],
    c => !/:(?!latest$)[^/]+$/.test(c.image)],
  [['kube-score container-image-pull-policy', 'polaris pullPolicyNotAlways'],
    c => c.imagePullPolicy !== 'Always'],
  [['kube-score container-resources', 'kubesec RequestsCPU',
    'polaris cpuRequestsMissing'],
    c => !c.resources?.requests?.cpu],
  [['kube-score container-resources', 'kubesec RequestsMemory',
    'polaris memoryRequestsMissing'],
    c => !c.resources?.requests?.memory],
  [['kube-score container-resources', 'kubesec LimitsMemory',
    'polaris memoryLimitsMissing'],
    c => !c.resources?.limits?.memory],
  [['kube-score container-resources (CPU limit)', 'kubesec LimitsCPU',
    'polaris cpuLimitsMissing'],
    c => !c.resources?.limits?.cpu],
  [['kube-score container-ephemeral-storage-request-and-limit'],
    c => !c.resources?.requests?.['ephemeral-storage'] ||
         !c.resources?.limits?.['ephemeral-storage']],
  [['kube-score container-security-context-readonlyrootfilesystem',
    'kubesec ReadOnlyRootFilesystem', 'polaris notReadOnlyRootFilesystem'],
    c => c.securityContext?.readOnlyRootFilesystem !== true],
  [['kube-score container-security-context-privileged', 'kubesec Privileged',
    'polaris runAsPrivileged'],
    c => c.securityContext?.privileged !== false],
  [['kube-score container-security-context-user-group-id',
    'kubesec RunAsUser', 'kubesec RunAsGroup'],
    c => !(c.securityContext?.runAsUser > 10000) ||
         !(c.securityContext?.runAsGroup > 10000)],
  [['kubesec RunAsNonRoot', 'polaris runAsRootAllowed'],
    c => c.securityContext?.runAsNonRoot !== true],
  [['kubesec AllowPrivilegeEscalation', 'polaris privilegeEscalationAllowed'],
    c => c.securityContext?.allowPrivilegeEscalation !== false],
  [['kubesec CapDropAny', 'kubesec CapDropAll', 'kubesec CapSysAdmin',
    'polaris dangerousCapabilities', 'polaris insecureCapabilities',
    'polaris linuxHardening'],
    c => !c.securityContext?.capabilities?.drop?.includes('ALL') ||
         c.securityContext.capabilities.add],
  [['kubesec ProcMount', 'polaris procMount'],
    c => c.securityContext?.procMount],
  [['polaris hostPortSet'], c => c.ports?.some(port => port.hostPort)],
  [['kube-score container-ports-check'],
    c => new Set(c.ports?.map(port => port.name)).size !==
         (c.ports?.length ?? 0)],
  [['kube-score environment-variable-key-duplication'],
    c => new Set(c.env?.map(variable => variable.name)).size !==
         (c.env?.length ?? 0)],
  [['kubesec SecretsAsEnvironmentVariables',
    'polaris sensitiveContainerEnvVar'],
    c => c.envFrom?.some(from => from.secretRef) ||
         c.env?.some(variable => variable.valueFrom?.secretKeyRef ||
           /pass|secret|token|key/i.test(variable.name) &&
           !variable.name.endsWith('_FILE'))],
];

// Of a pod that serves: the last containers of it, not its init containers.
const servingChecks = [
  [['kube-score pod-probes', 'polaris readinessProbeMissing',
    'polaris livenessProbeMissing'],
    c => !c.readinessProbe || !c.livenessProbe],
  [['kube-score pod-probes-identical'],
    c => JSON.stringify(c.readinessProbe?.httpGet ?? c.readinessProbe) ===
         JSON.stringify(c.livenessProbe?.httpGet ?? c.livenessProbe)],
];

const podChecks = [
  [['kubesec HostNetwork', 'polaris hostNetworkSet'], p => p.spec.hostNetwork],
  [['kubesec HostPID', 'polaris hostPIDSet'], p => p.spec.hostPID],
  [['kubesec HostIPC', 'polaris hostIPCSet'], p => p.spec.hostIPC],
  [['kubesec HostAliases'], p => p.spec.hostAliases],
  [['polaris hostProcess'],
    p => p.spec.securityContext?.windowsOptions?.hostProcess],
  [['kubesec DockerSock', 'polaris hostPathSet'],
    p => p.spec.volumes?.some(volume => volume.hostPath)],
  [['kubesec SeccompAny', 'kubesec SeccompUnconfined',
    'kube-score container-seccomp-profile'],
    p => p.spec.securityContext?.seccompProfile?.type !== 'RuntimeDefault'],
  [['kubesec ServiceAccountName'], p => !p.spec.serviceAccountName],
  [['kubesec AutomountServiceAccountToken',
    'polaris automountServiceAccountToken'],
    p => p.spec.automountServiceAccountToken !== false],
  [['kubesec ApparmorAny'], p => !p.spec.securityContext?.appArmorProfile],
  [['kubesec HostUsers'], p => p.spec.hostUsers !== false],
  [['polaris priorityClassNotSet'], p => !p.spec.priorityClassName],
  [['polaris metadataAndInstanceMismatched'],
    p => p.owner.metadata.labels?.['app.kubernetes.io/instance'] !==
         p.owner.metadata.name],
  [['kube-score pod-networkpolicy', 'polaris missingNetworkPolicy'],
    (p, objects) => {
      const types = objects
        .filter(o => o.kind === 'NetworkPolicy' &&
                     selects(o.spec.podSelector, p.labels))
        .flatMap(o => o.spec.policyTypes);
      return !types.includes('Ingress') || !types.includes('Egress');
    }],
];

const replicated = ['Deployment', 'StatefulSet'];
const of = (objects, ...kinds) => objects.filter(o => kinds.includes(o.kind));
const autoscalerOf = (objects, owner) =>
  of(objects, 'HorizontalPodAutoscaler').find(
    hpa => hpa.spec.scaleTargetRef.name === owner.metadata.name);
const budgetOf = (objects, owner) =>
  of(objects, 'PodDisruptionBudget').find(
    pdb => selects(pdb.spec.selector, owner.spec.template.metadata.labels));

// Of a Deployment or a StatefulSet.
const ownerChecks = [
  [['polaris deploymentMissingReplicas', 'kube-score deployment-replicas',
    'polaris hpaMinAvailability'],
    (owner, objects) => (autoscalerOf(objects, owner)?.spec.minReplicas ??
                         owner.spec.replicas ?? 1) < 2],
  [['kube-score deployment-targeted-by-hpa-does-not-have-replicas-configured'],
    (owner, objects) => autoscalerOf(objects, owner) &&
                        owner.spec.replicas !== undefined],
  [['kube-score deployment-has-poddisruptionbudget',
    'kube-score statefulset-has-poddisruptionbudget',
    'polaris missingPodDisruptionBudget'],
    (owner, objects) => !budgetOf(objects, owner)],
  [['kube-score deployment-has-host-podantiaffinity',
    'kube-score statefulset-has-host-podantiaffinity'],
    owner => !owner.spec.template.spec.affinity?.podAntiAffinity &&
             !owner.spec.template.spec.topologySpreadConstraints?.some(
               c => c.topologyKey === 'kubernetes.io/hostname')],
  [['polaris topologySpreadConstraint',
    'kube-score pod-topology-spread-constraints'],
    owner => !owner.spec.template.spec.topologySpreadConstraints?.length],
  [['kube-score statefulset-has-servicename'],
    (owner, objects) => owner.kind === 'StatefulSet' &&
      !of(objects, 'Service').some(
        service => service.metadata.name === owner.spec.serviceName &&
                   service.spec.clusterIP === 'None')],
  [['kube-score deployment-pod-selector-labels-match-template-metadata-labels',
    'kube-score statefulset-pod-selector-labels-match-template-metadata-labels'],
    owner => !selects(owner.spec.selector,
                      owner.spec.template.metadata.labels)],
  [['kubesec VolumeClaimAccessModeReadWriteOnce'],
    owner => owner.spec.volumeClaimTemplates?.some(
      claim => !claim.spec.accessModes.includes('ReadWriteOnce'))],
  [['kubesec VolumeClaimRequestsStorage'],
    owner => owner.spec.volumeClaimTemplates?.some(
      claim => !claim.spec.resources?.requests?.storage)],
];

// Of all objects together: returns the names of those at fault.
const overlayChecks = [
  [['kube-score service-targets-pod'],
    objects => of(objects, 'Service').filter(service =>
      !podsOf(objects).some(pod => selects({ matchLabels:
        service.spec.selector }, pod.labels)))],
  [['kube-score service-type'],
    objects => of(objects, 'Service').filter(
      service => service.spec.type === 'NodePort')],
  [['kube-score networkpolicy-targets-pod'],
    objects => of(objects, 'NetworkPolicy').filter(policy =>
      !podsOf(objects).some(pod => selects(policy.spec.podSelector,
                                           pod.labels)) &&
      // The operator makes these pods.
      !of(objects, 'Cluster').some(cluster => selects(
        policy.spec.podSelector,
        { 'cnpg.io/cluster': cluster.metadata.name })))],
  [['kube-score horizontalpodautoscaler-has-target'],
    objects => of(objects, 'HorizontalPodAutoscaler').filter(hpa =>
      !objects.some(o => o.kind === hpa.spec.scaleTargetRef.kind &&
                         o.metadata.name === hpa.spec.scaleTargetRef.name))],
  [['polaris hpaMaxAvailability',
    'kube-score horizontalpodautoscaler-replicas'],
    objects => of(objects, 'HorizontalPodAutoscaler').filter(
      hpa => hpa.spec.maxReplicas <= hpa.spec.minReplicas)],
  [['kube-score poddisruptionbudget-has-policy',
    'polaris pdbDisruptionsIsZero',
    'polaris pdbMinAvailableGreaterThanOrEqualToHPAMinReplicas'],
    objects => of(objects, 'PodDisruptionBudget').filter(
      pdb => !(pdb.spec.maxUnavailable >= 1))],
  [['kube-score label-values'],
    objects => objects.filter(o => Object.values(o.metadata.labels ?? {})
      .some(value => !/^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/
        .test(value)))],
  [['kube-score stable-version'],
    objects => objects.filter(o => !o.apiVersion.startsWith('monitoring.') &&
                                   /(alpha|beta)/.test(o.apiVersion))],
  [['polaris sensitiveConfigmapContent'],
    objects => of(objects, 'ConfigMap').filter(map => Object.keys(map.data)
      .some(key => /password|secret|token/i.test(key)))],
  [['polaris clusterrolePodExecAttach', 'polaris rolePodExecAttach',
    'polaris clusterrolebindingPodExecAttach',
    'polaris rolebindingClusterRolePodExecAttach',
    'polaris rolebindingRolePodExecAttach',
    'polaris clusterrolebindingClusterAdmin',
    'polaris rolebindingClusterAdminClusterRole',
    'polaris rolebindingClusterAdminRole',
    'kubesec BindingsToSystemAnonymous'],
    objects => of(objects, 'Role', 'ClusterRole', 'RoleBinding',
                  'ClusterRoleBinding')],
  [['polaris tlsSettingsMissing', 'kube-score ingress-targets-service'],
    objects => of(objects, 'Ingress')],
  [['kube-score cronjob-has-deadline'], objects => of(objects, 'CronJob')],
];

// Checks that are not followed: a tool's name of the check, whom it is about
// (the start of a name; all, if there is none), and the reason.
const exceptions = [
  ['kube-score container-image-pull-policy', '',
    'tags are never moved, and a registry that is away must not keep a pod ' +
    'from starting'],
  ['kube-score container-resources (CPU limit)', '',
    'a throttled server is slow for everybody; requests share the CPU fairly'],
  ['kubesec ApparmorAny', '',
    'not every node has AppArmor, and a profile that is asked for there ' +
    'keeps the pod from starting'],
  ['kubesec HostUsers', '', 'needs nodes whose kernel and runtime have it'],
  ['polaris priorityClassNotSet', '',
    'which class there is, and who is above whom, is the cluster\'s to say'],
  ['polaris metadataAndInstanceMismatched', '',
    'the label names an installation; there is one to a namespace'],
  // The database of the dev overlay, which is there to be thrown away.
  ['kube-score container-security-context-user-group-id', 'dev StatefulSet/postgres',
    'its image\'s user is 999'],
  ['kubesec ServiceAccountName', 'dev StatefulSet/postgres',
    'the default account, without its token'],
  ['polaris deploymentMissingReplicas', 'dev', 'one of each is enough'],
  ['polaris missingPodDisruptionBudget', 'dev StatefulSet/postgres',
    'it may go at any time'],
  ['kube-score deployment-has-host-podantiaffinity', 'dev StatefulSet/postgres',
    'there is one'],
  ['polaris topologySpreadConstraint', 'dev StatefulSet/postgres',
    'there is one'],
];
const excused = new Set();

// The names of those checks that are broken, with who breaks them.
function broken(checks, who, subject, objects) {
  return checks.flatMap(([names, isBroken]) => {
    if (!isBroken(subject, objects)) return [];
    const exception = exceptions.find(
      ([name, of]) => names.includes(name) && who.startsWith(of));
    if (exception) {
      excused.add(exception);
      return [];
    }
    return [`${who}: ${names[0]}`];
  });
}

// Secrets that no overlay holds: made by hand, as deploy/kubernetes/README.md
// says, or by CloudNativePG.
const secretsOfOthers = [
  'userprofile-callers', 'userprofile-database', 'userprofile-db-app',
  'userprofile-db-ca',
];

for (const overlay of overlays) {
  const objects = render(overlay);
  const pods = podsOf(objects);
  const find = name => objects.find(object => nameOf(object) === name);
  const server = find('Deployment/userprofile');
  const environment =
    of(objects, 'ConfigMap').find(map => map.data.USERPROFILE_LISTEN).data;

  test(`${overlay}: Kubernetes takes every object`, async () => {
    const complaints = [];
    const unknown = new Set();
    for (const object of objects) {
      const found = await complaintsAbout(object);
      if (found === null) unknown.add(object.kind);
      else complaints.push(...found.map(what => `${nameOf(object)} ${what}`));
    }
    assert.deepEqual(complaints, []);
    // No package carries CloudNativePG's schema.
    assert.deepEqual([...unknown], overlay === 'dev' ? [] : ['Cluster']);
  });

  test(`${overlay}: the checks of kube-score, kubesec and Polaris hold`, () => {
    const complaints = [];
    for (const pod of pods) {
      const who = `${overlay} ${pod.name}`;
      complaints.push(...broken(podChecks, who, pod, objects));
      for (const container of containersOf(pod)) {
        complaints.push(...broken(
          containerChecks, `${who} ${container.name}`, container, objects));
      }
      if (!replicated.includes(pod.owner.kind)) continue;
      complaints.push(...broken(ownerChecks, who, pod.owner, objects));
      for (const container of pod.spec.containers) {
        complaints.push(...broken(
          servingChecks, `${who} ${container.name}`, container, objects));
      }
    }
    for (const [names, atFault] of overlayChecks) {
      for (const object of atFault(objects)) {
        complaints.push(`${overlay} ${nameOf(object)}: ${names[0]}`);
      }
    }
    assert.deepEqual(complaints, []);
  });

  test(`${overlay}: the namespace takes restricted pods only`, () => {
    const [namespace] = of(objects, 'Namespace');
    assert.equal(namespace.metadata.labels[
      'pod-security.kubernetes.io/enforce'], 'restricted');
    for (const object of objects) {
      if (object !== namespace) {
        assert.equal(object.metadata.namespace, namespace.metadata.name,
                     nameOf(object));
      }
    }
  });

  test(`${overlay}: what is referred to is there`, () => {
    const complaints = [];
    const made = [
      ...of(objects, 'Secret', 'ConfigMap', 'ServiceAccount').map(nameOf),
      ...of(objects, 'Certificate').map(o => `Secret/${o.spec.secretName}`),
      ...(overlay === 'dev' ? [] : secretsOfOthers.map(o => `Secret/${o}`)),
      'ServiceAccount/default',
    ];
    const need = (who, name) => {
      if (!made.includes(name)) complaints.push(`${who} needs ${name}`);
    };
    for (const pod of pods) {
      need(pod.name, `ServiceAccount/${pod.spec.serviceAccountName ??
                                       'default'}`);
      const volumes = [
        ...pod.spec.volumes,
        ...(pod.owner.spec.volumeClaimTemplates ?? [])
          .map(claim => claim.metadata),
      ].map(volume => volume.name);
      for (const { secret, configMap } of pod.spec.volumes) {
        if (secret) need(pod.name, `Secret/${secret.secretName}`);
        if (configMap) need(pod.name, `ConfigMap/${configMap.name}`);
      }
      const mounted = new Set();
      for (const container of containersOf(pod)) {
        const mounts = container.volumeMounts ?? [];
        for (const mount of mounts) {
          mounted.add(mount.name);
          if (!volumes.includes(mount.name)) {
            complaints.push(`${pod.name} has no volume ${mount.name}`);
          }
        }
        for (const from of container.envFrom ?? []) {
          need(pod.name, `ConfigMap/${from.configMapRef.name}`);
        }
        // Files that the environment names, of what the server reads.
        if (container.name !== 'server') continue;
        for (const path of Object.values(environment)) {
          if (path.startsWith('/') &&
              !mounts.some(mount => path.startsWith(`${mount.mountPath}/`))) {
            complaints.push(`${path} is in no volume`);
          }
        }
      }
      assert.deepEqual([...mounted].sort(), volumes.sort());
    }
    for (const service of of(objects, 'Service')) {
      const pod = pods.find(p => selects(
        { matchLabels: service.spec.selector }, p.labels));
      const ports = pod.spec.containers.flatMap(c => c.ports)
        .map(port => port.name);
      for (const port of service.spec.ports) {
        if (!ports.includes(port.targetPort)) {
          complaints.push(`${nameOf(service)} has no ${port.targetPort}`);
        }
      }
    }
    assert.deepEqual(complaints, []);
  });

  test(`${overlay}: a rollout takes no replica away before another is there`,
    () => {
      assert.deepEqual(server.spec.strategy.rollingUpdate,
                       { maxSurge: 1, maxUnavailable: 0 });
    });

  test(`${overlay}: all replicas fit into the database's connections`, () => {
    // One that watches the schema, one that probes writes, one that proves that
    // users are not there, one that finds them by name, one that goes through
    // all of them, one that reads what changed, one that has sessions, and one
    // that trims both.
    const connections = 8 +
      Number(environment.USERPROFILE_READ_CONNECTIONS) +
      Number(environment.USERPROFILE_UPSERT_CONNECTIONS) +
      Number(environment.USERPROFILE_EDIT_CONNECTIONS);
    const replicas = server.spec.replicas ??
      find('HorizontalPodAutoscaler/userprofile').spec.maxReplicas;
    const surge = server.spec.strategy.rollingUpdate.maxSurge;
    const limit = Number(find('Cluster/userprofile-db')
      ?.spec.postgresql.parameters.max_connections ?? 100);
    // Some for the migration, the init container, superusers, standbys, an
    // exporter and a person who looks.
    const others = 20;
    assert.ok((replicas + surge) * connections + others <= limit,
              `${replicas} + ${surge} replicas x ${connections}, ${limit}`);
    assert.ok(connections > 5);
  });

  test(`${overlay}: a pod has the time that it takes to leave`, () => {
    const seconds = name => {
      const match = /^(\d+)s$/.exec(environment[name] ?? '0s');
      assert.ok(match, `${name} is not in seconds`);
      return Number(match[1]);
    };
    const grace = server.spec.template.spec.terminationGracePeriodSeconds;
    assert.ok(seconds('USERPROFILE_DRAIN_TIMEOUT') > 0);
    assert.ok(seconds('USERPROFILE_DRAIN_DELAY') +
              seconds('USERPROFILE_DRAIN_TIMEOUT') + 5 <= grace);
  });

  test(`${overlay}: a migration that a person has to look at fails at once, and
leaves its log`, () => {
    const { spec } = find('Job/userprofile-migrate');
    assert.equal(spec.template.spec.restartPolicy, 'Never');
    assert.deepEqual(spec.podFailurePolicy.rules, [
      { action: 'FailJob', onExitCodes: { operator: 'In', values: [3] } },
    ]);
  });

  test(`${overlay}: one version everywhere; the owner's secret stays with the
migration`, () => {
    const images = new Set();
    const secrets = {};
    for (const pod of pods.filter(p => p.labels['app.kubernetes.io/name'] ===
                                       'userprofile')) {
      containersOf(pod).forEach(container => images.add(container.image));
      secrets[pod.name] = pod.spec.volumes
        .find(volume => volume.name === 'database').secret.secretName;
    }
    assert.equal(images.size, 1);
    assert.notEqual(secrets['Deployment/userprofile'],
                    secrets['Job/userprofile-migrate']);
  });
}

test('no exception is idle', () => {
  assert.deepEqual(exceptions.filter(e => !excused.has(e)), []);
});

test('a wrong type and a field that does not exist are found', async () => {
  const [policy] = of(render('dev'), 'PodDisruptionBudget');
  assert.deepEqual(await complaintsAbout(policy), []);
  policy.spec.maxUnavailble = 1;
  policy.spec.selector.matchLabels['a.label'] = 3;
  const complaints = await complaintsAbout(policy);
  assert.match(complaints.join('\n'), /matchLabels\/a.label must be string/);
  assert.match(complaints.join('\n'),
               /spec\/maxUnavailble: there is no such field/);
});
