import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { findProgram, type ProgramName } from '../test/support/programs.ts'
import { BOARDS } from './dashboard.ts'
import { drawPage } from './image/page.ts'
import { runAndQuery } from './image/run.ts'

// `npm run dashboard:image`: takes three minutes, and needs prometheus and chromium.
const SECONDS = 180
const OUTPUT = fileURLToPath(new URL('../docs/metrics.png', import.meta.url))

const SHOWN = [
  'Open connections by protocol',
  'Streams ended, by how',
  'Frames by protocol',
  'Time to first token',
  'Time to first token: quantiles',
  'Relay latency: quantiles',
  'Attempts by provider and code',
  'Retries by provider and reason',
  'Open breakers',
  'Resumes by result',
  'Slow readers',
  'CPU by instance',
]

const all = BOARDS.flatMap(({ rows }) => rows.flatMap(({ panels }) => panels))
const panels = SHOWN.map((title) => {
  const found = all.find((panel) => panel.title === title && panel.kind !== 'stat')
  if (!found) throw new Error(`There is no panel ${title}`)
  return found
})

const run = await runAndQuery(find('prometheus'), panels, SECONDS)
const browser = await chromium.launch({ executablePath: find('chromium'), args: ['--no-sandbox', '--disable-gpu'] })
const page = await browser.newPage({ viewport: { width: 1292, height: 800 } })
await page.setContent(drawPage(run))
await mkdir(dirname(OUTPUT), { recursive: true })
await page.screenshot({ path: OUTPUT, fullPage: true })
await browser.close()

function find(program: ProgramName): string {
  const path = findProgram(program)
  if (path === undefined) throw new Error(`${program} is not installed`)
  return path
}
