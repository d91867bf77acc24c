import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  RowBuilder,
  type Dashboard,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import type { Row } from './panel.ts'
import { render } from './render.ts'
import { callers, limits, spent } from './rows/access.ts'
import { http } from './rows/http.ts'
import { latency } from './rows/latency.ts'
import { byNode, nodes } from './rows/nodes.ts'
import { now } from './rows/now.ts'
import { process } from './rows/process.ts'
import { readers } from './rows/readers.ts'
import { upstreams } from './rows/upstreams.ts'
import { DATASOURCE, datasource, instance, job } from './variables.ts'

/** A dashboard, as `dashboards/UID.json` holds it. It needs none of the recording rules. */
export interface Board {
  uid: string
  title: string
  description: string
  /** From what a glance should tell to what only a search does. */
  rows: readonly Row[]
}

export const BOARDS: readonly Board[] = [
  {
    uid: 'sluice',
    title: 'Sluice',
    description: 'Token streams: who reads, how fast, and what fails.',
    rows: [now, http, latency, readers, upstreams, process],
  },
  {
    uid: 'sluice-access',
    title: 'Sluice: access',
    description: 'Callers: what each uses and pays, and what is refused.',
    rows: [spent, callers, limits],
  },
  {
    uid: 'sluice-nodes',
    title: 'Sluice: nodes',
    description: 'Several gateways or workers: the store that they share, what each carries, and which were lost.',
    rows: [nodes, byNode],
  },
]

export function buildDashboard({ uid, title, description, rows }: Board): Dashboard {
  const dashboard = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['sluice', 'llm', 'sse'])
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .link(theOthers)
    .variables([datasource, job, instance])
    .annotation(firingAlerts)
  let id = 1
  for (const { title: heading, panels } of rows) {
    dashboard.withRow(new RowBuilder(heading).id(id++))
    for (const panel of panels) dashboard.withPanel(render(panel).id(id++))
  }
  return dashboard.build()
}

/** At the top: the other dashboards, for the same time, jobs and instances. */
const theOthers = new DashboardLinkBuilder('Sluice')
  .type(DashboardLinkType.Dashboards)
  .tags(['sluice'])
  .keepTime(true)
  .includeVars(true)

/** Nothing where the rules are not loaded. */
const firingAlerts = new AnnotationQueryBuilder()
  .name('Alerts')
  .datasource(DATASOURCE)
  .enable(true)
  .iconColor('red')
  .target(new DataqueryBuilder().refId('Anno').expr('ALERTS{alertname=~"Sluice.+",alertstate="firing"}'))
  .titleFormat('{{alertname}}')
  .textFormat('{{instance}} {{provider}}')
