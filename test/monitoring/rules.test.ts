import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { BOARDS } from '../../grafana/dashboard.ts'
import { dashboardUrl, runbookUrl, withLinks } from '../../grafana/links.ts'
import { ROOT } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'

const FOLDER = join(ROOT, 'grafana/rules')

const files = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => join(FOLDER, name))
const tests = readdirSync(join(FOLDER, 'tests')).map((name) => join(FOLDER, 'tests', name))

const alert = z.object({
  alert: z.string(),
  for: z.string(),
  labels: z.object({ severity: z.enum(['critical', 'warning']) }),
  annotations: z.object({
    summary: z.string(),
    description: z.string(),
    runbook_url: z.url(),
    dashboard_url: z.url(),
  }),
})
const recording = z.object({ record: z.string(), expr: z.string() })
const ruleFile = z.object({ groups: z.array(z.object({ rules: z.array(z.union([alert, recording])) })) })

const rules = files.flatMap((file) => ruleFile.parse(parse(readFileSync(file, 'utf8'))).groups.flatMap((g) => g.rules))
const alerts = rules.filter((rule) => 'alert' in rule)
const recordings = rules.filter((rule) => 'record' in rule)

describeWith('promtool', 'the rules, as promtool sees them', (promtool) => {
  it('are sound, and so is the configuration that loads them', () => {
    run('check', 'rules', ...files)
    run('check', 'config', join(ROOT, 'grafana/prometheus.yaml'))
  })

  it('fire and keep quiet when they should', () => {
    const said = run('test', 'rules', ...tests)
    expect(said.match(/SUCCESS/g)).toHaveLength(tests.length)
  })

  function run(...args: string[]): string {
    return execFileSync(promtool, args, { encoding: 'utf8' })
  }
})

describe('the alerts', () => {
  it('have a section of the runbook each, and no section is left over', () => {
    const runbook = readFileSync(join(ROOT, 'grafana/RUNBOOK.md'), 'utf8')
    const sections = [...runbook.matchAll(/^## (.+)$/gm)].map(([, title]) => title)
    expect(sections).toEqual(alerts.map(({ alert: name }) => name))
    for (const { alert: name, annotations } of alerts) expect(annotations.runbook_url).toBe(runbookUrl(name))
  })

  it('have a runbook whose own links lead to its sections', () => {
    const runbook = readFileSync(join(ROOT, 'grafana/RUNBOOK.md'), 'utf8')
    const anchors = new Set([...runbook.matchAll(/^## (.+)$/gm)].map(([, title = '']) => title.toLowerCase()))
    expect(
      [...runbook.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor).filter((each) => !anchors.has(each!)),
    ).toEqual([])
  })

  it('lead to dashboards that there are', () => {
    for (const { annotations } of alerts)
      expect(BOARDS.map(({ uid }) => dashboardUrl(uid))).toContain(annotations.dashboard_url.replace(/\?.*/, ''))
  })

  it('have the addresses of links.ts, and so do their tests', () => {
    for (const file of [...files, ...tests]) {
      const text = readFileSync(file, 'utf8')
      expect(withLinks(text) === text, `${file}: run \`npm run dashboard\``).toBe(true)
    }
  })

  it('are tested for firing and for quiet, each of them', () => {
    const cases = z.object({
      tests: z.array(
        z.object({
          alert_rule_test: z
            .array(z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()).optional() }))
            .optional(),
        }),
      ),
    })
    const tried = tests
      .flatMap((file) => cases.parse(parse(readFileSync(file, 'utf8'))).tests)
      .flatMap(({ alert_rule_test: each = [] }) => each)
    const names = (firing: boolean) =>
      new Set(tried.filter(({ exp_alerts: found = [] }) => found.length > 0 === firing).map((each) => each.alertname))
    const all = new Set(alerts.map(({ alert: name }) => name))
    expect(names(true)).toEqual(all)
    expect(names(false)).toEqual(all)
  })
})

describe('the recording rules', () => {
  it('are called level:metric:operations', () => {
    expect(recordings.filter(({ record }) => !/^[a-z_]+:sluice_[a-z_]+:[a-z0-9_]+$/.test(record))).toEqual([])
  })
})
