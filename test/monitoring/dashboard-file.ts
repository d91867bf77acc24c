import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** What the tests look at of the file that people import. */
const target = z.object({
  expr: z.string(),
  legendFormat: z.string().optional(),
  exemplar: z.boolean().optional(),
  datasource: z.unknown(),
})

const panel = z.object({
  id: z.number(),
  type: z.string(),
  title: z.string(),
  description: z.string().optional(),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  fieldConfig: z.object({ defaults: z.object({ unit: z.string().optional() }).optional() }).optional(),
  options: z.object({ yAxis: z.object({ unit: z.string().optional() }).optional() }).optional(),
  targets: z.array(target).default([]),
})

const file = new URL('../../grafana/dashboards/sluice.json', import.meta.url)
const { panels: all } = z.object({ panels: z.array(panel) }).parse(JSON.parse(readFileSync(file, 'utf8')))

/** Without the headings of rows. */
export const panels = all.filter(({ type }) => type !== 'row')

export const targets = panels.flatMap((each) => each.targets.map((query) => ({ ...query, panel: each })))
