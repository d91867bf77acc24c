// The metrics of generations and of their readers, from the first scrape on.

import type { RegisteredProvider } from '../../providers/registry.ts'
import { SluiceError, ERROR_CODES } from '../errors.ts'
import { listTargets, splitTarget, type ModelsConfig } from '../routing/model-table.ts'
import { FINISH_REASONS, type Done } from '../stream/events.ts'
import type { Generation, GenerationObserver } from '../stream/generation.ts'
import type { Logger } from './logger.ts'
import type { HistogramCell, Cell } from './instruments.ts'
import { OTHER, RESUME_RESULTS, type Metrics, type KnownModels } from './metrics.ts'
import { streamDigest, withoutMessage } from './redact.ts'

/** The request that started a generation. */
interface StartedBy {
  requestId: string
  caller: string
}

/** Updates the metrics during a generation, and logs one line when it has ended. */
export function observeGeneration(
  metrics: Metrics,
  logger: Logger,
  { protocol, provider, ...by }: { protocol: string; provider: string } & StartedBy,
): GenerationObserver {
  let open = metrics.cell('streams_open', { provider })
  open.add()
  let interToken: HistogramCell | undefined
  return {
    firstToken({ log }, seconds) {
      // The answering target is known with the first token, and may differ from the first target tried.
      const answered = log.answer ?? log.info
      open.add(-1)
      open = metrics.cell('streams_open', { provider: answered.provider })
      open.add()
      const labels = metrics.modelLabels(answered)
      metrics.histogram('time_to_first_token_seconds', labels).observeStream(seconds, log.info.id)
      interToken = metrics.histogram('inter_token_latency_seconds', { provider: answered.provider })
    },
    tokens: (_, __, gap) => interToken?.observe(gap),
    finished(generation, done, cause) {
      open.add(-1)
      countEnd(metrics, generation, done, protocol)
      logEnd(logger, generation, by, done, cause)
    },
  }
}

function countEnd(metrics: Metrics, { log, startedAt }: Generation, done: Done, protocol: string): void {
  const { finish_reason, usage } = done
  // Not the names in `done`: a provider may put any provider and model name there.
  const labels = metrics.modelLabels(log.answer ?? log.info)
  const { provider } = labels
  metrics.cell('streams_total', { provider, protocol, finish_reason }).addStream(log.info.id)
  const seconds = (performance.now() - startedAt) / 1000
  metrics.histogram('stream_duration_seconds', { provider }).observeStream(seconds, log.info.id)
  metrics.cell('tokens_total', { ...labels, type: 'prompt' }).add(usage?.prompt_tokens ?? 0)
  metrics.cell('tokens_total', { ...labels, type: 'completion' }).add(usage?.completion_tokens ?? 0)
}

function logEnd(
  logger: Logger,
  generation: Generation,
  { requestId: request_id, caller }: StartedBy,
  done: Done,
  cause: unknown,
): void {
  // An unexpected error is not shown to the client, so it must reach the operator here.
  const isOurs = cause === undefined || cause instanceof SluiceError
  if (isOurs && !logger.isLevelEnabled('info')) return
  const stream = streamDigest(generation.log.info.id)
  const { answer, info } = generation.log
  const { provider, model } = answer ?? info
  const { startedAt, firstTokenAt } = generation
  logger.info(
    {
      request_id,
      stream,
      caller,
      provider,
      model,
      attempts: answer?.attempts,
      finish_reason: done.finish_reason,
      error: done.error?.code,
      events: generation.log.last,
      prompt_tokens: done.usage?.prompt_tokens,
      completion_tokens: done.usage?.completion_tokens,
      estimated: done.usage?.estimated,
      cost: done.cost,
      first_token_ms: firstTokenAt === undefined ? undefined : Math.round(firstTokenAt - startedAt),
      duration_ms: Math.round(performance.now() - startedAt),
    },
    'generation ended',
  )
  if (!isOurs) logger.error({ request_id, stream, provider, err: withoutMessage(cause) }, 'provider failed')
}

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

/** Codes with which an attempt is expected to fail. */
const FAILURES = ERROR_CODES.filter((code) => /^(upstream|provider)_/.test(code))

/** Models named in the configuration, by provider. A provider that accepts any model gets the label `other`. */
export function knownModels(
  providers: ReadonlyMap<string, RegisteredProvider>,
  models: ModelsConfig,
): Map<string, Set<string>> {
  const known = new Map([...providers].map(([name, { provider }]) => [name, new Set(provider.models ?? [OTHER])]))
  for (const { target } of Object.values(models).flatMap(listTargets)) {
    const { provider, model } = splitTarget(target)
    if (!model.includes('*')) known.get(provider)?.add(model)
  }
  return known
}

/**
 * Creates all series that are known beforehand with value 0: `rate()` misses the first event of a series that starts
 * at 1.
 */
export function startAtZero(metrics: Metrics, known: KnownModels, protocols: readonly string[]): void {
  const readers = observeReaders(metrics)
  for (const protocol of protocols) readers(protocol)
  for (const [provider, models] of known) {
    startProvider(metrics, provider, protocols)
    for (const model of models) {
      for (const type of ['prompt', 'completion']) metrics.cell('tokens_total', { provider, model, type })
      metrics.histogram('time_to_first_token_seconds', { provider, model })
    }
  }
  for (const result of RESUME_RESULTS) metrics.cell('resumes_total', { result })
}

function startProvider(metrics: Metrics, provider: string, protocols: readonly string[]): void {
  metrics.cell('streams_open', { provider })
  for (const protocol of protocols)
    for (const finish_reason of FINISH_REASONS) metrics.cell('streams_total', { provider, protocol, finish_reason })
  metrics.histogram('inter_token_latency_seconds', { provider })
  metrics.histogram('stream_duration_seconds', { provider })
  for (const code of ['ok', 'cancelled', ...FAILURES]) metrics.cell('upstream_requests_total', { provider, code })
  for (const code of FAILURES) {
    metrics.cell('upstream_errors_total', { provider, code })
    metrics.cell('upstream_retries_total', { provider, reason: code })
  }
}
