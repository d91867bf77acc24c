import { legend, type Row } from '../panel.ts'
import { API, increase, rate, ratio, ratioOfEach, total } from '../queries.ts'

const byCaller = { by: ['caller'] }
const requests = rate('sluice_http_requests_total', { where: API })
const refused = rate('sluice_http_requests_total', { where: `${API},status=~"401|403|429"` })

export const spent: Row = {
  title: 'In this time',
  panels: [
    {
      kind: 'stat',
      title: 'Cost',
      description: 'Of all callers, in the time that the dashboard shows, in the currency of the configured prices.',
      unit: 'short',
      width: 5,
      query: total('sluice_caller_cost_total'),
    },
    {
      kind: 'stat',
      title: 'Tokens',
      description: 'Prompt and completion tokens that callers were charged, in the time that the dashboard shows.',
      unit: 'short',
      width: 5,
      query: total('sluice_caller_tokens_total'),
    },
    {
      kind: 'stat',
      title: 'Streams',
      description:
        'Streams that ended in the time that the dashboard shows. Requests that are passed on are not counted.',
      unit: 'short',
      width: 5,
      query: total('sluice_caller_streams_total'),
    },
    {
      kind: 'stat',
      title: 'Refused requests',
      description:
        'The part of all requests that was answered 401, 403 or 429 just now: wrong keys, missing rights, exceeded limits.',
      unit: 'percentunit',
      width: 5,
      query: ratio(refused, requests),
      thresholds: { yellow: 0.01, red: 0.05 },
    },
    {
      kind: 'stat',
      title: 'Lost lines of the usage log',
      description:
        'Lines that could not be written to USAGE_LOG. Above 0, bills are incomplete: the disk is full, or the file is gone.',
      unit: 'short',
      width: 4,
      query: total('sluice_usage_lines_dropped_total'),
      thresholds: { red: 1 },
    },
  ],
}

export const callers: Row = {
  title: 'Callers',
  panels: [
    {
      kind: 'time series',
      title: 'Streams by caller',
      description: 'Streams that have ended, by the name of the key. Requests that are passed on are not counted.',
      unit: 'suffix:/s',
      width: 8,
      queries: [{ expression: rate('sluice_caller_streams_total', byCaller), legend: legend('caller') }],
    },
    {
      kind: 'time series',
      title: 'Tokens by caller',
      description: 'Tokens that each caller is charged, also for streams that were cut or stopped.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        { expression: rate('sluice_caller_tokens_total', { by: ['caller', 'type'] }), legend: '{{caller}} {{type}}' },
      ],
    },
    {
      kind: 'time series',
      title: 'Tokens of a stream, by caller',
      description: 'The mean of prompt and completion. A rise: longer conversations, which cost more with each turn.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expression: ratioOfEach(
            rate('sluice_caller_tokens_total', byCaller),
            rate('sluice_caller_streams_total', byCaller),
          ),
          legend: legend('caller'),
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Cost per hour by caller',
      description: 'By the prices of the configuration, in their currency. Models without a price cost nothing here.',
      unit: 'short',
      width: 12,
      queries: [{ expression: `3600 * ${rate('sluice_caller_cost_total', byCaller)}`, legend: legend('caller') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Cost by caller, in this time',
      description:
        'What each key has cost, at each point over a time as long as the one shown. The last value is for the time shown.',
      unit: 'short',
      width: 12,
      queries: [{ expression: total('sluice_caller_cost_total', byCaller), legend: legend('caller') }],
    },
  ],
}

export const limits: Row = {
  title: 'Limits and refusals',
  panels: [
    {
      kind: 'time series',
      title: 'Refused by limits',
      description:
        'Requests that a limit refused, by limit. Limits of the gateway itself are max_streams and overload.',
      unit: 'suffix:/s',
      width: 8,
      queries: [{ expression: rate('sluice_limit_refusals_total', { by: ['limit'] }), legend: legend('limit') }],
    },
    {
      kind: 'time series',
      title: 'Refused by caller',
      description: 'Requests that a limit refused, by caller: who needs a higher limit, or is in a loop?',
      unit: 'short',
      width: 8,
      queries: [{ expression: increase('sluice_limit_refusals_total', byCaller), legend: legend('caller') }],
    },
    {
      kind: 'time series',
      title: 'Wrong keys and missing rights, by route',
      description:
        '401 and 403. Many of 401: a key was rotated and a client was not, or somebody tries keys. The log has the addresses.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        {
          expression: rate('sluice_http_requests_total', { by: ['route', 'status'], where: 'status=~"401|403"' }),
          legend: legend('route', 'status'),
        },
      ],
    },
  ],
}
