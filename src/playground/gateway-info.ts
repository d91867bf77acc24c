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

/** A model that can be asked for. */
export interface Model {
  id: string
  provider: string
}

/** What `GET /v1/models` of the gateway at this URL lists; nothing when it cannot be had. */
export async function listModels(fetch: typeof globalThis.fetch, gateway: string): Promise<Model[]> {
  try {
    const response = await fetch(new URL('v1/models', gateway))
    const body: unknown = await response.json()
    return isList(body) ? body.data.filter(isModel).map(({ id, owned_by }) => ({ id, provider: owned_by })) : []
  } catch {
    return []
  }
}

function isList(body: unknown): body is { data: unknown[] } {
  return isRecord(body) && Array.isArray(body.data)
}

function isModel(value: unknown): value is { id: string; owned_by: string } {
  return isRecord(value) && typeof value.id === 'string' && typeof value.owned_by === 'string'
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
