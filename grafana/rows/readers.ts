import { legend, type Row } from '../panel.ts'
import { rate, ratio } from '../queries.ts'

const merged = rate('sluice_merged_deltas_total')
const deltaFrames = rate('sluice_frames_sent_total', { where: 'event="delta"' })

export const readers: Row = {
  title: 'Readers',
  panels: [
    {
      kind: 'time series',
      title: 'Resumes by result',
      description:
        'Readers that came back with a cursor. `expired` and `unknown`: they come too late, or to another instance than ' +
        'the one that has their stream. `finished` is a reader that had it all.',
      unit: 'suffix:/s',
      width: 8,
      queries: [{ expression: rate('sluice_resumes_total', { by: ['result'] }), legend: legend('result') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Deltas that left merged',
      description:
        'The part of all deltas that went within the frame of another, because they arrived together or the reader was ' +
        'behind. High is no fault: nothing is lost, and it is cheaper.',
      unit: 'percentunit',
      width: 8,
      max: 1,
      queries: [{ expression: ratio(merged, `(${merged} + ${deltaFrames})`), legend: 'merged' }],
    },
    {
      kind: 'time series',
      title: 'Slow readers',
      description:
        'Full sockets, and connections that were closed because one stayed full (SLOW_READER_MS). The gateway waits; ' +
        'their networks, or a proxy that does not read, are to blame.',
      unit: 'suffix:/s',
      width: 8,
      queries: [
        { expression: rate('sluice_backpressure_waits_total'), legend: 'socket full' },
        { expression: rate('sluice_slow_readers_closed_total'), legend: 'closed' },
      ],
    },
    {
      kind: 'time series',
      title: 'Bytes by protocol',
      description: 'Bytes of frames written to readers, without headers and encryption.',
      unit: 'binBps',
      width: 8,
      queries: [{ expression: rate('sluice_sent_bytes_total', { by: ['protocol'] }), legend: legend('protocol') }],
      stacked: true,
    },
    {
      kind: 'time series',
      title: 'Bytes of a frame',
      description: 'The mean. Large frames are merged ones, or an upstream that sends its text in few pieces.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expression: ratio(rate('sluice_sent_bytes_total'), rate('sluice_frames_sent_total')),
          legend: 'mean',
        },
      ],
    },
    {
      kind: 'time series',
      title: 'Heartbeats',
      description: 'Comments on connections that were silent (HEARTBEAT_MS). Many of them: providers that stall.',
      unit: 'suffix:/s',
      width: 8,
      queries: [{ expression: rate('sluice_heartbeats_sent_total'), legend: 'heartbeats' }],
    },
  ],
}
