import { legend, type Row } from '../panel.ts'
import { increase, level, quantile, rate } from '../queries.ts'

const each = { by: ['instance'] }

export const process: Row = {
  title: 'Process',
  panels: [
    {
      kind: 'time series',
      title: 'CPU by instance',
      description: 'Of one core, which is all that one process can use for streams. From 80 % on add instances.',
      unit: 'percentunit',
      width: 8,
      queries: [{ expression: rate('process_cpu_seconds_total', each), legend: legend('instance') }],
    },
    {
      kind: 'time series',
      title: 'Memory by instance',
      description: 'Resident memory, and what JavaScript holds of it. Heap that only grows under even load is a leak.',
      unit: 'bytes',
      width: 8,
      queries: [
        { expression: level('process_resident_memory_bytes', each), legend: '{{instance}} resident' },
        { expression: level('nodejs_heap_size_used_bytes', each), legend: '{{instance}} heap' },
        { expression: level('nodejs_external_memory_bytes', each), legend: '{{instance}} outside the heap' },
      ],
    },
    {
      kind: 'time series',
      title: 'Event-loop delay',
      description: 'How late a timer fires. Every reader of the instance waits as long: worry from 100 ms on.',
      unit: 's',
      width: 8,
      queries: [
        { expression: quantile(0.5, 'sluice_event_loop_delay_seconds', each), legend: '{{instance}} p50' },
        { expression: quantile(0.99, 'sluice_event_loop_delay_seconds', each), legend: '{{instance}} p99' },
      ],
    },
    {
      kind: 'time series',
      title: 'Kept streams: bytes and limit',
      description:
        'Estimated memory of all streams that can still be read (STORE_MAX_BYTES). At the limit finished ones go before ' +
        'their time; when running ones alone fill it, new requests are refused.',
      unit: 'bytes',
      width: 6,
      queries: [
        { expression: level('sluice_log_bytes', each), legend: '{{instance}}' },
        { expression: level('sluice_log_bytes_limit', each), legend: '{{instance}} limit' },
      ],
    },
    {
      kind: 'time series',
      title: 'Memory held, by purpose',
      description:
        'Estimated memory held for clients and upstreams; the limit is STORE_MAX_BYTES. Beyond it requests are ' +
        'refused with store_full before they are read.',
      unit: 'bytes',
      width: 6,
      queries: [
        { expression: level('sluice_memory_bytes', { by: ['kind'] }), legend: legend('kind') },
        { expression: level('sluice_log_bytes_limit', {}), legend: 'limit' },
      ],
    },
    {
      kind: 'time series',
      title: 'Open files and limit',
      description: 'Each reader and each upstream connection takes one. At the limit nobody can connect (ulimit -n).',
      unit: 'short',
      width: 4,
      queries: [
        { expression: level('process_open_fds', each), legend: '{{instance}}' },
        { expression: level('process_max_fds', each), legend: '{{instance}} limit' },
      ],
    },
    {
      kind: 'time series',
      title: 'Instances by version',
      description: 'Two versions side by side: a rollout is under way, or has stopped half-way.',
      unit: 'short',
      width: 8,
      queries: [{ expression: level('sluice_build_info', { by: ['version'] }), legend: legend('version') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Reloads of the configuration',
      description: 'After a failure the configuration before is still in force; the log names each fault.',
      unit: 'short',
      width: 12,
      queries: [{ expression: increase('sluice_config_reloads_total', { by: ['result'] }), legend: legend('result') }],
    },
    {
      kind: 'time series',
      title: 'Time until the certificate expires',
      description: 'Renewed files are shown to new connections within seconds. Nothing without TLS.',
      unit: 's',
      width: 12,
      queries: [
        {
          expression: `${level('sluice_certificate_expires_timestamp_seconds', each)} - time()`,
          legend: legend('instance'),
        },
      ],
    },
  ],
}
