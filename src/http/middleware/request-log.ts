import type { Logger } from '../../telemetry/logger.ts'
import { redactPath, streamDigest } from '../../telemetry/stream-digest.ts'
import type { RequestMiddleware } from '../context.ts'

export interface RequestLogOptions {
  /** Paths that are asked for so often that their lines are for debugging only. */
  quiet?: readonly string[]
}

/** One line when a request is over: for an event stream, when its last reader byte has gone or the reader has. */
export function requestLog(logger: Logger, { quiet = [] }: RequestLogOptions = {}): RequestMiddleware {
  return async (context, next) => {
    const start = performance.now()
    const write = () => {
      const { requestId, streamId, ended, errorCode } = context.state
      const level = quiet.includes(context.path) || context.state.quiet ? 'debug' : 'info'
      if (!logger.isLevelEnabled(level)) return
      logger[level](
        {
          request_id: requestId,
          method: context.method,
          path: redactPath(context.path),
          status: context.status,
          stream: streamId === undefined ? undefined : streamDigest(streamId),
          ended,
          error: errorCode,
          duration_ms: Math.round(performance.now() - start),
        },
        'request',
      )
    }
    try {
      await next()
    } finally {
      if (context.state.streaming) void context.state.streaming.then(write)
      else write()
    }
  }
}
