import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { BOARDS, type Board } from '../../grafana/dashboard.ts'

/** What the tests look at of the files that people import. */
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

/** A dashboard as its file holds it. */
function read({ uid }: Board) {
  const text = readFileSync(new URL(`../../grafana/dashboards/${uid}.json`, import.meta.url), 'utf8')
  const { panels: all } = z.object({ panels: z.array(panel) }).parse(JSON.parse(text))
  // Without the headings of rows.
  return { uid, text, panels: all.filter(({ type }) => type !== 'row') }
}

export const boards = BOARDS.map((board) => ({ board, ...read(board) }))

export const panels = boards.flatMap((each) => each.panels)

export const targets = panels.flatMap((each) => each.targets.map((query) => ({ ...query, panel: each })))
