import { legend, type Row } from '../panel.ts'
import { API, quantile, rate, ratioOfEach } from '../queries.ts'

const byRoute = { by: ['route'], where: API }

export const http: Row = {
  title: 'HTTP',
  panels: [
    {
      kind: 'time series',
      title: 'Requests by route',
      description: 'Requests of the API by the template of their route; all unknown paths are `other`.',
      unit: 'suffix:/s',
      width: 6,
      queries: [{ expression: rate('sluice_http_requests_total', { by: ['route'] }), legend: legend('route') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Answers by status',
      description:
        'An event stream is 200 once it has begun, however it ends: see Failed streams. 499 is a client that left before ' +
        'its answer.',
      unit: 'suffix:/s',
      width: 6,
      queries: [{ expression: rate('sluice_http_requests_total', { by: ['status'] }), legend: legend('status') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Answers of 500 and more, by route',
      description:
        'The part of a route’s requests that the gateway or its upstreams failed. 503 is a gateway that is full.',
      unit: 'percentunit',
      width: 6,
      max: 1,
      queries: [
        {
          expression: ratioOfEach(
            rate('sluice_http_requests_total', { by: ['route'], where: `${API},status=~"5.."` }),
            rate('sluice_http_requests_total', byRoute),
          ),
          legend: legend('route'),
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Time to the head of an answer: p95 by route',
      description:
        'For an event stream until it begins, which in the protocols of SDKs waits for the first token ' +
        '(SDK_STATUS_WAIT_MS); for a whole answer until all of it is there.',
      unit: 's',
      width: 6,
      queries: [{ expression: quantile(0.95, 'sluice_http_time_to_head_seconds', byRoute), legend: legend('route') }],
    },
  ],
}
