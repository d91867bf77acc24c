import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { KEYS_VARIABLE, PROVIDER_VARIABLES, settings, variableName } from '../../src/settings.ts'
import { makeFolder, ROOT } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'
import { deployedConfiguration } from '../support/proxies/deployed-nginx.ts'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

const VARIABLES: ReadonlySet<string> = new Set([
  ...Object.keys(settings).map(variableName),
  KEYS_VARIABLE,
  ...Object.values(PROVIDER_VARIABLES).flatMap((variables) => Object.values(variables)),
])

/** What follows DRAIN_MS when streams do not end: counting, closing connections, closing stores and providers, last lines. */
const FAREWELL_S = 11

const { drainMs, bodyLimit, uploadLimit, keepAliveMs } = loadConfig()
const DRAIN_S = drainMs / 1000

/** `45s` → 45, `1h` → 3600. */
function seconds(text: string): number {
  const [, amount, unit] = /^(\d+)([smh])$/.exec(text)!
  return Number(amount) * { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h']
}

const environment = z.record(z.string(), z.string())

describe('deploy/compose.yaml', () => {
  const gateway = z.object({ build: z.string(), environment, stop_grace_period: z.string() })
  const { services } = z
    .object({
      services: z.object({
        'sluice-1': gateway,
        'sluice-2': gateway,
        redis: z.object({ image: z.string() }),
        nginx: z.object({ image: z.string(), volumes: z.array(z.string()), ports: z.array(z.string()) }),
      }),
    })
    .parse(parse(read('deploy/compose.yaml'), { merge: true }))
  const nodes = [services['sluice-1'], services['sluice-2']]

  it('has two gateways that differ in nothing', () => {
    expect(nodes[0]).toEqual(nodes[1])
    expect(existsSync(join(ROOT, 'deploy', nodes[0]!.build, 'Dockerfile'))).toBe(true)
  })

  it('gives them settings that they take', () => {
    const given = nodes[0]!.environment
    expect(unknown(given)).toEqual([])
    // As compose fills in `${NAME:-}` and `${NAME:?…}`.
    const filled = Object.entries(given).map(([name, value]) => [name, value.replace(/\$\{.*:-\}/, '')])
    const config = loadConfig({ environment: { ...Object.fromEntries(filled), [KEYS_VARIABLE]: 'me:key' } })
    expect(config).toMatchObject({ trustProxy: 1, keys: [{ name: 'me' }] })
    expect(given.REDIS_URL).toBe('redis://redis:6379')
  })

  it('starts no gateway without keys, and none whose tickets another cannot check', () => {
    for (const name of [KEYS_VARIABLE, 'TICKET_SECRET'])
      expect(nodes[0]!.environment[name]).toMatch(new RegExp(`^\\$\\{${name}:\\?.+\\}$`))
  })

  it('names exact versions, mounts what there is, and is open to this machine only', () => {
    for (const { image } of [services.redis, services.nginx]) expect(image).toMatch(/:\d+\.\d+\.\d+$/)
    expect(services.nginx.ports).toEqual(['127.0.0.1:8080:8080'])
    expect(services.nginx.volumes).toEqual(['./nginx.conf:/etc/nginx/nginx.conf:ro'])
  })

  it('waits longer than streams may go on', () => {
    for (const node of nodes) expect(seconds(node.stop_grace_period)).toBeGreaterThan(DRAIN_S + FAREWELL_S)
  })

  it.skipIf(spawnSync('docker', ['compose', 'version']).status !== 0)('is what Docker Compose takes', () => {
    const env = { PATH: process.env.PATH, SLUICE_KEYS: 'me:key', TICKET_SECRET: 'secret' }
    execFileSync('docker', ['compose', '-f', join(ROOT, 'deploy/compose.yaml'), 'config', '--quiet'], { env })
  })
})

describe('deploy/nginx.conf', () => {
  const text = read('deploy/nginx.conf')
  const valueOf = (name: string) => new RegExp(`^\\s*${name} (.*);$`, 'm').exec(text)![1]!

  it('asks the gateways of compose.yaml, and gives up connections before they do', () => {
    const servers = [...text.matchAll(/^\s*server ([^ {;]+)/gm)].map(([, name]) => name)
    expect(servers).toEqual(['sluice-1:8080', 'sluice-2:8080'])
    expect(seconds(valueOf('keepalive_timeout'))).toBeLessThan(keepAliveMs / 1000)
  })

  it('takes every body that the gateway takes', () => {
    const limit = Number(valueOf('client_max_body_size').replace(/m$/, '')) * 1024 ** 2
    expect(limit).toBeGreaterThan(Math.max(bodyLimit, uploadLimit))
  })

  describeWith('nginx', 'as nginx reads it', (program) => {
    it('is valid, and worth no warning', async () => {
      const folder = await makeFolder()
      const nodes = ['http://127.0.0.1:1', 'http://127.0.0.1:2'] as const
      const file = join(await makeFolder({ 'nginx.conf': deployedConfiguration(8080, nodes, folder) }), 'nginx.conf')
      const { status, stderr } = spawnSync(program, ['-t', '-q', '-p', folder, '-c', file], { encoding: 'utf8' })
      expect([status, stderr]).toEqual([0, ''])
    })
  })
})

describe('deploy/kubernetes', () => {
  const FOLDER = 'deploy/kubernetes'
  const metadata = z.object({ name: z.string(), labels: environment.default({}) })
  const port = z.object({ name: z.string(), containerPort: z.number() })
  const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) })
  const selector = z.object({ matchLabels: environment })
  const deployment = z.object({
    metadata,
    spec: z.object({
      replicas: z.number(),
      strategy: z.object({ rollingUpdate: z.object({ maxUnavailable: z.number(), maxSurge: z.number() }) }),
      selector,
      template: z.object({
        metadata: z.object({ labels: environment }),
        spec: z.object({
          terminationGracePeriodSeconds: z.number(),
          securityContext: z.object({ runAsNonRoot: z.literal(true), runAsUser: z.number().positive() }),
          topologySpreadConstraints: z.array(z.object({ labelSelector: selector })),
          containers: z.tuple([
            z.object({
              image: z.string(),
              envFrom: z.array(z.record(z.string(), z.object({ name: z.string() }))),
              ports: z.array(port),
              startupProbe: probe,
              livenessProbe: probe,
              readinessProbe: probe,
              lifecycle: z.object({
                preStop: z.object({ exec: z.object({ command: z.tuple([z.literal('sleep'), z.string()]) }) }),
              }),
              securityContext: z.object({
                readOnlyRootFilesystem: z.literal(true),
                allowPrivilegeEscalation: z.literal(false),
              }),
            }),
          ]),
        }),
      }),
    }),
  })
  const service = z.object({
    metadata,
    spec: z.object({ selector: environment, ports: z.array(z.object({ name: z.string(), targetPort: z.string() })) }),
  })

  const documents = (file: string) =>
    parseAllDocuments(read(join(FOLDER, file))).map((document) => {
      expect(document.errors).toEqual([])
      return document.toJS() as unknown
    })
  const kustomization = z
    .object({
      resources: z.array(z.string()),
      configMapGenerator: z.tuple([z.object({ name: z.string(), envs: z.tuple([z.string()]) })]),
      images: z.tuple([z.object({ name: z.string() })]),
    })
    .parse(documents('kustomization.yaml')[0])
  const { spec } = deployment.parse(documents('deployment.yaml')[0])
  const pod = spec.template.spec
  const [container] = pod.containers
  const services = documents('service.yaml').map((each) => service.parse(each))
  const secret = z.object({ metadata, stringData: environment }).parse(documents('secret.example.yaml')[0])
  const monitor = z
    .object({
      spec: z.object({
        selector,
        endpoints: z.tuple([
          z.object({
            port: z.string(),
            path: z.literal('/metrics'),
            authorization: z.object({ credentials: z.object({ name: z.string(), key: z.string() }) }),
          }),
        ]),
      }),
    })
    .parse(documents('service-monitor.yaml')[0])
  const labels = spec.template.metadata.labels

  it('applies everything but the example of a Secret, and what an operator must be there for', () => {
    const files = readdirSync(join(ROOT, FOLDER)).filter((name) => name.endsWith('.yaml'))
    const others = ['kustomization.yaml', 'secret.example.yaml', 'service-monitor.yaml']
    expect([...kustomization.resources, ...others].toSorted()).toEqual(files.toSorted())
  })

  it('selects its pods, everywhere', () => {
    const { spec: budget } = z
      .object({ spec: z.object({ selector, maxUnavailable: z.number() }) })
      .parse(documents('disruption-budget.yaml')[0])
    const selectors = [
      spec.selector.matchLabels,
      budget.selector.matchLabels,
      ...pod.topologySpreadConstraints.map(({ labelSelector }) => labelSelector.matchLabels),
      ...services.map((each) => each.spec.selector),
    ]
    for (const each of selectors) expect(labels).toMatchObject(each)
    expect(budget.maxUnavailable).toBeLessThan(spec.replicas)
  })

  it('asks for ports that there are', () => {
    const names = container.ports.map(({ name }) => name)
    for (const each of services) for (const { targetPort } of each.spec.ports) expect(names).toContain(targetPort)
    for (const { httpGet } of [container.startupProbe, container.livenessProbe, container.readinessProbe])
      expect(names).toContain(httpGet.port)
  })

  it('restarts a pod that is not alive, and asks one that is not ready for nothing', () => {
    expect(container.livenessProbe.httpGet.path).toBe('/healthz')
    expect(container.readinessProbe.httpGet.path).toBe('/readyz')
  })

  it('replaces no pod before another one is ready', () => {
    expect(spec.replicas).toBeGreaterThanOrEqual(2)
    expect(spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 })
  })

  it('waits longer than streams may go on', () => {
    const [, preStop] = container.lifecycle.preStop.exec.command
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(Number(preStop) + DRAIN_S + FAREWELL_S)
  })

  it('gives pods settings that they take', () => {
    const config = { ...parseEnv(read(join(FOLDER, kustomization.configMapGenerator[0].envs[0]))) } as Record<
      string,
      string
    >
    const given = { HOST: '0.0.0.0', ...config, ...secret.stringData }
    expect(unknown(given)).toEqual([])
    const { adminPort, port: publicPort } = loadConfig({ environment: given })
    expect(container.ports).toEqual([
      { name: 'http', containerPort: publicPort },
      { name: 'admin', containerPort: adminPort },
    ])
    expect(container.envFrom).toEqual([
      { configMapRef: { name: kustomization.configMapGenerator[0].name } },
      { secretRef: { name: secret.metadata.name } },
    ])
  })

  it('lets Prometheus scrape each pod once, with the token that pods know', () => {
    const [endpoint] = monitor.spec.endpoints
    const scraped = services.filter(({ metadata: { labels: own } }) =>
      Object.entries(monitor.spec.selector.matchLabels).every(([name, value]) => own[name] === value),
    )
    expect(scraped.flatMap((each) => each.spec.ports.map(({ name }) => name))).toEqual([endpoint.port])
    const { name, key } = endpoint.authorization.credentials
    expect([name, key]).toEqual([secret.metadata.name, 'METRICS_TOKEN'])
    expect(secret.stringData).toHaveProperty(key)
    // The alerts ask for this job.
    expect(scraped[0]!.metadata.labels['app.kubernetes.io/name']).toBe('sluice')
  })

  it('runs the image that the kustomization replaces', () => {
    expect(container.image).toBe(kustomization.images[0].name)
  })
})

describe('deploy/sluice.service', () => {
  const unit = read('deploy/sluice.service')
  const valueOf = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1]

  it('runs what `npm start` runs', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
    expect(valueOf('ExecStart')).toBe(`/usr/bin/${scripts.start}`)
  })

  it('waits longer than streams may go on', () => {
    expect(valueOf('KillSignal')).toBe('SIGTERM')
    expect(seconds(valueOf('TimeoutStopSec')!)).toBeGreaterThan(DRAIN_S + FAREWELL_S)
  })

  it('names settings that there are', () => {
    const named = unit.match(/\b[A-Z]+(?:_[A-Z]+)*(?==)/g) ?? []
    expect(named.filter((name) => !VARIABLES.has(name))).toEqual(['NAME', 'NODE_ENV'])
  })

  it.skipIf(spawnSync('systemd-analyze', ['--version']).status !== 0)('is what systemd takes', async () => {
    const folder = await makeFolder({ 'sluice.service': unit.replace('/usr/bin/node', process.execPath) })
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', join(folder, 'sluice.service')], {
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([0, ''])
  })
})

function unknown(given: Readonly<Record<string, string>>): string[] {
  return Object.keys(given).filter((name) => !VARIABLES.has(name))
}
