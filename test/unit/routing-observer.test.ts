import { ROOT_CONTEXT } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../src/errors.ts'
import { observeRouting, traceAttempts } from '../../src/telemetry/observe-routing.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { withoutMessage } from '../../src/telemetry/redact.ts'
import type { RoutingObserver } from '../../src/routing/observer.ts'
import { planOf, plays, run, STOP, targetOf, text } from './routing-plans.ts'

function observerOf(metrics: Metrics): RoutingObserver {
  const recorder = observeRouting(metrics, createLogger('silent'), withoutMessage)
  return traceAttempts(recorder, { requestId: 'r', trace: { context: ROOT_CONTEXT, incoming: {} }, input: {} })
}

async function linesOf(metrics: Metrics): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith('sluice_upstream_'))
}

describe('the metrics of routing', () => {
  it('count attempts, errors and retries', async () => {
    const metrics = new Metrics()
    const observer = observerOf(metrics)
    const busy = new SluiceError('upstream_unavailable', 'busy')
    await run(planOf(targetOf(plays('a', [busy])), targetOf(plays('b', [text('x'), STOP]))), { observer })
    expect(await linesOf(metrics)).toEqual([
      'sluice_upstream_requests_total{provider="a",code="upstream_unavailable"} 3',
      'sluice_upstream_requests_total{provider="b",code="ok"} 1',
      'sluice_upstream_errors_total{provider="a",code="upstream_unavailable"} 3',
      'sluice_upstream_retries_total{provider="a",reason="upstream_unavailable"} 2',
    ])
  })

  it('do not count what was given up as an error', async () => {
    const metrics = new Metrics()
    observerOf(metrics)
      .started(targetOf(plays('a', [STOP])))
      .ended(new SluiceError('cancelled', 'gone'), undefined)
    expect(await linesOf(metrics)).toEqual(['sluice_upstream_requests_total{provider="a",code="cancelled"} 1'])
  })
})
