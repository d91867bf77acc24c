import { writeFileSync } from 'node:fs'
import { BOARDS, buildDashboard } from './dashboard.ts'

// `npm run dashboard`
const folder = new URL('dashboards/', import.meta.url)
for (const board of BOARDS)
  writeFileSync(new URL(`${board.uid}.json`, folder), `${JSON.stringify(buildDashboard(board), null, 2)}\n`)
