import { writeFileSync } from 'node:fs'
import { buildDashboard } from './dashboard.ts'

// `npm run dashboard`
const file = new URL('dashboards/sluice.json', import.meta.url)
writeFileSync(file, `${JSON.stringify(buildDashboard(), null, 2)}\n`)
