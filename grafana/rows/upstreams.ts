import { legend, type Row } from '../panel.ts'
import { activeRates, level, rate, ratioOfEach } from '../queries.ts'

const byProvider = { by: ['provider'] }

export const upstreams: Row = {
  title: 'Upstreams',
  panels: [
    {
      kind: 'time series',
      title: 'Attempts by provider and code',
      description: 'Each attempt to get an answer, by how it ended. Retries and fallbacks are attempts too.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        {
          expression: activeRates('sluice_upstream_requests_total', ['provider', 'code']),
          legend: legend('provider', 'code'),
        },
      ],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Failed attempts by provider',
      description: 'The part of its attempts that failed. Readers need not have noticed: see Failed streams.',
      unit: 'percentunit',
      width: 8,
      max: 1,
      queries: [
        {
          expression: ratioOfEach(
            rate('sluice_upstream_errors_total', byProvider),
            rate('sluice_upstream_requests_total', byProvider),
          ),
          legend: legend('provider'),
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Errors by provider and code',
      description: '`upstream_rate_limited` asks for more keys or another target, `upstream_auth` for another key.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        {
          expression: activeRates('sluice_upstream_errors_total', ['provider', 'code']),
          legend: legend('provider', 'code'),
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Retries by provider and reason',
      description: 'Attempts with the same target after one that failed. Each costs its user time.',
      unit: 'suffix:/s',
      width: 12,
      queries: [
        {
          expression: activeRates('sluice_upstream_retries_total', ['provider', 'reason']),
          legend: legend('provider', 'reason'),
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Open breakers',
      description: 'Targets that are left alone because they failed too often in a row. Anything but 0 is an outage.',
      unit: 'short',
      width: 12,
      queries: [{ expression: level('sluice_breakers_open', byProvider), legend: legend('provider') }],
    },
  ],
}
