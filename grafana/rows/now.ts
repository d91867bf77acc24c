import { legend, type Row } from '../panel.ts'
import { level, rate, ratio, ratioOfEach } from '../queries.ts'

const failed = { where: 'finish_reason="error"' }

export const now: Row = {
  title: 'Now',
  panels: [
    {
      kind: 'stat',
      title: 'Instances down',
      description: 'Gateways that Prometheus cannot scrape. Anything but 0: see what the process logged last.',
      unit: 'short',
      width: 4,
      query: 'count(up{job=~"$job",instance=~"$instance"} == 0) or vector(0)',
      thresholds: { red: 1 },
    },
    {
      kind: 'stat',
      title: 'Open connections',
      description: 'Readers that are connected now. Several may read one stream.',
      unit: 'short',
      width: 4,
      query: level('sluice_connections_open'),
    },
    {
      kind: 'stat',
      title: 'Open streams',
      description: 'Generations that have not ended, with readers or within their resume window.',
      unit: 'short',
      width: 4,
      query: level('sluice_streams_open'),
    },
    {
      kind: 'stat',
      title: 'Completion tokens',
      description: 'As the providers count them, which they do at the end of a stream.',
      unit: 'suffix:/s',
      width: 4,
      query: rate('sluice_tokens_total', { where: 'type="completion"' }),
    },
    {
      kind: 'stat',
      title: 'Frames',
      description: 'Events written to readers, of all protocols.',
      unit: 'suffix:/s',
      width: 4,
      query: rate('sluice_frames_sent_total'),
    },
    {
      kind: 'stat',
      title: 'Failed streams',
      description: 'Of the streams that ended, the part that ended in an error. Yellow from 1 %, red from 5 %.',
      unit: 'percentunit',
      width: 4,
      query: ratio(rate('sluice_streams_total', failed), rate('sluice_streams_total')),
      thresholds: { yellow: 0.01, red: 0.05 },
    },
    {
      kind: 'time series',
      title: 'Open connections by protocol',
      description: 'A cliff is a proxy or a network that cut everybody off; the readers should be back in seconds.',
      unit: 'short',
      width: 8,
      queries: [{ expression: level('sluice_connections_open', { by: ['protocol'] }), legend: legend('protocol') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Open streams by provider',
      description:
        'By the provider that answers, and before its first token the one that was asked first. A rise without more requests: answers take longer.',
      unit: 'short',
      width: 8,
      queries: [{ expression: level('sluice_streams_open', { by: ['provider'] }), legend: legend('provider') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Streams ended, by how',
      description:
        '`cancelled` is a DELETE or a reader that did not come back; `length` is a token limit that is too low.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        { expression: rate('sluice_streams_total', { by: ['finish_reason'] }), legend: legend('finish_reason') },
      ],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Tokens by model',
      description: 'What is paid for: prompt and completion tokens, counted by the provider when a stream ends.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        {
          expression: rate('sluice_tokens_total', { by: ['provider', 'model', 'type'] }),
          legend: '{{provider}}/{{model}} {{type}}',
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Frames by protocol',
      description: 'Far fewer frames than tokens: readers are behind, and get several tokens in one (see Readers).',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        {
          expression: rate('sluice_frames_sent_total', { by: ['protocol', 'event'] }),
          legend: legend('protocol', 'event'),
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Failed streams by provider',
      description: 'Failures that readers saw: retries and fallbacks had been used up, or the first token was out.',
      unit: 'percentunit',
      width: 8,
      max: 1,
      queries: [
        {
          expression: ratioOfEach(
            rate('sluice_streams_total', { ...failed, by: ['provider'] }),
            rate('sluice_streams_total', { by: ['provider'] }),
          ),
          legend: legend('provider'),
        },
      ],
    },
  ],
}
