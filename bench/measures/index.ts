import { alone } from './alone.ts'
import { burst } from './burst.ts'
import { flush } from './flush.ts'
import { streamCount, streamLength } from './growth.ts'
import { idle } from './idle.ts'
import { latency } from './latency.ts'
import { lifetime } from './lifetime.ts'
import { log } from './log.ts'
import type { Measure } from './measure.ts'
import { readers } from './readers.ts'
import { relay } from './relay.ts'
import { saturation } from './saturation.ts'
import { short } from './short.ts'
import { stalled } from './stalled.ts'
import { storm } from './storm.ts'
import { whole } from './whole.ts'

/**
 * In the order in which they run and are reported. What saturation leaves behind is a heap that is collected for a
 * while: latencies come before it.
 */
export const MEASURES: readonly Measure[] = [
  relay,
  latency,
  short,
  alone,
  burst,
  whole,
  lifetime,
  saturation,
  idle,
  readers,
  stalled,
  storm,
  log,
  streamLength,
  streamCount,
  flush,
]
