import type { Logger } from '../../telemetry/logger.ts'
import { redactPath, streamDigest } from '../../telemetry/stream-digest.ts'
import type { RequestMiddleware } from '../context.ts'

export interface RequestLogOptions {
  /** Paths that are requested so often that they are logged at debug level only. */
  quiet?: readonly string[]
}

/** Logs one line when a request is over: for an event stream, once the last byte is sent or the reader has gone. */
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
