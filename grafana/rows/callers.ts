import { legend, type Row } from '../panel.ts'
import { rate } from '../queries.ts'

export const callers: Row = {
  title: 'Callers',
  panels: [
    {
      kind: 'time series',
      title: 'Streams by caller',
      description: 'Streams that have ended, by the name of the key. Requests that are passed on are not counted.',
      unit: 'suffix:/s',
      width: 5,
      queries: [{ expression: rate('sluice_caller_streams_total', { by: ['caller'] }), legend: legend('caller') }],
    },
    {
      kind: 'time series',
      title: 'Tokens by caller',
      description: 'Tokens that each caller is charged, also for streams that were cut or stopped.',
      unit: 'suffix:/s',
      width: 5,
      queries: [
        { expression: rate('sluice_caller_tokens_total', { by: ['caller', 'type'] }), legend: '{{caller}} {{type}}' },
      ],
    },
    {
      kind: 'time series',
      title: 'Cost per hour by caller',
      description: 'By the prices of the configuration, in their currency. Models without a price cost nothing here.',
      unit: 'short',
      width: 5,
      queries: [
        { expression: `3600 * ${rate('sluice_caller_cost_total', { by: ['caller'] })}`, legend: legend('caller') },
      ],
    },
    {
      kind: 'time series',
      title: 'Refused by limits',
      description:
        'Requests that a limit refused, by limit. Limits of the gateway itself are max_streams and overload.',
      unit: 'suffix:/s',
      width: 5,
      queries: [{ expression: rate('sluice_limit_refusals_total', { by: ['limit'] }), legend: legend('limit') }],
    },
    {
      kind: 'time series',
      title: 'Lost lines of the usage log',
      description:
        'Lines that could not be written to USAGE_LOG. Above 0, bills are incomplete: the disk is full, or the file is gone.',
      unit: 'suffix:/s',
      width: 4,
      queries: [
        { expression: rate('sluice_usage_lines_dropped_total', { by: ['instance'] }), legend: legend('instance') },
      ],
    },
  ],
}
