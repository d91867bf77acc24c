import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { ROOT } from '../support/process.ts'

const compose = z
  .object({
    services: z.record(
      z.string(),
      z.object({
        image: z.string().optional(),
        build: z.string().optional(),
        environment: z.record(z.string(), z.string()).optional(),
        volumes: z.array(z.string()).default([]),
        ports: z.array(z.string()).default([]),
      }),
    ),
    volumes: z.record(z.string(), z.null()),
  })
  .parse(read('compose.yaml'))

const mounts = Object.values(compose.services)
  .flatMap(({ volumes }) => volumes)
  .map((volume) => volume.split(':') as [source: string, target: string])

function read(path: string): unknown {
  return parse(readFileSync(join(ROOT, path), 'utf8'))
}

/** Where a path inside a container is in the checkout. */
function outside(path: string): string {
  const [source, target] = mounts.find(([from, to]) => from.startsWith('.') && `${path}/`.startsWith(`${to}/`)) ?? []
  if (source === undefined || target === undefined) throw new Error(`${path} is not mounted`)
  return join(source, path.slice(target.length))
}

describe('compose.yaml', () => {
  it('mounts what there is', () => {
    for (const [source] of mounts)
      if (source.startsWith('.')) expect(existsSync(join(ROOT, source)), source).toBe(true)
      else expect(Object.keys(compose.volumes)).toContain(source)
    expect(existsSync(join(ROOT, compose.services.sluice!.build!, 'Dockerfile'))).toBe(true)
  })

  it('names exact versions, and is open to this machine only', () => {
    for (const { image, ports } of Object.values(compose.services)) {
      if (image !== undefined) expect(image).toMatch(/:v?\d+\.\d+\.\d+$/)
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/)
    }
  })

  it('gives the gateway settings that it takes, also when they are empty', () => {
    const environment = compose.services.sluice!.environment!
    const empty = Object.fromEntries(Object.keys(environment).map((name) => [name, '']))
    expect(Object.keys(loadConfig({ environment: empty }).providers)).toEqual(['mock'])
    const filled = { ...empty, OPENAI_API_KEY: 'sk-1', ANTHROPIC_API_KEY: 'sk-2' }
    expect(Object.keys(loadConfig({ environment: filled }).providers)).toEqual(['openai', 'anthropic'])
  })

  it('lets Prometheus find its rules, and the gateway', () => {
    const path = '/etc/prometheus/prometheus.yml'
    const { rule_files: rules, scrape_configs: jobs } = z
      .object({
        rule_files: z.array(z.string()),
        scrape_configs: z.array(
          z.object({ job_name: z.string(), static_configs: z.array(z.object({ targets: z.array(z.string()) })) }),
        ),
      })
      .parse(read(outside(path)))
    for (const pattern of rules) {
      const files = readdirSync(join(ROOT, outside(join(dirname(path), dirname(pattern)))))
      expect(files).toEqual(expect.arrayContaining(['alerts.yaml', 'recording.yaml']))
    }
    expect(jobs).toEqual([{ job_name: 'sluice', static_configs: [{ targets: ['sluice:8080'] }] }])
  })

  it('lets Grafana find Prometheus and the dashboard', () => {
    const { datasources } = z
      .object({ datasources: z.array(z.object({ type: z.string(), url: z.string() })) })
      .parse(read(outside('/etc/grafana/provisioning/datasources/datasources.yaml')))
    expect(datasources).toEqual([{ type: 'prometheus', url: 'http://prometheus:9090' }])
    const { providers } = z
      .object({ providers: z.array(z.object({ options: z.object({ path: z.string() }) })) })
      .parse(read(outside('/etc/grafana/provisioning/dashboards/dashboards.yaml')))
    for (const { options } of providers) expect(readdirSync(join(ROOT, outside(options.path)))).toContain('sluice.json')
    const home = compose.services.grafana!.environment!.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH!
    expect(existsSync(join(ROOT, outside(home)))).toBe(true)
  })
})
