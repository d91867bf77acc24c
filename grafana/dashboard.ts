import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  RowBuilder,
  type Dashboard,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import type { Row } from './panel.ts'
import { render } from './render.ts'
import { callers } from './rows/callers.ts'
import { latency } from './rows/latency.ts'
import { nodes } from './rows/nodes.ts'
import { now } from './rows/now.ts'
import { process } from './rows/process.ts'
import { readers } from './rows/readers.ts'
import { upstreams } from './rows/upstreams.ts'
import { DATASOURCE, datasource, instance, job } from './variables.ts'

/** From what a glance should tell to what only a search does. */
export const ROWS: readonly Row[] = [now, latency, readers, upstreams, callers, process, nodes]

/** The dashboard, as `dashboards/sluice.json` holds it. It needs none of the recording rules. */
export function buildDashboard(): Dashboard {
  const dashboard = new DashboardBuilder('Sluice')
    .uid('sluice')
    .description('Token streams: who reads, how fast, what fails, and what it costs.')
    .tags(['sluice', 'llm', 'sse'])
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([datasource, job, instance])
    .annotation(firingAlerts)
  let id = 1
  for (const { title, panels } of ROWS) {
    dashboard.withRow(new RowBuilder(title).id(id++))
    for (const panel of panels) dashboard.withPanel(render(panel).id(id++))
  }
  return dashboard.build()
}

/** Nothing where the rules are not loaded. */
const firingAlerts = new AnnotationQueryBuilder()
  .name('Alerts')
  .datasource(DATASOURCE)
  .enable(true)
  .iconColor('red')
  .target(new DataqueryBuilder().refId('Anno').expr('ALERTS{alertname=~"Sluice.+",alertstate="firing"}'))
  .titleFormat('{{alertname}}')
  .textFormat('{{instance}} {{provider}}')
