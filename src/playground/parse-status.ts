/** What `GET /v1/status` says of the gateway. */
export interface Status {
  status: string
  version: string
  /** Milliseconds since 1970. */
  started: number
  connections: number
  streams: number
  providers: { name: string; breakers_open: number }[]
}

/** Undefined for what is no status. */
export function parseStatus(text: string): Status | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isStatus(value) ? value : undefined
}

function isStatus(value: unknown): value is Status {
  if (!isRecord(value)) return false
  const { status, version, started, connections, streams, providers } = value
  return (
    [status, version].every((each) => typeof each === 'string') &&
    [started, connections, streams].every((each) => typeof each === 'number') &&
    Array.isArray(providers) &&
    providers.every((each) => isRecord(each) && typeof each.name === 'string' && typeof each.breakers_open === 'number')
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
