/** A model that can be asked for. */
export interface Model {
  id: string
  provider: string
}

/** What `GET /v1/models` lists; nothing when it cannot be had. */
export async function listModels(): Promise<Model[]> {
  try {
    const response = await fetch(new URL('v1/models', location.href))
    const body: unknown = await response.json()
    return isList(body) ? body.data.filter(isModel).map(({ id, owned_by }) => ({ id, provider: owned_by })) : []
  } catch {
    return []
  }
}

function isList(body: unknown): body is { data: unknown[] } {
  return typeof body === 'object' && body !== null && 'data' in body && Array.isArray(body.data)
}

function isModel(value: unknown): value is { id: string; owned_by: string } {
  if (typeof value !== 'object' || value === null || !('id' in value) || !('owned_by' in value)) return false
  return typeof value.id === 'string' && typeof value.owned_by === 'string'
}
