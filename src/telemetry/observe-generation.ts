import { SluiceError } from '../errors.ts'
import type { Done } from '../stream/events.ts'
import type { Generation, GenerationObserver } from '../stream/generation.ts'
import type { Logger } from './logger.ts'
import type { HistogramCell } from './instruments.ts'
import type { Metrics } from './metrics.ts'

/** What metrics and logs hear of a generation: the metrics as it goes, one log line when it has ended. */
export function observeGeneration(
  metrics: Metrics,
  logger: Logger,
  { protocol, provider }: { protocol: string; provider: string },
): GenerationObserver {
  const open = metrics.cell('streams_open', { provider })
  open.add()
  // Who answers is known with the first token, and may be another than the first who was asked.
  let interToken: HistogramCell | undefined
  return {
    firstToken({ log }, seconds) {
      const answered = log.answer ?? log.info
      metrics.histogram('time_to_first_token_seconds', metrics.modelLabels(answered)).observe(seconds)
      interToken = metrics.histogram('inter_token_latency_seconds', { provider: answered.provider })
    },
    tokens: (_, __, gap) => interToken?.observe(gap),
    finished(generation, done, cause) {
      const duration = (performance.now() - generation.startedAt) / 1000
      open.add(-1)
      // Not what `done` says of itself: a provider may call itself and its model what it likes.
      const answered = generation.log.answer ?? generation.log.info
      const labels = metrics.modelLabels(answered)
      metrics.cell('streams_total', { provider: answered.provider, protocol, finish_reason: done.finish_reason }).add()
      metrics.histogram('stream_duration_seconds', { provider: answered.provider }).observe(duration)
      metrics.cell('tokens_total', { ...labels, type: 'prompt' }).add(done.usage?.prompt_tokens ?? 0)
      metrics.cell('tokens_total', { ...labels, type: 'completion' }).add(done.usage?.completion_tokens ?? 0)
      logEnd(logger, generation, done, cause)
    },
  }
}

function logEnd(logger: Logger, generation: Generation, done: Done, cause: unknown): void {
  const { id } = generation.log.info
  const { provider, model } = generation.log.answer ?? generation.log.info
  const { startedAt, firstTokenAt } = generation
  logger.info(
    {
      stream_id: id,
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
  // Whoever threw this did not mean it to be read by a client, so the operator is the only one who can.
  if (cause !== undefined && !(cause instanceof SluiceError))
    logger.error({ stream_id: id, provider, err: withoutMessage(cause) }, 'provider failed')
}

/** Where it was thrown, but not the words, which may quote what it was working on. */
function withoutMessage(cause: unknown): { type: string; stack?: string } {
  if (!(cause instanceof Error)) return { type: typeof cause }
  const stack = cause.stack
    ?.split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n')
  return { type: cause.name, ...(stack ? { stack } : {}) }
}
