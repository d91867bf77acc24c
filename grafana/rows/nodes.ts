import { legend, type Row } from '../panel.ts'
import { API, increase, level, quantile, rate } from '../queries.ts'

const each = { by: ['instance'] }

export const nodes: Row = {
  title: 'Nodes and workers',
  panels: [
    {
      kind: 'time series',
      title: 'Store reachable, by instance',
      description:
        'Whether the instance can write to Redis: 1, or the number of its workers; always so without Redis. At 0 it ' +
        'refuses new streams, or serves them alone (STORE_DOWN).',
      unit: 'short',
      width: 6,
      queries: [{ expression: level('sluice_store_up', { by: ['instance'] }), legend: legend('instance') }],
    },
    {
      kind: 'time series',
      title: 'Shared streams',
      description:
        'Published: their ends are not in the store yet; far more than the open streams means that it does not keep ' +
        'up. Followed: streams of other nodes that have a reader here.',
      unit: 'short',
      width: 6,
      queries: [{ expression: level('sluice_store_streams', { by: ['state'] }), legend: legend('state') }],
    },
    {
      kind: 'time series',
      title: 'Losses of nodes',
      description:
        'Producer: streams of nodes that are gone, ended by another. Lease: nodes that were paused for too long. ' +
        'Stream: what paused nodes found ended. Anything but 0 was seen by users.',
      unit: 'short',
      width: 6,
      queries: [{ expression: increase('sluice_node_losses_total', { by: ['what'] }), legend: legend('what') }],
    },
    {
      kind: 'time series',
      title: 'Workers',
      description: 'Workers that listen, and those that ended and were replaced. Only where WORKERS is more than 1.',
      unit: 'short',
      width: 6,
      queries: [
        { expression: level('sluice_workers', { by: ['instance'] }), legend: legend('instance') },
        {
          expression: increase('sluice_worker_restarts_total', { by: ['instance'] }),
          legend: '{{instance}} replaced',
        },
      ],
    },
  ],
}

export const byNode: Row = {
  title: 'What each carries',
  panels: [
    {
      kind: 'time series',
      title: 'Requests by instance',
      description: 'Requests of the API. One instance far above the others: the balancer has not noticed new ones.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        { expression: rate('sluice_http_requests_total', { ...each, where: API }), legend: legend('instance') },
      ],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Open streams by instance',
      description: 'Generations that run on each. They stay where they are, also when instances are added.',
      unit: 'short',
      width: 8,
      queries: [{ expression: level('sluice_streams_open', each), legend: legend('instance') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Open connections by instance',
      description: 'Readers on each, of its own streams and of streams that it follows.',
      unit: 'short',
      width: 8,
      queries: [{ expression: level('sluice_connections_open', each), legend: legend('instance') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Resumes by instance and result',
      description:
        '`unknown` and `expired` on several instances: readers reach an instance that does not have their stream, so the ' +
        'store is not shared.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        {
          expression: rate('sluice_resumes_total', { by: ['instance', 'result'] }),
          legend: legend('instance', 'result'),
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Event-loop delay by instance: p99',
      description: 'A node that stands still for LEASE_MS loses its streams; worry long before, from 100 ms on.',
      unit: 's',
      width: 8,
      queries: [{ expression: quantile(0.99, 'sluice_event_loop_delay_seconds', each), legend: legend('instance') }],
    },
    {
      kind: 'time series',
      title: 'Open breakers by instance',
      description: 'Breakers are not shared: a target that is open on one instance only is a fault of its network.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expression: level('sluice_breakers_open', { by: ['instance', 'provider'] }),
          legend: legend('instance', 'provider'),
        },
      ],
    },
  ],
}
