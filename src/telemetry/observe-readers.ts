import type { Cell, HistogramCell } from './instruments.ts'
import type { Metrics } from './metrics.ts'

/** The metric cells for the readers of one protocol. */
export interface ReaderCells {
  readonly connections: Cell
  readonly deltas: Cell
  readonly dones: Cell
  readonly bytes: Cell
  readonly heartbeats: Cell
  readonly merged: Cell
  readonly waits: Cell
  readonly stalled: Cell
  readonly latency: HistogramCell
}

/** Looks up the cells once per protocol: doing it per reader would cost too much time and memory. */
export function observeReaders(metrics: Metrics): (protocol: string) => ReaderCells {
  const known = new Map<string, ReaderCells>()
  return (protocol) => {
    let cells = known.get(protocol)
    if (!cells) known.set(protocol, (cells = cellsOf(metrics, protocol)))
    return cells
  }
}

function cellsOf(metrics: Metrics, protocol: string): ReaderCells {
  return {
    connections: metrics.cell('connections_open', { protocol }),
    deltas: metrics.cell('frames_sent_total', { protocol, event: 'delta' }),
    dones: metrics.cell('frames_sent_total', { protocol, event: 'done' }),
    bytes: metrics.cell('sent_bytes_total', { protocol }),
    heartbeats: metrics.cell('heartbeats_sent_total', {}),
    merged: metrics.cell('merged_deltas_total', {}),
    waits: metrics.cell('backpressure_waits_total', {}),
    stalled: metrics.cell('slow_readers_closed_total', {}),
    latency: metrics.histogram('relay_latency_seconds', { protocol }),
  }
}
