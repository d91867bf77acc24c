import type { DataSourceRef } from '@grafana/grafana-foundation-sdk/common'
import {
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard'

/** Whichever Prometheus is chosen at the top of the dashboard: nothing has to be filled in when it is imported. */
export const DATASOURCE: DataSourceRef = { type: 'prometheus', uid: '${datasource}' }

/** The kind of query, as the editor of Grafana's Prometheus data source numbers them. */
const LABEL_VALUES = 1

const ALL = { text: ['All'], value: ['$__all'], selected: true }

export const datasource = new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus')

// Asked of `build_info`, which only a gateway has. "All" stands for what is in the list: a wildcard would let in the
// processes of other jobs, which share the names of prom-client's own metrics.
export const job = labelValues('job', 'Job', 'label_values(sluice_build_info, job)')

// Within these jobs a wildcard is right: an instance that has gone still belongs to the past.
export const instance = labelValues(
  'instance',
  'Instance',
  'label_values(sluice_build_info{job=~"$job"}, instance)',
).allValue('.+')

function labelValues(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query({ query, qryType: LABEL_VALUES, refId: 'PrometheusVariableQueryEditor-VariableQuery' })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .current(ALL)
}
