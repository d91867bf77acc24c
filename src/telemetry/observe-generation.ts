import { SluiceError } from '../errors.ts'
import type { Done } from '../stream/events.ts'
import type { Generation, GenerationObserver } from '../stream/generation.ts'
import type { Logger } from './logger.ts'
import type { HistogramCell } from './instruments.ts'
import type { Metrics } from './metrics.ts'
import { streamDigest } from './stream-digest.ts'
import { withoutMessage } from './without-message.ts'

/** Updates the metrics during a generation, and logs one line when it has ended. */
export function observeGeneration(
  metrics: Metrics,
  logger: Logger,
  { protocol, provider }: { protocol: string; provider: string },
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
      logEnd(logger, generation, done, cause)
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

function logEnd(logger: Logger, generation: Generation, done: Done, cause: unknown): void {
  // An unexpected error is not shown to the client, so it must reach the operator here.
  const isOurs = cause === undefined || cause instanceof SluiceError
  if (isOurs && !logger.isLevelEnabled('info')) return
  const stream = streamDigest(generation.log.info.id)
  const { provider, model } = generation.log.answer ?? generation.log.info
  const { startedAt, firstTokenAt } = generation
  logger.info(
    {
      stream,
      provider,
      model,
      finish_reason: done.finish_reason,
      error: done.error?.code,
      events: generation.log.last,
      prompt_tokens: done.usage?.prompt_tokens,
      completion_tokens: done.usage?.completion_tokens,
      first_token_ms: firstTokenAt === undefined ? undefined : Math.round(firstTokenAt - startedAt),
      duration_ms: Math.round(performance.now() - startedAt),
    },
    'generation ended',
  )
  if (!isOurs) logger.error({ stream, provider, err: withoutMessage(cause) }, 'provider failed')
}
