import { describe, expect, it } from 'vitest'
import { buildDashboard } from '../../grafana/dashboard.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { boards, panels, targets } from './dashboard-file.ts'

describe.each(boards)('the dashboard $uid', ({ board, text, panels: shown }) => {
  it('is what the program makes', () => {
    const hint = 'run `npm run dashboard`'
    expect(text === `${JSON.stringify(buildDashboard(board), null, 2)}\n`, hint).toBe(true)
  })

  it('fills every line of the page, and no place twice', () => {
    const taken = new Map<string, number>()
    for (const { gridPos: at } of shown)
      for (let x = at.x; x < at.x + at.w; x++)
        for (let y = at.y; y < at.y + at.h; y++) taken.set(`${x},${y}`, (taken.get(`${x},${y}`) ?? 0) + 1)
    expect(Math.max(...taken.values())).toBe(1)
    const lines = new Map<string, number>()
    for (const place of taken.keys()) {
      const [, y = ''] = place.split(',')
      lines.set(y, (lines.get(y) ?? 0) + 1)
    }
    expect(new Set(lines.values())).toEqual(new Set([24]))
  })
})

describe('the dashboards', () => {
  it('show every metric of the gateway', () => {
    const names = new Metrics().registry.getMetricsAsArray().map(({ name }) => name)
    const own = names.filter((name) => name.startsWith('sluice_'))
    const shown = targets.map(({ expr }) => expr).join('\n')
    expect(own.length).toBeGreaterThan(20)
    expect(own.filter((name) => !new RegExp(`\\b${name}(_bucket|_sum|_count)?\\{`).test(shown))).toEqual([])
  })

  it('say of each panel what it tells, in which unit, and of each series what it is', () => {
    expect(panels.filter(({ description = '' }) => description.length < 20)).toEqual([])
    const unit = ({ fieldConfig, options }: (typeof panels)[number]) =>
      fieldConfig?.defaults?.unit ?? options?.yAxis?.unit
    expect(panels.filter((panel) => !unit(panel))).toEqual([])
    expect(targets.filter(({ legendFormat }) => !legendFormat)).toEqual([])
  })

  it('ask for nothing but the jobs and instances that were chosen, of the Prometheus that was chosen', () => {
    for (const { expr, datasource } of targets) {
      const selectors = expr.match(/\{/g) ?? []
      expect(expr.split('{job=~"$job",instance=~"$instance"').length - 1).toBe(selectors.length)
      expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' })
    }
  })

  it('offer examples of slow first tokens', () => {
    const shown = targets.filter(({ exemplar }) => exemplar).map(({ expr }) => expr)
    expect(shown).not.toEqual([])
    expect(shown.filter((expr) => !expr.includes('sluice_time_to_first_token_seconds_bucket'))).toEqual([])
  })
})
