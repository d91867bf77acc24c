// Where the alerts lead. Prometheus takes its rules as they are, so `npm run dashboard` writes these addresses into them.

import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** The Grafana of `compose.yaml`. With another one, change this line and run `npm run dashboard`. */
const GRAFANA = 'http://localhost:3000'

const { repository } = z
  .object({ repository: z.object({ url: z.url() }) })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')))

/** The page of the repository that package.json names. */
const HOME = repository.url.replace(/^git\+/, '').replace(/\.git$/, '')

export const RUNBOOK = `${HOME}/blob/main/grafana/RUNBOOK.md`

export function runbookUrl(alert: string): string {
  return `${RUNBOOK}#${alert.toLowerCase()}`
}

export function dashboardUrl(uid: string): string {
  return `${GRAFANA}/d/${uid}`
}

/** The text of a file of rules, or of their tests, with the addresses that are right now. */
export function withLinks(text: string): string {
  return text
    .replaceAll(/(?<=\brunbook_url: )\S*(?=#)/g, RUNBOOK)
    .replaceAll(/(?<=\bdashboard_url: )\S*?\/d\/(?=sluice)/g, dashboardUrl(''))
}
