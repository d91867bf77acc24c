import { legend, type Row } from '../panel.ts'
import { increase, level } from '../queries.ts'

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
